"""Hours that pass in seconds: while they do, the program's own pauses take no time, and its clock
jumps from one to the next."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections import Counter
from types import SimpleNamespace

import pytest

from app.running.stopping import Stopping

CLOCKS = (
    "app.services.sending.account",
    "app.services.sending.send_batch",
    "app.services.sending.dispatch",
    "app.services.sending.housekeeping",
    "app.services.sending.sender_report",
    "app.services.sending.upkeep",
)


TURNS = 12
"""Of the event loop in each step: what was woken does its work."""


class VirtualTime:
    """Stands in for the clock and the pauses of the sender and of every watched loop.

    slept: how many pauses of each length there were while hours passed, in seconds.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.slept: Counter[float] = Counter()
        self._skipped = 0.0
        self._passing = False
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._number = itertools.count()
        clock = SimpleNamespace(monotonic=self.monotonic, time=time.time)
        for module in CLOCKS:
            patch.setattr(f"{module}.time", clock)

        async def sleep(
            stopping: Stopping, seconds: float, until: asyncio.Event | None = None
        ) -> None:
            await self._sleep(stopping, seconds, until)

        patch.setattr(Stopping, "sleep", sleep)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    async def passes(self, seconds: float, *, step: float = 1.0, pause: float = 0.0) -> None:
        """So much time passes for the program. step: how much at a time. pause: real seconds after
        each, where threads have something to do."""
        end = self.monotonic() + seconds
        self._passing = True
        while (now := self.monotonic()) < end:
            self._skipped += step
            while self._sleepers and self._sleepers[0][0] <= now + step:
                heapq.heappop(self._sleepers)[2].set()
            for _ in range(TURNS):
                await asyncio.sleep(0)
            await asyncio.sleep(pause)
        self._passing = False

    async def _sleep(self, stopping: Stopping, seconds: float, until: asyncio.Event | None) -> None:
        if self._passing:
            self.slept[seconds] += 1
        over = asyncio.Event()
        heapq.heappush(self._sleepers, (self.monotonic() + seconds, next(self._number), over))
        events = [over] if until is None else [over, until]
        waits: list[asyncio.Future[object]] = [asyncio.create_task(each.wait()) for each in events]
        waits.append(asyncio.create_task(stopping.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
