"""Results that come while the database writes others go together in the next call, and each batch
still has an end of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from app.domain.sending.batches import Batch, Recipient, Result
from app.domain.states import MailoutStatus
from app.errors import DatabaseError, DatabaseUnavailable
from app.running.stopping import Stopping
from app.services.sending.recording import groups
from app.services.sending.recording.groups import Groups
from app.services.sending.recording.record import RECORD_TRIES, Record
from app.store import Store
from app.telemetry.metrics import Metrics

MAILOUT = UUID(int=1)
AWAY = DatabaseUnavailable("away")
REFUSED = DatabaseError("invalid input", sqlstate="22P05")


class Ledger(Store):
    """Holds each call until `answers` lets it go on; refuses calls with row POISON, and loses those
    with row LOST.

    calls: the rows of each call. written: those that were committed, with their outcome.
    """

    POISON, LOST = 13, 14

    def __init__(self) -> None:
        self.answers = asyncio.Semaphore(0)
        self.calls: list[list[int]] = []
        self.written: list[tuple[int, str]] = []

    async def record_batches(
        self, batches: Sequence[tuple[UUID, Sequence[Result]]]
    ) -> dict[UUID, MailoutStatus]:
        results = [result for _, own in batches for result in own]
        self.calls.append([result.send_log_id for result in results])
        await self.answers.acquire()
        if any(r.send_log_id == self.POISON and r.outcome == "sent" for r in results):
            raise REFUSED
        if any(result.send_log_id == self.LOST for result in results):
            raise AWAY
        self.written += [(result.send_log_id, result.outcome) for result in results]
        return {MAILOUT: "sending"}

    def let_all_through(self) -> None:
        for _ in range(1_000):
            self.answers.release()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with capture_logs():
        yield


def a_batch(row: int) -> tuple[Batch, tuple[Result, ...]]:
    recipient = Recipient(row, f"{row}@example.com", 1, None, None, {})
    batch = Batch(uuid4(), MAILOUT, (recipient,), 0.0)
    return batch, (Result(row, "sent", message_id=f"m{row}"),)


async def turns() -> None:
    """Let every task go as far as it can."""
    for _ in range(20):
        await asyncio.sleep(0)


async def recorded_at_once(record: Groups, ledger: Ledger, *rows: int) -> list[object]:
    """Row 0 is under way when those come; gives what each of them was told."""
    asked = [asyncio.create_task(record.record(*a_batch(0)))]
    await turns()
    asked += [asyncio.create_task(record.record(*a_batch(row))) for row in rows]
    await turns()
    ledger.let_all_through()
    return list((await asyncio.gather(*asked, return_exceptions=True))[1:])


async def test_who_comes_during_a_call_goes_with_the_next() -> None:
    ledger = Ledger()
    told = await recorded_at_once(Groups(ledger), ledger, 1, 2, 3)
    assert ledger.calls == [[0], [1, 2, 3]], "the first waited for nobody"
    assert told == [None, None, None]


async def test_a_group_has_an_end() -> None:
    ledger = Ledger()
    rows = range(100, 100 + groups.MOST_AT_ONCE + 5)
    await recorded_at_once(Groups(ledger), ledger, *rows)
    assert [len(call) for call in ledger.calls] == [1, groups.MOST_AT_ONCE, 5]


async def test_what_one_may_not_write_costs_its_neighbours_nothing() -> None:
    ledger = Ledger()
    told = await recorded_at_once(Groups(ledger), ledger, 1, Ledger.POISON, 3)
    assert told == [None, REFUSED, None]
    assert ledger.written == [(0, "sent"), (1, "sent"), (3, "sent")]


async def test_an_outage_is_everybodys_and_nobody_is_asked_for_one_by_one() -> None:
    ledger = Ledger()
    told = await recorded_at_once(Groups(ledger), ledger, 1, Ledger.LOST, 3)
    assert told == [AWAY, AWAY, AWAY]
    assert len(ledger.calls) == 2


async def test_in_the_end_the_neighbours_are_recorded_and_the_poison_is_unknown(
    pauses: list[float],
) -> None:
    """The outage ends for each by itself, the refusal in `unknown`."""
    ledger = Ledger()
    record = Record(ledger, Stopping(), Metrics())
    asked = [asyncio.create_task(record(*a_batch(row))) for row in (0, 1, Ledger.POISON, 3)]
    await turns()
    ledger.let_all_through()
    await asyncio.gather(*asked)
    assert sorted(ledger.written) == [
        (0, "sent"), (1, "sent"), (3, "sent"), (Ledger.POISON, "unknown"),
    ]  # fmt: skip
    together = [call for call in ledger.calls if Ledger.POISON in call and len(call) > 1]
    assert len(together) == 1, "it came again alone"
    assert len([call for call in ledger.calls if call == [Ledger.POISON]]) == RECORD_TRIES + 1
    assert not record.troubles


async def test_who_gave_up_is_not_written_and_holds_nobody_up() -> None:
    ledger = Ledger()
    record = Groups(ledger)
    first = asyncio.create_task(record.record(*a_batch(0)))
    await turns()
    gone, stays = (asyncio.create_task(record.record(*a_batch(row))) for row in (1, 2))
    await turns()
    gone.cancel()
    ledger.let_all_through()
    await asyncio.gather(first, stays)
    assert ledger.calls == [[0], [2]]


async def test_a_call_that_hangs_keeps_only_its_own_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody holds a lock on one mailout."""
    monkeypatch.setattr(groups, "BLOCKED_SECONDS", 0.0)
    ledger = Ledger()
    record = Groups(ledger)
    hangs = asyncio.create_task(record.record(*a_batch(0)))
    await turns()
    other = asyncio.create_task(record.record(*a_batch(1)))
    await turns()
    assert ledger.calls == [[0], [1]]
    ledger.let_all_through()
    await asyncio.gather(hangs, other)


async def test_at_the_deadline_of_a_stop_nobody_waits_for_a_group_that_hangs() -> None:
    stopping = Stopping(grace=0.0)
    stopping.ask()
    ledger = Ledger()
    record = Record(ledger, stopping, Metrics())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.services.sending.recording.record.RECORD_SECONDS", 0.01)
        asked = [asyncio.create_task(record(*a_batch(row))) for row in (0, 1, 2)]
        await asyncio.wait_for(asyncio.gather(*asked), 10)
    record.close()
    await turns()
    assert ledger.written == []


async def test_closing_leaves_nobody_waiting() -> None:
    ledger = Ledger()
    record = Groups(ledger)
    asked = [asyncio.create_task(record.record(*a_batch(row))) for row in (0, 1)]
    await turns()
    record.close()
    told = await asyncio.wait_for(asyncio.gather(*asked[:1], return_exceptions=True), 10)
    assert isinstance(told[0], asyncio.CancelledError)
    asked[1].cancel()
