"""Waiting for something to become true, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

SPIN = 200_000
"""Steps of a loop: some 10 ms of a processor."""


def within(seconds: float) -> float:
    """What a bound that is promised in seconds comes to on this machine, as busy as it is now.

    Promises are those of a machine that is ours alone. Beside others a program waits for its turn,
    as a loop here does: its wall time by its CPU time, at most 2, is the measure. Half a second is
    for looking.
    """
    began, used = time.monotonic(), time.process_time()
    for _ in range(SPIN):
        pass
    busy = (time.monotonic() - began) / max(time.process_time() - used, 1e-3)
    return seconds * min(2.0, max(1.0, busy)) + 0.5


async def eventually(
    look: Callable[[], Awaitable[T]], *, until: Callable[[T], object], seconds: float = 60
) -> T:
    """Look again and again until it is so; gives what was seen. Fails after `seconds`."""
    deadline, pause = time.monotonic() + seconds, 0.01
    while True:
        seen = await look()
        if until(seen):
            return seen
        assert time.monotonic() < deadline, f"still not so after {seconds} s: {seen}"
        await asyncio.sleep(pause)
        pause = min(0.1, 1.3 * pause)  # who waits for long need not look so often
