"""How fast Notion is asked, and how long it is left alone when it wants that."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from app.errors import NotionAway

PER_SECOND = 2.5
"""Requests; Notion allows three a second on average (its API, "Request limits")."""
PATIENCE_SECONDS = 20.0
"""How long a request waits for Notion's rest to end. For a longer one the caller comes back."""
LONGEST_REST_SECONDS = 3600.0


class Pace:
    """For all requests of one client: so what one was told, all obey."""

    def __init__(
        self,
        per_second: float = PER_SECOND,
        patience_seconds: float = PATIENCE_SECONDS,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._gap = 1 / per_second
        self._patience = patience_seconds
        self._now, self._sleep = now, sleep
        self._next = 0.0  # when the next request may leave
        self._rests_until = 0.0

    async def turn(self) -> None:
        """Wait until a request may leave. Raises NotionAway when Notion rests for longer than
        patience lasts."""
        while (rest := self._rests_until - self._now()) > 0:
            if not self.is_patient(rest):
                raise slow(rest)
            await self._sleep(rest)
        now = self._now()
        mine = max(self._next, now)
        self._next = mine + self._gap
        if mine > now:
            await self._sleep(mine - now)

    def rest(self, seconds: float) -> None:
        """No request leaves for so long."""
        until = self._now() + min(seconds, LONGEST_REST_SECONDS)
        self._rests_until = max(self._rests_until, until)

    def is_patient(self, seconds: float) -> bool:
        """Whether so long a rest is waited for."""
        return seconds <= self._patience


def slow(seconds: float) -> NotionAway:
    return NotionAway(
        f"Notion is slow and asks to wait {seconds:.0f} s.",
        retry_after=seconds,
    )
