"""Group commit: few database calls, each caller answered for its own event."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.domain.sending.guards import GuardLimits
from app.errors import DatabaseError, DatabaseUnavailable, Unavailable
from app.services.watching.record_events import RecordEvents
from app.store import Store
from app.telemetry.metrics import Metrics


class Recorder(Store):
    """Keeps the groups instead of calling a database."""

    def __init__(self, error: Exception | None = None, refuses: str | None = None) -> None:
        self.groups: list[list[str]] = []
        self.error = error
        self.refuses = refuses
        self.release = asyncio.Event()
        self.release.set()

    async def apply_ses_events(
        self, rows: Sequence[dict[str, Any]], guards: GuardLimits | None = None
    ) -> dict[str, Any]:
        await self.release.wait()
        names = [row["sns_message_id"] for row in rows]
        self.groups.append(names)
        if self.error:
            raise self.error
        if self.refuses in names:
            raise DatabaseError("refused", sqlstate="22023")
        return {"new": len(rows), "matched": len(rows), "copies": [], "tripped": []}


def rows(count: int) -> list[dict[str, Any]]:
    at = "2026-11-24T12:00:00+00:00"
    return [{"sns_message_id": str(n), "type": "delivery", "occurred_at": at} for n in range(count)]


async def test_a_lone_event_is_written_at_once() -> None:
    store = Recorder()
    await RecordEvents(store)(rows(1)[0])
    assert store.groups == [["0"]]


async def test_what_comes_meanwhile_is_written_together() -> None:
    store = Recorder()
    store.release.clear()
    record = RecordEvents(store)
    tasks = [asyncio.create_task(record(row)) for row in rows(1200)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.release.set()
    await asyncio.gather(*tasks)
    assert sum(map(len, store.groups)) == 1200
    assert max(map(len, store.groups)) <= 500
    assert len(store.groups) <= 4


async def test_an_outage_reaches_every_caller() -> None:
    record = RecordEvents(Recorder(DatabaseUnavailable("gone")))
    outcomes = await asyncio.gather(*(record(row) for row in rows(5)), return_exceptions=True)
    assert all(isinstance(outcome, DatabaseUnavailable) for outcome in outcomes)


async def test_one_event_that_is_refused_does_not_hold_up_the_others() -> None:
    """And SNS is asked to bring it again (503), so that it isn't lost."""
    store = Recorder(refuses="3")
    store.release.clear()
    record = RecordEvents(store)
    tasks = [asyncio.create_task(record(row)) for row in rows(6)]
    await asyncio.sleep(0)
    store.release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(outcome, Unavailable) for outcome in outcomes] == [n == 3 for n in range(6)]


async def test_the_event_at_fault_is_found_in_few_calls() -> None:
    store = Recorder(refuses="300")
    store.release.clear()
    record = RecordEvents(store)
    tasks = [asyncio.create_task(record(row)) for row in rows(500)]
    await asyncio.sleep(0)
    store.release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [n for n, outcome in enumerate(outcomes) if outcome is not None] == [300]
    assert len(store.groups) <= 1 + 2 * 9  # 500 is halved nine times until one is left


async def test_nobody_is_answered_before_the_own_event_is_committed() -> None:
    class OneByOne(Recorder):
        commits = asyncio.Semaphore(0)

        async def apply_ses_events(self, *arguments: Any) -> dict[str, Any]:
            await self.commits.acquire()
            return await super().apply_ses_events(*arguments)

    store = OneByOne()
    record = RecordEvents(store)
    first, second = (asyncio.create_task(record(row)) for row in rows(2))
    await asyncio.sleep(0)
    third = asyncio.create_task(record(rows(3)[2]))
    store.commits.release()
    await asyncio.gather(first, second)
    assert not third.done()
    store.commits.release()
    await third
    assert store.groups == [["0", "1"], ["2"]]


async def test_a_fault_of_ours_leaves_no_caller_waiting() -> None:
    record = RecordEvents(Recorder(RuntimeError("a bug")))
    outcomes = await asyncio.gather(*(record(row) for row in rows(3)), return_exceptions=True)
    assert all(isinstance(outcome, Unavailable) for outcome in outcomes)


async def test_a_fault_in_counting_comes_after_the_answers_and_stops_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    metrics = Metrics()
    store = Recorder()
    record = RecordEvents(store, metrics=metrics)
    monkeypatch.setattr(metrics, "events_committed", lambda *_: 1 / 0)
    store.release.clear()
    first, *others = [asyncio.create_task(record(row)) for row in rows(3)]
    await asyncio.sleep(0)
    store.release.set()
    await asyncio.gather(first, *others)
    assert sum(map(len, store.groups)) == 3


async def test_the_writer_starts_again_after_a_quiet_time() -> None:
    store = Recorder()
    record = RecordEvents(store)
    for row in rows(3):
        await record(row)
    assert len(store.groups) == 3


async def test_too_many_waiting_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.watching.record_events.MAX_WAITING", 2)
    store = Recorder()
    store.release.clear()
    record = RecordEvents(store)
    tasks = [asyncio.create_task(record(row)) for row in rows(5)]
    await asyncio.sleep(0)
    store.release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(outcome, Exception) for outcome in outcomes)
    assert any(outcome is None for outcome in outcomes)
