"""Whether rate and daily quota carry the waves of a mailout. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.domain.reports.words import duration, plural
from app.domain.schedules.plan import LATE, Wave

_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Capacity:
    """rate: recipients per second. quota_left, daily_quota: recipients in the rolling 24 hours.
    None: not known, or no limit."""

    rate: float | None = None
    quota_left: float | None = None
    daily_quota: float | None = None


@dataclass(frozen=True)
class WaveOutlook:
    """ends_at: when its last recipient is mailed, at this rate; None: not known. over_quota:
    recipients for whom the quota doesn't suffice then."""

    ends_at: datetime | None
    over_quota: int


def look_ahead(waves: Sequence[Wave], capacity: Capacity, now: datetime) -> list[WaveOutlook]:
    """waves: in the order of time. A wave waits until the one before it is out."""
    found: list[WaveOutlook] = []
    free_at = now
    for number, wave in enumerate(waves):
        ends_at = None
        if capacity.rate:
            seconds = wave.recipients / capacity.rate
            ends_at = max(wave.at, free_at) + timedelta(seconds=seconds)
            free_at = ends_at
        found.append(WaveOutlook(ends_at, _over_quota(waves[: number + 1], capacity, now)))
    return found


def _over_quota(waves: Sequence[Wave], capacity: Capacity, now: datetime) -> int:
    """Of the last of these waves. What was sent before now still counts for a day."""
    if capacity.daily_quota is None or capacity.quota_left is None:
        return 0
    this = waves[-1]
    sent = capacity.daily_quota - capacity.quota_left if this.at < now + _DAY else 0
    recent = sum(wave.recipients for wave in waves if wave.at > this.at - _DAY)
    return int(min(this.recipients, max(0.0, sent + recent - capacity.daily_quota)))


def warn_of(
    waves: Sequence[Wave], outlooks: Sequence[WaveOutlook], daily: float | None
) -> list[str]:
    """Sentences for a person about what won't go at its time."""
    warnings = []
    for wave, outlook in zip(waves, outlooks, strict=True):
        name = f"The wave at {wave.at:%Y-%m-%d %H:%M} UTC"
        if outlook.ends_at and outlook.ends_at > wave.at + LATE:
            takes = duration((outlook.ends_at - wave.at).total_seconds())
            warnings.append(
                f"{name} ({plural(wave.recipients, 'recipient')}) is out {takes} after its time, "
                "at the present rate."
            )
        if outlook.over_quota:
            warnings.append(
                f"{name} goes beyond the daily quota of {daily:,.0f} by "
                f"{plural(outlook.over_quota, 'recipient')}: they wait until it frees."
            )
    return warnings
