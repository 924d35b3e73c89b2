"""When a wall time is in a zone, over daylight saving too. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_WALL = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)")
_YEARS = range(1971, 9990)
"""Years in which every zone's offset can be added without leaving the calendar."""


class NoWallTime(Exception):
    """Carries a sentence with the remedy."""


@dataclass(frozen=True)
class Instant:
    """at: in UTC. note: what the person should know of it, in a sentence; None: nothing."""

    at: datetime
    note: str | None = None


def wall_time(text: str) -> datetime:
    """`2026-12-01T09:00` as a time without a zone. Raises NoWallTime."""
    found = _WALL.fullmatch(text.strip())
    try:
        wall = datetime.fromisoformat("T".join(found.groups())) if found else None
    except ValueError:  # 30 February
        wall = None
    if wall is None or wall.year not in _YEARS:
        raise NoWallTime(
            "use a date and a time of the clock such as 2026-12-01T09:00, without an offset: "
            "the zone is named apart."
        )
    return wall


def instant(wall: datetime, zone: ZoneInfo) -> Instant:
    """The instant at which the clocks of `zone` show `wall`.

    In spring an hour is left out: a time in it becomes the first instant after it. In autumn an
    hour comes twice: the first one counts.
    """
    first, second = (wall.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None and second is not None
    if first == second:
        return Instant((wall - first).replace(tzinfo=UTC))
    day = f"{wall:%Y-%m-%d}"
    if first > second:
        note = f"{_clock(wall)} comes twice on {day} in {zone.key}: it goes at the first."
        return Instant((wall - first).replace(tzinfo=UTC), note)
    at = _first_with(second, zone, wall - second, wall - first)
    local = at.astimezone(zone)
    when = _clock(local) if local.date() == wall.date() else f"{local:%Y-%m-%d} {_clock(local)}"
    return Instant(at, f"{_clock(wall)} doesn't exist on {day} in {zone.key}: it goes at {when}.")


def _first_with(offset: timedelta, zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The first instant with this offset between two times of UTC, to the second."""
    low, high = 0, int((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        at = (before + timedelta(seconds=middle)).replace(tzinfo=UTC)
        if at.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle + 1
    return (before + timedelta(seconds=low)).replace(tzinfo=UTC)


def _clock(time: datetime) -> str:
    return f"{time:%H:%M:%S}".removesuffix(":00")
