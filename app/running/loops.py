"""Work that is done again and again for as long as the process runs, and watched while it is.

A loop takes one step, waits, and takes the next. A step that fails is logged and tried again, ever
later up to RETRY_CAP_SECONDS. A loop that ends although nobody asked it to, or that somebody
cancelled, is logged and started again. Until a step has gone well once more, `troubles` says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

import structlog

from app.domain.sending.backoff import backoff_seconds
from app.errors import Unavailable
from app.running.resting import Resting
from app.running.stopping import Stopping

log = structlog.get_logger(__name__)

RETRY_BASE_SECONDS = 0.5
RETRY_CAP_SECONDS = 4.0
"""Between two tries of what failed: work goes on so soon after an outage."""
OVERDUE_SECONDS = 300.0
"""A step of a vital loop that takes longer hangs: none waits for anything that long."""
FAULT = "A fault of ours; the log has it"
ENDED = "It ended, and is started again; the log has why"


@dataclass(frozen=True)
class Trouble:
    """Why a loop does not do its work now, in a sentence without its full stop.

    is_fault: it won't pass by itself as an outage does. is_vital: without it nothing is sent.
    """

    loop: str
    detail: str
    is_fault: bool
    is_vital: bool

    @property
    def stops_sending(self) -> bool:
        return self.is_fault and self.is_vital


@dataclass
class _Loop:
    name: str
    step: Callable[[], Awaitable[object]]
    seconds: Callable[[], float]
    news: asyncio.Event | None
    first_after: float
    vital: bool
    to_the_end: bool
    began: float | None = None
    """When the present step did (monotonic); None between two steps."""
    deaths: int = 0
    """In a row, without a step that went well."""
    task: asyncio.Task[None] | None = None
    restart: asyncio.TimerHandle | None = None


class Loops:
    """Start each loop once; `close`, or leave the `async with`, to end them all.

    stopping: once a stop is asked for, no loop takes another step. resting: lets loops that look
    for work rest while there is none; None: they never do.
    """

    def __init__(self, stopping: Stopping | None = None, *, resting: Resting | None = None) -> None:
        self._stopping = stopping or Stopping()
        self.resting = resting
        self._loops: dict[str, _Loop] = {}
        self._troubles: dict[str, Trouble] = {}

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """One for each loop whose latest step failed, or that ended by itself."""
        now = time.monotonic()
        hanging = {
            loop.name: _hangs(loop.name, now - loop.began)
            for loop in self._loops.values()
            if loop.vital and loop.began is not None and now - loop.began > OVERDUE_SECONDS
        }
        return tuple((self._troubles | hanging).values())

    def start(
        self,
        name: str,
        step: Callable[[], Awaitable[object]],
        seconds: float | Callable[[], float],
        *,
        kind: str | None = None,
        news: asyncio.Event | None = None,
        first_after: float = 0.0,
        vital: bool = False,
        to_the_end: bool = False,
    ) -> None:
        """Take `step` every `seconds`, sooner when there are `news`, from now until `close`.

        seconds: or what says so after each step. kind: of work that it looks for, seldom while
        there is none (resting.py). first_after: seconds before the first step. vital: nothing is
        sent while this loop fails. to_the_end: at the stop, a step under way may end.
        """
        assert name not in self._loops, f"the loop {name} runs already"
        pause = seconds if callable(seconds) else _always(seconds)
        if kind is not None and self.resting is not None:
            news = news or asyncio.Event()
            pause = self.resting.pause(kind, pause, news)
        self._loops[name] = _Loop(name, step, pause, news, first_after, vital, to_the_end)
        self._run(self._loops[name])

    async def close(self) -> None:
        """Ask for a stop, and return when every loop has ended, by the stop's deadline at the
        latest."""
        self._stopping.ask()
        for loop in self._loops.values():
            if loop.restart is not None:
                loop.restart.cancel()
        running = {loop.task: loop for loop in self._loops.values() if loop.task is not None}
        for task, loop in running.items():
            if not loop.to_the_end:
                task.cancel()
        if running:
            _, late = await asyncio.wait(running, timeout=self._stopping.left)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _run(self, loop: _Loop) -> None:
        loop.task = asyncio.create_task(self._steps(loop), name=f"loop {loop.name}")
        # Watched by a callback: a second task that waits for the loop could itself die unseen.
        loop.task.add_done_callback(lambda task: self._ended(loop, task))

    async def _steps(self, loop: _Loop) -> None:
        failures = 0
        if loop.first_after and not loop.deaths:
            await self._stopping.sleep(loop.first_after)
        while not self._stopping.asked:
            if loop.news is not None:
                loop.news.clear()
            trouble = await self._try_step(loop)
            if trouble is None:
                failures = loop.deaths = 0
                self._troubles.pop(loop.name, None)
                await self._stopping.sleep(loop.seconds(), loop.news)
            else:
                failures += 1
                self._troubles[loop.name] = trouble
                base = min(RETRY_BASE_SECONDS, loop.seconds())
                await self._stopping.sleep(
                    backoff_seconds(failures, 1.0, base=base, cap=RETRY_CAP_SECONDS)
                )

    async def _try_step(self, loop: _Loop) -> Trouble | None:
        loop.began = time.monotonic()
        try:
            await loop.step()
        except Unavailable as exc:
            log.warning("loop_waits", loop=loop.name, error=exc.detail)
            return Trouble(loop.name, exc.detail, is_fault=False, is_vital=loop.vital)
        except Exception:
            log.exception("loop_failed", loop=loop.name)
            return Trouble(loop.name, FAULT, is_fault=True, is_vital=loop.vital)
        finally:
            loop.began = None
        return None

    def _ended(self, loop: _Loop, task: asyncio.Task[None]) -> None:
        if self._stopping.asked:
            return
        loop.deaths += 1
        self._troubles[loop.name] = Trouble(loop.name, ENDED, is_fault=True, is_vital=loop.vital)
        error = None if task.cancelled() else task.exception()
        log.error("loop_ended", loop=loop.name, times=loop.deaths, exc_info=error)
        pause = backoff_seconds(loop.deaths, 1.0, base=RETRY_BASE_SECONDS, cap=RETRY_CAP_SECONDS)
        loop.restart = asyncio.get_running_loop().call_later(pause, self._run, loop)


def _always(seconds: float) -> Callable[[], float]:
    return lambda: seconds


def _hangs(name: str, seconds: float) -> Trouble:
    detail = f"It has been at one step for {seconds / 60:.0f} minutes"
    return Trouble(name, detail, is_fault=True, is_vital=True)
