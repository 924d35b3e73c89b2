"""How fast a mailbox provider that defers is mailed: halved while it defers, then a little faster
with every minute in which it doesn't, until it needs no limit any more.

The same rule as TCP's (RFC 5681: additive increase, multiplicative decrease), because the question
is the same: nobody tells how much the other side takes, it only says when it was too much.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

WINDOW_SECONDS = 600
"""How far back deferrals are counted."""
MIN_DEFERRED = 10
"""Fewer deferrals slow nobody down: some mail is always deferred, by greylisting for one."""
MIN_DEFERRED_SLOWED = 3
"""The same for a provider that is slow already, and so gets few mails that could be deferred."""
TOO_MANY = 0.10
"""The share of deferrals from which on a provider is slowed down."""
FEW = 0.05
"""The share up to which it may be mailed faster again."""
DECREASE = 0.5
INCREASES = 20
"""In so many steps it comes back from nothing to the rate at which it began to defer."""
DECREASE_EVERY = timedelta(minutes=2)
"""Deferrals are told of late: until then those of the earlier rate still come in."""
INCREASE_EVERY = timedelta(minutes=1)
SLOWEST = 1 / 60
"""Mails per second: one a minute still shows whether it takes them again."""
TRUSTED_FOR = timedelta(minutes=5)
"""How long a rate holds that nobody looks at: a limit must not outlive who would lift it."""


@dataclass(frozen=True)
class Figures:
    """What a provider answered within `WINDOW_SECONDS`, of one route's mails; of a provider that
    is slowed down, only of mails since it was last made slower. rate: mails per second that it
    answered, while it answered."""

    delivered: int
    deferred: int
    rate: float

    @property
    def share(self) -> float:
        answered = self.delivered + self.deferred
        return self.deferred / answered if answered else 0.0


@dataclass(frozen=True)
class Pace:
    """rate: mails per second. ceiling: the rate at which it began to defer. slowed_at, raised_at:
    when it was last made slower, and last changed at all. deferred, answered: what the last slowing
    was for."""

    rate: float
    ceiling: float
    since: datetime
    slowed_at: datetime
    raised_at: datetime
    deferred: int
    answered: int


def next_pace(pace: Pace | None, figures: Figures, now: datetime) -> Pace | None:
    """The pace from now on; None: no limit."""
    defers = figures.share >= TOO_MANY
    if pace is None:
        if not defers or figures.deferred < MIN_DEFERRED:
            return None
        ceiling = max(figures.rate, SLOWEST / DECREASE)
        return _slowed(Pace(ceiling, ceiling, now, now, now, 0, 0), figures, now)
    if defers and figures.deferred >= MIN_DEFERRED_SLOWED:
        if now - pace.slowed_at < DECREASE_EVERY:
            return pace
        return _slowed(pace, figures, now)
    if figures.share > FEW or now - pace.raised_at < INCREASE_EVERY:
        return pace
    rate = pace.rate + pace.ceiling / INCREASES
    return None if rate >= pace.ceiling else replace(pace, rate=rate, raised_at=now)


def _slowed(pace: Pace, figures: Figures, now: datetime) -> Pace:
    return replace(
        pace,
        rate=max(pace.rate * DECREASE, SLOWEST),
        slowed_at=now,
        raised_at=now,
        deferred=figures.deferred,
        answered=figures.delivered + figures.deferred,
    )
