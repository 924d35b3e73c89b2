"""What the sender tells the database of itself, and when."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from app.domain.sending.backoff import Breaker
from app.errors import DatabaseUnavailable
from app.running.loops import Loops, Trouble
from app.services.sending.sender import Sender
from app.services.sending.sender_report import LASTING_SECONDS, REPEAT_SECONDS, SenderReport
from app.store import Store
from app.telemetry.metrics import Metrics

WAITS = Trouble("dispatch", "The disk is full", is_fault=False, is_vital=True)
FAULT = Trouble("dispatch", "A fault of ours", is_fault=True, is_vital=True)
ASIDE = Trouble("tell_owner", "A fault of ours", is_fault=True, is_vital=False)


class Told:
    """The store. away: it takes nothing. new: it knows no such sender yet."""

    def __init__(self) -> None:
        self.states: list[Mapping[str, Any]] = []
        self.away = self.new = False

    async def tell_executor_state(
        self, _id: UUID, _service: UUID, state: Mapping[str, Any]
    ) -> bool:
        if self.away:
            raise DatabaseUnavailable("gone")
        if not self.new:
            self.states.append(state)
        return not self.new


@pytest.fixture
def sender() -> SimpleNamespace:
    routes = [
        SimpleNamespace(name=name, breaker=Breaker(), account=SimpleNamespace(error=None))
        for name in ("eu-west-1", "us-east-1")
    ]
    return SimpleNamespace(id=UUID(int=1), routes=routes, fallbacks=(), troubles=(), trouble=None)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def report(sender: SimpleNamespace, told: Told) -> SenderReport:
    return SenderReport(cast(Store, told), cast(Sender, sender), Metrics(), UUID(int=2), Loops())


async def test_only_news_are_told_and_now_and_then_the_same_again(
    report: SenderReport, sender: SimpleNamespace, told: Told
) -> None:
    await report.tell(now=0)
    await report.tell(now=REPEAT_SECONDS - 1)
    assert len(told.states) == 1
    sender.trouble = "The disk is full"
    await report.tell(now=REPEAT_SECONDS - 1)
    assert [state["trouble"] for state in told.states] == [None, "The disk is full"]
    await report.tell(now=3 * REPEAT_SECONDS)
    assert len(told.states) == 3


async def test_what_did_not_arrive_is_told_again(report: SenderReport, told: Told) -> None:
    """Before the first heartbeat there is nobody to report about; and a database may be away."""
    told.new = True
    await report.tell(now=0)
    told.new, told.away = False, True
    with pytest.raises(DatabaseUnavailable):
        await report.tell(now=1)
    told.away = False
    await report.tell(now=2)
    assert len(told.states) == 1


@pytest.mark.parametrize(
    ("troubles", "at_once", "later"),
    [((WAITS,), False, True), ((FAULT,), True, True), ((ASIDE,), False, False)],
    ids=["an outage", "a fault", "what sending does not need"],
)
async def test_when_trouble_stops_sending(
    report: SenderReport,
    sender: SimpleNamespace,
    told: Told,
    troubles: tuple[Trouble, ...],
    at_once: bool,
    later: bool,
) -> None:
    sender.troubles, sender.trouble = troubles, troubles[0].detail
    for now in (0.0, LASTING_SECONDS):
        await report.tell(now)
    assert [told.states[0]["stops_sending"], told.states[-1]["stops_sending"]] == [at_once, later]
    sender.troubles, sender.trouble = (), None
    await report.tell(LASTING_SECONDS + 1)
    sender.troubles, sender.trouble = (WAITS,), WAITS.detail
    await report.tell(LASTING_SECONDS + 2)
    assert told.states[-1]["stops_sending"] is False  # it counts from when it began anew


async def test_mail_goes_out_as_long_as_one_route_lets_it(
    report: SenderReport, sender: SimpleNamespace, told: Told
) -> None:
    home, away = sender.routes
    home.breaker.open_until, home.account.error = 100.0, "away"
    await report.tell(now=0)
    away.breaker.open_until, away.account.error = 100.0, "away, too"
    await report.tell(now=0)
    assert [(s["breaker"], s["account_error"]) for s in told.states] == [
        ("closed", None),
        ("open", "away"),
    ]
    assert told.states[0]["routes"]["eu-west-1"] == {
        "breaker": "open",
        "proved": False,
        "account_error": "away",
    }
