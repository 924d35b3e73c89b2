"""How often somebody may be refused before the refusals themselves are limited. Pure: time is
passed in, memory is bounded.

What is right is never limited, so nobody can lock out another by being wrong in their name: behind
a proxy that isn't trusted, at Notion or at Amazon, friend and stranger come from one address. It
follows that the limit doesn't bound how many secrets may be tried, which is what their 32
characters are for (docs/security.md#rate-limits).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["sign_in", "secret", "other"]
"""sign_in: a wrong secret typed into the dashboard's form. secret: any other wrong secret, key or
cookie. other: whatever else was refused, such as wrong links and junk."""


@dataclass(frozen=True)
class Budget:
    """burst: refusals at once. per_second: how fast they come back."""

    burst: float
    per_second: float


BUDGETS: dict[Kind, Budget] = {
    "sign_in": Budget(5, 5 / 60),
    "secret": Budget(250, 2),
    "other": Budget(600, 10),
}
ALL = Budget(6_000, 100)
"""Of all clients together, who may be many thousands."""
MAX_CLIENTS = 10_000
"""Remembered at once, by kind; the longest unseen is forgotten first."""


@dataclass
class _Bucket:
    left: float
    at: float

    def refill(self, budget: Budget, now: float) -> None:
        self.left = min(budget.burst, self.left + (now - self.at) * budget.per_second)
        self.at = now

    def wait(self, budget: Budget) -> float:
        return 0.0 if self.left >= 1 else (1 - self.left) / budget.per_second


@dataclass
class Refusals:
    """A token bucket for each client and kind, and one for all. now: seconds of any monotonic
    clock. client: as network_of names it."""

    _buckets: OrderedDict[tuple[str, Kind], _Bucket] = field(default_factory=OrderedDict)
    _all: _Bucket = field(default_factory=lambda: _Bucket(ALL.burst, 0.0))

    def count(self, client: str, kind: Kind, now: float) -> float:
        """One more refusal: 0 when it is within the budget, else the seconds until one is again."""
        bucket = self._buckets.setdefault((client, kind), _Bucket(BUDGETS[kind].burst, now))
        self._buckets.move_to_end((client, kind))
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        bucket.refill(BUDGETS[kind], now)
        self._all.refill(ALL, now)
        wait = max(bucket.wait(BUDGETS[kind]), self._all.wait(ALL))
        if not wait:
            bucket.left -= 1
            self._all.left -= 1
        return wait

    def wait(self, client: str, kind: Kind, now: float) -> float:
        """Seconds until a refusal of this client is within its budget; 0: the next one is."""
        bucket = self._buckets.get((client, kind))
        if bucket is None:
            return 0.0
        bucket.refill(BUDGETS[kind], now)
        return bucket.wait(BUDGETS[kind])
