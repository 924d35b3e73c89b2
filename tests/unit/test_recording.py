"""Recording what SES answered ends in a recorded result or in `unknown`, whatever happens to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from app.domain.mailouts import MailoutContent, Transition
from app.domain.sending.batches import Batch, Recipient, Result
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer, refused_call
from app.domain.ses.mail import BulkEntry
from app.domain.states import MailoutStatus, PauseCode
from app.errors import DatabaseError, DatabaseUnavailable, UnreadableAnswer
from app.running.stopping import Stopping
from app.services.sending.pausing import Pausing
from app.services.sending.recording.record import RECORD_TRIES
from app.services.sending.send_batch import SendBatch
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.service import settings_for

Told = Sequence[tuple[UUID, Sequence[Result]]]
AWAY = DatabaseUnavailable("away")
REFUSED = DatabaseError("invalid input", sqlstate="22P02")
CONTENT = MailoutContent("Hi", None, "<p>x</p>", None, None, None, None, None, None)


class Ledger(Store):
    """Takes results down after it has failed in these ways; refuses what `refuses` says."""

    def __init__(self, failures: Iterable[BaseException] = (), refuses: Sequence[str] = ()) -> None:
        self._failures = list(failures)
        self._refuses = refuses
        self.recorded: list[str] = []
        self.tries = 0

    async def note_waiting(self, reason: str | None, *, kept_to: str | None = None) -> None:
        """Not asked about here."""

    async def pause_mailout(
        self, mailout_id: UUID, code: PauseCode, reason: str, *, by: str | None = None
    ) -> Transition:
        return Transition(True, "paused", reason)

    async def snapshot_content(self, mailout_id: UUID) -> tuple[MailoutContent, str]:
        return CONTENT, "hash"

    async def record_batches(self, batches: Told) -> dict[UUID, MailoutStatus]:
        self.tries += 1
        if self._failures:
            raise self._failures.pop(0)
        outcomes = [result.outcome for _, results in batches for result in results]
        if set(outcomes) & set(self._refuses):
            raise REFUSED
        self.recorded = list(outcomes)
        return {UUID(int=1): "sending"}


class Ses:
    def __init__(self, answer: Answer | None = None) -> None:
        self._answer = answer or Answer("sent", message_id="m")

    def send_bulk(self, head: bytes, entries: Sequence[BulkEntry], fence: Fence) -> list[Answer]:
        return [self._answer for _ in entries]

    def send_single(self, *_: Any) -> Answer:
        raise AssertionError


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """A line for each failure takes longer than the failure."""
    with capture_logs():
        yield


def sending(
    ledger: Ledger, stopping: Stopping | None = None, answer: Answer | None = None
) -> SendBatch:
    settings = settings_for("postgresql://nowhere", None)
    pausing = Pausing(ledger, "eu-west-1")
    return SendBatch(ledger, Ses(answer), settings, stopping or Stopping(), Metrics(), pausing)


async def send(batch: SendBatch) -> None:
    recipients = (Recipient(1, "a@example.com", 1, None, None, {}),)
    await asyncio.wait_for(
        batch(Batch(uuid4(), UUID(int=1), recipients, 0.0), "bulk", Fence(60)), 20
    )
    batch.close()


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    "failures",
    [
        [AWAY] * 2_000,
        [AWAY] * 4 + [REFUSED],
        [AWAY] * 5 + [REFUSED] * (RECORD_TRIES - 1),
        [REFUSED, AWAY] * (RECORD_TRIES - 1),
        [UnreadableAnswer("a page")] * 50,
        [TypeError("str is not valid UTF-8: surrogates not allowed")],
        [RuntimeError("a bug")] * (RECORD_TRIES - 1),
    ],
    ids=lambda failures: f"{len(failures)} times, {failures[0]!r} first",
)
async def test_what_is_known_is_recorded_in_the_end(
    failures: list[Exception], pauses: list[float]
) -> None:
    """Through an outage of hours, and whatever is refused for another reason than the record."""
    ledger = Ledger(failures)
    await send(sending(ledger))
    assert ledger.recorded == ["sent"]
    assert ledger.tries == len(failures) + 1
    assert max(pauses) <= 5.0


@pytest.mark.parametrize("outages", [0, 3, 5, 7, 1_100])
async def test_what_is_refused_for_its_own_sake_becomes_unknown(
    outages: int, pauses: list[float]
) -> None:
    """However many outages came before."""
    ledger = Ledger([AWAY] * outages, refuses=["sent"])
    await send(sending(ledger))
    assert ledger.recorded == ["unknown"]
    assert ledger.tries == outages + RECORD_TRIES + 1


@pytest.mark.parametrize("error", [TypeError("surrogates"), RuntimeError("a bug")], ids=repr)
async def test_a_fault_nobody_thought_of_ends_as_unknown(
    error: Exception, pauses: list[float]
) -> None:
    ledger = Ledger([error] * RECORD_TRIES)
    await send(sending(ledger))
    assert ledger.recorded == ["unknown"]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "error",
    [
        REFUSED,
        DatabaseError("Supabase refused the key", sqlstate="PGRST301"),
        DatabaseError("function does not exist", sqlstate="42883"),
        DatabaseError("not Supabase's API", sqlstate=None),
    ],
    ids=lambda error: str(error.sqlstate),
)
async def test_what_is_known_is_not_forgotten_while_even_unknown_is_refused(
    error: DatabaseError, pauses: list[float]
) -> None:
    """A changed key, a missing right: for an hour nothing is taken, whatever it is."""

    class Closed(Ledger):
        async def record_batches(self, batches: Told) -> dict[UUID, MailoutStatus]:
            if sum(pauses) < 3_600:
                raise error
            return await super().record_batches(batches)

    ledger = Closed()
    await send(sending(ledger))
    assert ledger.recorded == ["sent"]


async def test_what_only_something_in_between_refuses_becomes_unknown(pauses: list[float]) -> None:
    """A firewall that doesn't like SES's words: it would never let them pass."""

    class Filtered(Ledger):
        async def record_batches(self, batches: Told) -> dict[UUID, MailoutStatus]:
            if batches[0][1][0].outcome == "sent":
                raise DatabaseError("This is not Supabase's API (403)", sqlstate=None)
            return await super().record_batches(batches)

    ledger = Filtered()
    await send(sending(ledger))
    assert ledger.recorded == ["unknown"]


async def test_a_fault_in_learning_from_answers_keeps_nothing_from_being_recorded(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    batch = sending(ledger)
    monkeypatch.setattr(batch.breaker, "succeeded", lambda: 1 / 0)
    monkeypatch.setattr(batch.lanes, "finished", lambda *_, **__: 1 / 0)
    await send(batch)
    assert ledger.recorded == ["sent"]


async def test_a_fault_in_counting_or_reacting_hurts_nobody(
    pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger()
    batch = sending(ledger)
    monkeypatch.setattr(batch._metrics, "results_recorded", lambda *_: 1 / 0)
    monkeypatch.setattr(batch, "_react", lambda *_: 1 / 0)
    await send(batch)
    assert ledger.recorded == ["sent"]


@pytest.mark.parametrize(("error", "fault"), [(AWAY, False), (REFUSED, True)], ids=repr)
async def test_results_that_wait_are_told(
    error: Exception, fault: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until they are recorded."""
    told: list[bool] = []

    async def sleep(self: Stopping, seconds: float, until: asyncio.Event | None = None) -> None:
        told.extend(trouble.is_fault for trouble in batch.troubles)

    monkeypatch.setattr(Stopping, "sleep", sleep)
    batch = sending(Ledger([error]))
    await send(batch)
    assert told == [fault]
    assert not batch.troubles


async def test_at_a_stop_it_is_given_up_in_time() -> None:
    """The next sender calls the rows unknown."""
    stopping = Stopping(grace=0.0)
    stopping.ask()
    ledger = Ledger([AWAY] * 2_000)
    await send(sending(ledger, stopping))
    assert ledger.recorded == []


@pytest.mark.few_variants(3)
@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (Answer("sent", message_id="m"), "closed"),
        (refused_call("TooManyRequestsException", 429, "Slow down.", 1), "closed"),
        (refused_call("BadRequestException", 400, "No.", 1), "closed"),
        (refused_call("404", 404, "A proxy's page.", 1), "half_open"),
        (Answer("requeue", "lease_lost", "Too late."), "half_open"),
        (Answer("requeue", "not_prepared", "No credentials.", halt="configuration"), "half_open"),
        (refused_call("", 503, "", 1), "open"),
        (Answer("requeue", "not_connected", "Nobody.", halt="unreachable"), "open"),
        (Answer("unknown", "no_answer", "Lost.", halt="unreachable"), "open"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.code,
)
async def test_only_an_answer_of_ses_closes_the_breaker(answer: Answer, state: str) -> None:
    """The probe after an open spell."""
    batch = sending(Ledger(), answer=answer)
    batch.breaker.open_until = 0.0
    await send(batch)
    assert batch.breaker.state(time.monotonic()) == state
