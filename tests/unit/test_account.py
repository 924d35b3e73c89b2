"""GetAccount ends an open spell of the breaker only when it was without an answer itself."""

from __future__ import annotations

import pytest

from app.domain.sending.backoff import Breaker
from app.domain.sending.batches import Account
from app.errors import DatabaseUnavailable, SesRefused, Unavailable
from app.services.sending.account import AccountMonitor
from app.store import Store
from tests.support.factories import REGION, an_account

Answer = Account | Exception


class Asked:
    """Answers as listed, then well."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.times = 0

    def get_account(self) -> Account:
        self.times += 1
        answer = self.answers.pop(0) if self.answers else an_account()
        if isinstance(answer, Exception):
            raise answer
        return answer


class Quiet(Store):
    def __init__(self) -> None:
        """Asks no database."""

    async def record_account(self, region: str, account: Account) -> float | None:
        return None

    async def resume_waiting_mailouts(self, region: str | None = None) -> list[object]:  # type: ignore[override]
        return []


def monitor(source: Asked, breaker: Breaker) -> AccountMonitor:
    return AccountMonitor(Quiet(), source, REGION, lambda: None, breaker)


@pytest.mark.parametrize(
    ("before", "ends"),
    [
        ([Unavailable("no answer")], True),
        ([], False),
        ([SesRefused("AccessDenied")], False),
        ([Unavailable("no answer"), SesRefused("AccessDenied")], False),
        ([Unavailable("no answer"), an_account()], False),
    ],
    ids=["silent", "never asked", "refused", "silent, then refused", "silent, then answered"],
)
async def test_what_ends_an_open_spell(before: list[Answer], ends: bool) -> None:
    """That SES answers what it always answered proves nothing about mails."""
    breaker = Breaker(base_seconds=300)
    watch = monitor(Asked(*before), breaker)
    for _ in before:
        await watch.look()
    for _ in range(breaker.threshold):
        breaker.failed(0.0)
    breaker.open_until = float("inf")
    await watch.look()
    assert (breaker.open_until < float("inf")) == ends


async def test_while_the_breaker_is_open_or_the_last_answer_missing_it_is_asked_at_every_look() -> (
    None
):
    breaker, source = Breaker(), Asked()
    watch = monitor(source, breaker)
    await watch.look()
    await watch.look()
    assert source.times == 1, "a minute has not passed"
    breaker.open_until = float("inf")
    await watch.look()
    await watch.look()
    assert source.times == 3
    breaker.succeeded()
    source.answers.append(Unavailable("no answer"))
    breaker.open_until = float("inf")
    await watch.look()
    breaker.succeeded()
    await watch.look()
    assert source.times == 5


async def test_an_answer_that_could_not_be_recorded_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def away(self: Quiet, region: str, account: Account) -> None:
        raise DatabaseUnavailable("away")

    source = Asked()
    watch = monitor(source, Breaker())
    with monkeypatch.context() as patch:
        patch.setattr(Quiet, "record_account", away)
        await watch.look()
    await watch.look()
    await watch.look()
    assert source.times == 2
