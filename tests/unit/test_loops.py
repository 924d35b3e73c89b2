"""A loop goes on whatever happens to it, and says what keeps it from its work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from app.domain.sending.backoff import backoff_seconds
from app.errors import Unavailable
from app.running.loops import ENDED, FAULT, RETRY_CAP_SECONDS, Loops, Trouble
from app.running.stopping import Stopping

LONG_OUTAGE = 2_000
"""Failures in a row; at the 1,024th a power of two leaves the range of a float."""


@pytest.fixture
async def loops() -> AsyncIterator[Loops]:
    async with Loops() as running:
        yield running


class Step:
    """Does what it is told, and counts."""

    def __init__(self) -> None:
        self.taken = 0
        self.error: BaseException | None = None
        self._moved = asyncio.Event()

    async def __call__(self) -> None:
        self.taken += 1
        self._moved.set()
        if self.error is not None:
            raise self.error

    async def times(self, more: int) -> None:
        """Wait until it was taken so often again."""
        wanted = self.taken + more
        while self.taken < wanted:
            self._moved.clear()
            await asyncio.wait_for(self._moved.wait(), 10)


async def test_an_outage_is_told_and_is_over_with_the_first_step_that_goes_well(
    loops: Loops, pauses: list[float]
) -> None:
    step = Step()
    step.error = Unavailable("The database is away")
    loops.start("heartbeat", step, 20.0, vital=True)
    await step.times(2)
    [trouble] = loops.troubles
    assert trouble == Trouble("heartbeat", "The database is away", is_fault=False, is_vital=True)
    step.error = None
    await step.times(2)
    assert not loops.troubles


async def test_the_1024th_failure_is_like_the_others(loops: Loops, pauses: list[float]) -> None:
    step = Step()
    step.error = Unavailable("away")
    loops.start("dispatch", step, 1.0, vital=True)
    await step.times(LONG_OUTAGE)
    assert sum(pauses) > 7_200, "two hours"
    assert max(pauses) == RETRY_CAP_SECONDS
    step.error = None
    await step.times(2)
    assert not loops.troubles
    assert pauses[-1] == 1.0


async def test_a_fault_of_ours_is_told_as_one(loops: Loops, pauses: list[float]) -> None:
    step = Step()
    step.error = RuntimeError("a bug")
    loops.start("dispatch", step, 1.0, vital=True)
    loops.start("watchdog", step, 1.0)
    with capture_logs() as lines:
        await step.times(4)
    assert {t.loop: (t.detail, t.is_vital) for t in loops.troubles} == {
        "dispatch": (FAULT, True),
        "watchdog": (FAULT, False),
    }
    assert {line["event"] for line in lines} == {"loop_failed"}


@pytest.mark.parametrize("stray", [True, False], ids=["cancelled from outside", "in its step"])
async def test_a_loop_that_dies_is_logged_and_started_again(
    loops: Loops, monkeypatch: pytest.MonkeyPatch, stray: bool
) -> None:
    monkeypatch.setattr("app.running.loops.RETRY_BASE_SECONDS", 0.01)
    step = Step()
    loops.start("dispatch", step, 0.01, vital=True)
    await step.times(2)
    with capture_logs() as lines:
        if stray:
            for task in asyncio.all_tasks():
                if task.get_name() == "loop dispatch":
                    task.cancel()
        else:
            step.error = asyncio.CancelledError()
            await step.times(1)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert [(t.detail, t.is_vital) for t in loops.troubles] == [(ENDED, True)]
        step.error = None
        await step.times(3)
    assert not loops.troubles
    assert [line["event"] for line in lines] == ["loop_ended"]
    assert lines[0]["loop"] == "dispatch"


async def test_a_step_that_hangs_is_told_while_it_does(
    loops: Loops, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.running.loops.OVERDUE_SECONDS", 0.0)
    began, release = asyncio.Event(), asyncio.Event()

    async def step() -> None:
        began.set()
        await release.wait()

    loops.start("dispatch", step, 3_600.0, vital=True)
    loops.start("suppression", step, 3_600.0)  # reads a long list, a page a second
    await began.wait()
    assert [(t.loop, t.stops_sending) for t in loops.troubles] == [("dispatch", True)]
    release.set()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not loops.troubles


async def test_news_come_before_the_next_look(loops: Loops) -> None:
    step, news = Step(), asyncio.Event()
    loops.start("dispatch", step, 3_600.0, news=news)
    await step.times(1)
    for _ in range(3):
        news.set()
        await step.times(1)


async def test_the_first_step_may_wait(loops: Loops) -> None:
    early, late = Step(), Step()
    loops.start("early", early, 0.01)
    loops.start("late", late, 0.01, first_after=3_600.0)
    await early.times(5)
    assert late.taken == 0


async def test_after_a_stop_no_step_begins_and_the_present_one_ends() -> None:
    stopping, began, release = Stopping(), asyncio.Event(), asyncio.Event()
    ended: list[str] = []

    async def step() -> None:
        began.set()
        await release.wait()
        ended.append("step")

    loops = Loops(stopping)
    loops.start("dispatch", step, 0.0, to_the_end=True)
    await began.wait()
    stopping.ask()
    asyncio.get_running_loop().call_soon(release.set)
    await loops.close()
    assert ended == ["step"]


@pytest.mark.parametrize("to_the_end", [True, False])
async def test_close_ends_a_step_that_hangs_and_starts_nothing_again(to_the_end: bool) -> None:
    loops, began = Loops(Stopping(grace=0.01 if to_the_end else 3_600)), asyncio.Event()

    async def step() -> None:
        began.set()
        await asyncio.Event().wait()

    loops.start("watch", step, 1.0, to_the_end=to_the_end)
    await began.wait()
    with capture_logs() as lines:
        await loops.close()
    assert lines == []
    assert not [t for t in asyncio.all_tasks() if t.get_name() == "loop watch"]


def test_every_pause_that_grows_has_an_end() -> None:
    assert backoff_seconds(10**9, 1.0, base=0.5, cap=4.0) == 4.0
