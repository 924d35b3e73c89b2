"""The last look before a request leaves: is its claim still young enough?"""

from __future__ import annotations

import time


class LeaseLost(Exception):
    """Too long since the recipients were claimed: the request was stopped before it left."""


class Fence:
    """Stops a request whose claim is old, at the last moment before it leaves.

    A process may be stopped for minutes (SIGSTOP, a paused machine) between claiming and sending,
    while another declares its recipients `unknown`. `boot` counts through a suspended machine;
    the wall clock through a paused virtual one. The later of both counts.
    """

    def __init__(self, max_age_seconds: float) -> None:
        self._boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._wall = time.time()
        self._max_age = max_age_seconds

    def check(self) -> None:
        """Raises LeaseLost when the claim is too old."""
        age = max(time.clock_gettime(time.CLOCK_BOOTTIME) - self._boot, time.time() - self._wall)
        if age > self._max_age:
            raise LeaseLost(f"claimed {age:.1f} s ago, at most {self._max_age:.1f} s are allowed")
