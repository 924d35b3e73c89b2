"""Waiting for something to become true, with an end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    look: Callable[[], Awaitable[T]], *, until: Callable[[T], object], seconds: float = 20
) -> T:
    """Look again and again until it is so; gives what was seen. Fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        seen = await look()
        if until(seen):
            return seen
        assert time.monotonic() < deadline, f"still not so after {seconds} s: {seen}"
        await asyncio.sleep(0.02)
