"""Lets loops that look for work rest while there is none.

At work, and for AWAKE_SECONDS after the last, each of them looks every second by itself, as it
would without this. Then one question for all takes their place (services/watching/find_work.py),
and wakes those that have something to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

AWAKE_SECONDS = 30.0
"""How long a loop goes on looking by itself after there was work of its kind: what follows from it
(events, the next act of the same person) comes soon."""
ASLEEP_SECONDS = 60.0
"""Between two looks of a loop at rest, for what it does by the way: things of the house, and should
the question for all not know of something."""


class Resting:
    """now: tells the time, seconds on the monotonic clock."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._awake_until: dict[str, float] = {}
        self._news: dict[str, list[asyncio.Event]] = {}

    @property
    def kinds(self) -> Sequence[str]:
        """Of work that loops here look for."""
        return tuple(self._awake_until)

    def pause(
        self, kind: str, seconds: Callable[[], float], news: asyncio.Event
    ) -> Callable[[], float]:
        """Tells a loop how long to wait for its next look. news: it waits for these, too."""
        self._news.setdefault(kind, []).append(news)
        self._awake_until[kind] = self._now() + AWAKE_SECONDS
        return lambda: seconds() if self.is_awake(kind) else max(seconds(), ASLEEP_SECONDS)

    def is_awake(self, kind: str) -> bool:
        return self._now() < self._awake_until[kind]

    def wake(self, kind: str) -> None:
        """There is work of this kind: its loops look at once, and go on looking."""
        self._awake_until[kind] = self._now() + AWAKE_SECONDS
        for news in self._news[kind]:
            news.set()
