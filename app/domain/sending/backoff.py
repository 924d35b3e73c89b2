"""When to try again, and when to leave SES in peace. Pure: time and chance are passed in."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field

MAX_ATTEMPTS = 8
"""Counted attempts per recipient before it is `failed`."""


def backoff_seconds(attempt: int, chance: float, *, base: float = 1.0, cap: float = 300.0) -> float:
    """Exponential backoff with full jitter, in seconds. Never more than `cap`, however many the
    attempts: every pause of the program that grows is this one.

    attempt: 1 for the first retry. chance: uniform in [0, 1); 1 for no jitter.
    Source: AWS Architecture Blog, "Exponential Backoff And Jitter" (full jitter).
    """
    return chance * min(cap, base * 2.0 ** min(attempt - 1, 30))


@dataclass
class Breaker:
    """A circuit breaker around SES. Times are seconds on any monotonic clock.

    It opens after `threshold` failures in a row, or when half of the last `window` calls failed (no
    answer, or no connection; a refusal such as throttling is an answer). While open nothing is
    sent; then one small batch is let through (half-open): its success closes the breaker, its
    failure opens it for twice as long.
    """

    threshold: int = 5
    window: int = 20
    base_seconds: float = 5.0
    cap_seconds: float = 300.0
    failures: int = 0
    open_until: float | None = None
    _proved_at: float = -math.inf
    _openings: int = 0
    _recent: deque[bool] = field(default_factory=deque)

    def state(self, now: float) -> str:
        """`closed`, `open`, or `half_open` (one small batch may go)."""
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def wait(self, now: float) -> float:
        """Seconds until a call is allowed; 0 when one is allowed now."""
        return max(0.0, self.open_until - now) if self.open_until is not None else 0.0

    @property
    def probing(self) -> bool:
        """Whether the next call is the probe after an open spell: keep it small and alone."""
        return self.open_until is not None

    @property
    def trusted(self) -> bool:
        """Whether the latest call that ended was answered; False before the first."""
        return bool(self._recent) and not self._recent[-1]

    def succeeded(self) -> None:
        """A call was answered: close the breaker."""
        if self.probing:
            self._recent.clear()
        self.failures = self._openings = 0
        self.open_until = None
        self._note(failed=False)

    def try_now(self, now: float) -> None:
        """SES answered something else again: stop waiting, and let a probe go."""
        self._proved_at = now
        if self.open_until is not None:
            self.open_until = min(self.open_until, now)

    def failed(self, now: float, began: float = math.inf) -> None:
        """A call had no answer. began: when the call did."""
        if self.wait(now) > 0:
            return  # open already: this call began before, and failed of the same outage
        if self.probing and began < self._proved_at:
            return  # this probe began before SES was seen to answer again; let the next one decide
        self.failures += 1
        self._note(failed=True)
        often = len(self._recent) == self.window and sum(self._recent) * 2 >= self.window
        if self.probing or often or self.failures >= self.threshold:
            self._openings += 1
            self.open_until = now + backoff_seconds(
                self._openings, 1.0, base=self.base_seconds, cap=self.cap_seconds
            )

    def _note(self, *, failed: bool) -> None:
        self._recent.append(failed)
        if len(self._recent) > self.window:
            self._recent.popleft()
