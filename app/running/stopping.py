"""A stop that was asked for, and the time that is left until the process has to be gone."""

from __future__ import annotations

import asyncio
import time
from typing import Any

GRACE_SECONDS = 8.0
"""How long what is under way may take after a stop was asked for."""


class Stopping:
    """Says whether a stop was asked for; whatever waits, waits through it and so notices at once.

    Times are seconds on the monotonic clock.
    """

    def __init__(self, grace: float = GRACE_SECONDS) -> None:
        self._asked = asyncio.Event()
        self._grace = grace
        self._deadline = float("inf")

    def ask(self) -> None:
        """Ask for the stop; the deadline counts from the first time."""
        if not self._asked.is_set():
            self._deadline = time.monotonic() + self._grace
            self._asked.set()

    @property
    def asked(self) -> bool:
        return self._asked.is_set()

    @property
    def left(self) -> float:
        """Seconds until the deadline; infinite while nobody asked."""
        return max(0.0, self._deadline - time.monotonic())

    async def wait(self) -> None:
        """Return when a stop is asked for."""
        await self._asked.wait()

    async def sleep(self, seconds: float, until: asyncio.Event | None = None) -> None:
        """Sleep, at most until the stop or until `until` is set."""
        waits = [asyncio.create_task(self._asked.wait())]
        if until is not None:
            waits.append(asyncio.create_task(until.wait()))
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def ended(self, work: asyncio.Future[Any]) -> bool:
        """Wait until `work` has ended, once a stop is asked for only until the deadline; gives
        whether it has."""
        asked = asyncio.create_task(self._asked.wait())
        first: list[asyncio.Future[Any]] = [work, asked]
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
        finally:
            asked.cancel()
        if not work.done():
            await asyncio.wait([work], timeout=self.left)
        return work.done()
