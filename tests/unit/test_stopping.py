"""A stop that was asked for: who waits is woken, and what hangs is left at the deadline."""

from __future__ import annotations

import asyncio

import pytest

from app.running.stopping import Stopping

LONG = 60.0


def test_there_is_time_without_end_until_it_is_asked_for() -> None:
    stopping = Stopping(grace=5)
    assert not stopping.asked
    assert stopping.left == float("inf")


def test_the_deadline_counts_from_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("app.running.stopping.time.monotonic", lambda: now)
    stopping = Stopping(grace=5)
    stopping.ask()
    assert (stopping.asked, stopping.left) == (True, 5)
    now = 103.0
    stopping.ask()
    assert stopping.left == 2
    now = 110.0
    assert stopping.left == 0


@pytest.mark.parametrize("by", ["stop", "news"])
async def test_a_sleep_ends_at_the_stop_and_at_news(by: str) -> None:
    stopping, news = Stopping(), asyncio.Event()
    sleep = asyncio.create_task(stopping.sleep(LONG, news))
    await asyncio.sleep(0)
    if by == "stop":
        stopping.ask()
    else:
        news.set()
    async with asyncio.timeout(5):
        await sleep


async def test_a_sleep_ends_by_itself_and_after_the_stop_at_once() -> None:
    stopping = Stopping()
    async with asyncio.timeout(5):
        await stopping.sleep(0.01)
        stopping.ask()
        await stopping.sleep(LONG)
        await stopping.wait()


async def test_work_is_waited_for_to_its_end() -> None:
    work = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(Stopping().ended(work))
    await asyncio.sleep(0)
    assert not waiting.done()
    work.set_result(1)
    assert await waiting is True


async def test_work_that_ends_after_the_stop_but_in_time_counts() -> None:
    stopping = Stopping(grace=LONG)
    work = asyncio.get_running_loop().create_future()
    waiting = asyncio.create_task(stopping.ended(work))
    stopping.ask()
    await asyncio.sleep(0)
    work.set_exception(ValueError("its result is the caller's matter"))
    assert await waiting is True
    assert isinstance(work.exception(), ValueError)


async def test_work_that_hangs_is_left_at_the_deadline() -> None:
    stopping = Stopping(grace=0.01)
    work = asyncio.get_running_loop().create_future()
    stopping.ask()
    async with asyncio.timeout(5):
        assert await stopping.ended(work) is False
    assert not work.cancelled()  # it goes on; nobody waits for it
