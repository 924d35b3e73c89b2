"""A schedule as a person gives it, and the instants that come of it. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from app.domain.schedules.times import NoWallTime, instant, wall_time
from app.domain.schedules.zones import UnknownZone, find_zone, zone_names

Passed = Literal["now", "next_day", "skip"]
PASSED: tuple[Passed, ...] = ("now", "next_day", "skip")
RECIPIENT = "recipient"
"""In place of a zone: each recipient's own."""
NO_ZONE = ""
"""Stands for all whose zone isn't known: they are mailed at the fallback's time."""
LATE = timedelta(hours=1)
"""An hour lasts so long: what is later isn't sent by itself any more."""
FARTHEST = timedelta(days=366)


class ScheduleInvalid(Exception):
    """field: `at`, `zone`, `fallback` or `passed`. Carries a sentence with the remedy."""

    def __init__(self, field: str, detail: str) -> None:
        super().__init__(f"{field}: {detail}")
        self.field = field


@dataclass(frozen=True)
class Schedule:
    """wall: by the clocks of `zone`, which is RECIPIENT or an IANA name. fallback, passed: with
    RECIPIENT alone: the zone of those whose own isn't known, and what becomes of those for whom
    the hour has passed at the start."""

    wall: datetime
    zone: str
    fallback: str | None = None
    passed: Passed | None = None

    @property
    def by_recipient(self) -> bool:
        return self.zone == RECIPIENT

    def as_json(self) -> dict[str, str]:
        """What is kept with the mailout; `read_schedule` reads it."""
        given = {
            "at": self.wall.isoformat(timespec="seconds" if self.wall.second else "minutes"),
            "zone": self.zone,
            "fallback": self.fallback,
            "passed": self.passed,
        }
        return {name: value for name, value in given.items() if value is not None}


def read_schedule(given: Mapping[str, Any], default_zone: str) -> Schedule:
    """default_zone: where none is given, of the schedule or its fallback. Raises
    ScheduleInvalid."""
    try:
        wall = wall_time(str(given.get("at") or ""))
    except NoWallTime as exc:
        raise ScheduleInvalid("at", str(exc)) from None
    zone = str(given.get("zone") or default_zone)
    if zone.strip().casefold() != RECIPIENT:
        for name in ("fallback", "passed"):
            if given.get(name):
                raise ScheduleInvalid(
                    name, 'it belongs to the zone "recipient" alone; leave it out.'
                )
        return Schedule(wall, _zone("zone", zone))
    passed = str(given.get("passed") or "now")
    if passed not in PASSED:
        raise ScheduleInvalid("passed", f"use one of {', '.join(PASSED)}.")
    fallback = _zone("fallback", str(given.get("fallback") or default_zone))
    return Schedule(wall, RECIPIENT, fallback, passed)


def _zone(field: str, name: str) -> str:
    try:
        return find_zone(name).key
    except UnknownZone as exc:
        raise ScheduleInvalid(field, str(exc)) from None


@dataclass(frozen=True)
class ZoneTime:
    """at: None: those there are skipped. next_at: should the hour have passed by the start."""

    at: datetime | None
    next_at: datetime


@dataclass(frozen=True)
class Wave:
    """Those who are mailed at one instant. zones: by name. recipients: of the zones, and of those
    `unknown`, whose zone isn't known."""

    at: datetime
    zones: tuple[str, ...]
    recipients: int
    unknown: int = 0


@dataclass(frozen=True)
class Plan:
    """starts_at: the first instant at which somebody is mailed. zone_times: by name in small
    letters, with NO_ZONE; empty when all go at once. skipped: recipients for whom the hour has
    passed. notes: on daylight saving."""

    starts_at: datetime
    waves: tuple[Wave, ...]
    zone_times: Mapping[str, ZoneTime]
    skipped: int
    notes: tuple[str, ...]


def plan(schedule: Schedule, recipients: Mapping[str, int], now: datetime) -> Plan:
    """recipients: how many live in each zone, by name in small letters; whatever is no zone counts
    as unknown. Raises ScheduleInvalid for a time that has passed for everybody or is too far."""
    if not schedule.by_recipient:
        when = instant(schedule.wall, find_zone(schedule.zone))
        _check(when.at, when.at, now)
        wave = Wave(when.at, (schedule.zone,), sum(recipients.values()))
        return Plan(when.at, (wave,), {}, 0, _notes([when.note]))
    counts = _by_zone(recipients)
    assert schedule.fallback is not None
    first = {name.casefold(): instant(schedule.wall, find_zone(name)) for name in zone_names()} | {
        NO_ZONE: instant(schedule.wall, find_zone(schedule.fallback))
    }
    meant = [first[zone].at for zone, count in counts.items() if count] or [first[NO_ZONE].at]
    _check(min(meant), max(meant), now)
    times = {zone: _zone_time(schedule, zone, when.at, now) for zone, when in first.items()}
    waves, skipped = _waves(counts, times)
    notes = _notes(first[zone].note for zone, count in sorted(counts.items()) if count)
    starts_at = waves[0].at if waves else first[NO_ZONE].at
    return Plan(starts_at, waves, times, skipped, notes)


def _check(first: datetime, last: datetime, now: datetime) -> None:
    if last <= now:
        raise ScheduleInvalid(
            "at", f"that was {last:%Y-%m-%d %H:%M} UTC, which has passed. Choose a later time."
        )
    if first > now + FARTHEST:
        raise ScheduleInvalid("at", "that is more than a year ahead. Choose an earlier time.")


def _by_zone(recipients: Mapping[str, int]) -> dict[str, int]:
    known = {name.casefold() for name in zone_names()}
    counts: defaultdict[str, int] = defaultdict(int)
    for zone, count in recipients.items():
        counts[zone if zone in known else NO_ZONE] += count
    return dict(counts)


def _zone_time(schedule: Schedule, zone: str, at: datetime, now: datetime) -> ZoneTime:
    place = find_zone(zone or schedule.fallback or "UTC")
    days = 1
    while at <= now - LATE and _later(schedule.wall, days, place) <= now:
        days += 1
    following = _later(schedule.wall, days, place)
    if at > now - LATE:
        return ZoneTime(at, following)
    if schedule.passed == "next_day":
        return ZoneTime(following, _later(schedule.wall, days + 1, place))
    return ZoneTime(now if schedule.passed == "now" else None, following)


def _later(wall: datetime, days: int, zone: ZoneInfo) -> datetime:
    return instant(wall + timedelta(days=days), zone).at


def _waves(
    counts: Mapping[str, int], times: Mapping[str, ZoneTime]
) -> tuple[tuple[Wave, ...], int]:
    together: defaultdict[datetime, dict[str, int]] = defaultdict(dict)
    skipped = 0
    for zone, count in counts.items():
        at = times[zone].at
        if at is None:
            skipped += count
        elif count:
            together[at][zone] = count
    return tuple(
        Wave(
            at,
            tuple(sorted(find_zone(zone).key for zone in zones if zone != NO_ZONE)),
            sum(zones.values()),
            zones.get(NO_ZONE, 0),
        )
        for at, zones in sorted(together.items())
    ), skipped


def _notes(notes: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(note for note in notes if note))
