"""`POST /mailouts/{id}/schedule`: have a mailout start at a time, by the clocks of one zone or of
each recipient's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from app.domain.schedules.outlook import Capacity, WaveOutlook, look_ahead, warn_of
from app.domain.schedules.plan import (
    NO_ZONE,
    Plan,
    Schedule,
    ScheduleInvalid,
    Wave,
    plan,
    read_schedule,
)
from app.domain.schedules.times import instant
from app.domain.schedules.zones import UnknownZone, find_zone
from app.errors import (
    InvalidRequest,
    MailoutNotFound,
    TransitionNotAllowed,
)
from app.services.audience.changes import audience_diff, require_confirmed
from app.services.starting.send_warnings import send_warnings
from app.services.starting.start_mailout import (
    MAX_CHANGES,
    StartMailout,
    audience_empty,
    being_edited,
    not_ready,
)
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class ScheduleMailout:
    """now: tells the time."""

    store: Store
    settings: Settings
    start: StartMailout
    now: Callable[[], datetime] = utc_now

    async def __call__(
        self,
        mailout_id: UUID,
        given: Mapping[str, Any],
        *,
        confirm_audience: int | None = None,
        by: str | None = None,
    ) -> dict[str, Any]:
        """ready → scheduled, with the checks of a start. given: `at`, `zone`, `fallback`, `passed`.
        A repeat with the same schedule gets the same answer. confirm_audience: as of a request to
        send (SendRequest). by: who asks, for the audit log.

        Raises InvalidRequest for a schedule that can't be, MailoutNotFound, MailoutNotReady,
        TransitionNotAllowed when it has another schedule, AudienceEmpty, AudienceChanged,
        TemplateInvalid, SesNotConfigured; then nothing was changed.
        """
        schedule = self._read(given)
        for _ in range(MAX_CHANGES):
            mailout = await self.store.find_mailout(mailout_id)
            if mailout is None:
                raise MailoutNotFound(f"There is no mailout {mailout_id}.")
            if mailout.status == "scheduled":
                return await self._repeat(mailout_id, schedule)
            if mailout.status != "ready":
                raise not_ready(mailout_id, mailout.status)
            self.start.require_configuration(tracking=mailout.content.tracking, kept=mailout.region)
            await self.start.check_start(mailout)
            await require_confirmed(self.store, mailout_id, mailout.status, confirm_audience)
            zones = await self._zones(mailout_id, schedule)
            planned = await self._plan(schedule, zones)
            done = await self.store.schedule_mailout(
                mailout_id,
                mailout.content_hash,
                schedule=schedule.as_json(),
                at=planned.starts_at,
                zones=zone_rows(planned, zones) if schedule.by_recipient else None,
                recipients=sum(zones.values()),
                by=by,
            )
            if done.outcome == "scheduled":
                log.info(
                    "mailout_scheduled",
                    mailout_id=str(mailout_id),
                    at=planned.starts_at.isoformat(),
                    waves=len(planned.waves),
                )
                warnings = send_warnings(self.settings, mailout)
                found = await self.store.show_mailout(mailout_id)
                return self._described(found) | await self._outcome(
                    planned, warnings, mailout.region
                )
            if done.outcome == "audience_empty":
                raise audience_empty(mailout_id)
            # It was edited, started or scheduled meanwhile: look again.
        raise being_edited()

    async def look(self, mailout_id: UUID, given: Mapping[str, Any]) -> dict[str, Any]:
        """What would come of it, as the call answers, without doing it or checking the content.
        confirms: the number with which a changed audience is confirmed.

        Raises InvalidRequest, MailoutNotFound, AudienceEmpty.
        """
        schedule = self._read(given)
        zones = await self._zones(mailout_id, schedule)
        if not sum(zones.values()):
            raise audience_empty(mailout_id)
        planned = await self._plan(schedule, zones)
        diff = await audience_diff(self.store, mailout_id)
        warnings = [diff.finding.what] if diff is not None and diff.is_large else []
        kept = (await self.store.mailout_headline(mailout_id))["region"]
        return await self._outcome(planned, warnings, kept) | {
            "recipients": sum(zones.values()),
            "confirms": diff.now if diff else None,
        }

    async def take_back(self, mailout_id: UUID, *, by: str | None = None) -> dict[str, Any]:
        """scheduled → ready; nothing happens to one that is ready already.

        Raises MailoutNotFound, TransitionNotAllowed.
        """
        moved = await self.store.unschedule_mailout(mailout_id, by=by)
        if moved.status != "ready":
            raise TransitionNotAllowed(
                f"Mailout {mailout_id} is {moved.status}: it has no schedule to take back.",
                mailout_status=moved.status,
            )
        return {"mailout_id": str(mailout_id), "status": moved.status}

    async def waves(self, mailout: Mapping[str, Any]) -> dict[str, Any]:
        """`waves` and `notes` of a mailout as `show_mailout` gives it; no waves without a
        schedule."""
        rows = await self.store.mailout_waves(UUID(mailout["id"])) if mailout["schedule"] else None
        if rows is None:
            return {"waves": [], "notes": []}
        waves = [
            Wave(
                datetime.fromisoformat(row["at"]),
                tuple(_named(zone) for zone in row["zones"]),
                row["recipients"],
                row["unknown"],
            )
            for row in rows
        ]
        outlooks = await self._outlook(
            [
                replace(w, recipients=w.recipients - row["done"])
                for w, row in zip(waves, rows, strict=True)
            ],
            mailout["region"],
        )
        return {
            "waves": [
                _row(wave, row["done"], outlook if row["done"] < row["recipients"] else None)
                for wave, row, outlook in zip(waves, rows, outlooks[0], strict=True)
            ],
            "notes": _notes(read_schedule(mailout["schedule"], self.settings.timezone), waves),
        }

    def _read(self, given: Mapping[str, Any]) -> Schedule:
        try:
            return read_schedule(given, self.settings.timezone)
        except ScheduleInvalid as exc:
            raise InvalidRequest(str(exc), field=exc.field) from None

    async def _zones(self, mailout_id: UUID, schedule: Schedule) -> dict[str, int]:
        """How many live in each zone; of all together, where the zones don't matter."""
        if not schedule.by_recipient:
            return {NO_ZONE: await self.store.count_audience(mailout_id)}
        if (await self.store.show_mailout(mailout_id))["canary"] is not None:
            raise InvalidRequest(
                "zone: with a canary a share goes before all others, and at the recipients' own "
                "times nobody is before all others. Choose a zone, or take the canary off.",
                field="zone",
            )
        zones = await self.store.audience_zones(mailout_id)
        return zones if sum(zones.values()) else {NO_ZONE: 0}

    async def _plan(self, schedule: Schedule, zones: Mapping[str, int]) -> Plan:
        try:
            # In a thread: the data of each zone are read from a file.
            return await asyncio.to_thread(plan, schedule, zones, self.now())
        except ScheduleInvalid as exc:
            raise InvalidRequest(str(exc), field=exc.field) from None

    async def _repeat(self, mailout_id: UUID, schedule: Schedule) -> dict[str, Any]:
        found = await self.store.show_mailout(mailout_id)
        if found["schedule"] != schedule.as_json():
            raise TransitionNotAllowed(
                f"Mailout {mailout_id} is scheduled already: take that back first "
                f"(DELETE /mailouts/{mailout_id}/schedule).",
                mailout_status=found["status"],
            )
        return self._described(found) | await self.waves(found) | {"skipped": 0, "warnings": []}

    async def _outcome(
        self, planned: Plan, warnings: list[str], kept: str | None
    ) -> dict[str, Any]:
        outlooks, capacity = await self._outlook(planned.waves, kept)
        return {
            "waves": [
                _row(wave, 0, outlook)
                for wave, outlook in zip(planned.waves, outlooks, strict=True)
            ],
            "skipped": planned.skipped,
            "notes": list(planned.notes),
            "warnings": [*warnings, *warn_of(planned.waves, outlooks, capacity.daily_quota)],
        }

    def _described(self, found: Mapping[str, Any]) -> dict[str, Any]:
        names = ("status", "schedule", "scheduled_at", "recipients")
        return {"mailout_id": found["id"]} | {name: found[name] for name in names}

    async def _outlook(self, waves: Any, kept: str | None) -> tuple[list[WaveOutlook], Capacity]:
        known = await self.store.send_outlook(
            self.settings.regions_for(kept),
            self.settings.rate_limit_per_sec,
            sum(wave.recipients for wave in waves),
        )
        capacity = Capacity(known.get("rate"), known.get("quota_left"), known.get("daily_quota"))
        return look_ahead(waves, capacity, self.now()), capacity


def zone_rows(planned: Plan, zones: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    unknown = sum(count for zone, count in zones.items() if zone not in planned.zone_times)
    return {
        zone: {
            "at": None if time.at is None else time.at.isoformat(),
            "next_at": time.next_at.isoformat(),
            "recipients": zones.get(zone, 0) + (unknown if zone == NO_ZONE else 0),
        }
        for zone, time in planned.zone_times.items()
    }


def _row(wave: Wave, done: int, outlook: WaveOutlook | None) -> dict[str, Any]:
    ends_at = outlook.ends_at if outlook else None
    return {
        "at": wave.at.isoformat(),
        "zones": list(wave.zones),
        "recipients": wave.recipients,
        "unknown": wave.unknown,
        "done": done,
        "ends_at": None if ends_at is None else ends_at.isoformat(timespec="seconds"),
        "over_quota": outlook.over_quota if outlook else 0,
    }


def _named(zone: str) -> str:
    try:
        return find_zone(zone).key
    except UnknownZone:  # known when it was scheduled, by other time zone data
        return zone


def _notes(schedule: Schedule, waves: list[Wave]) -> list[str]:
    """What daylight saving does to it, for the zones that somebody lives in."""
    zones = dict.fromkeys(zone for wave in waves for zone in wave.zones)
    if schedule.fallback and any(wave.unknown for wave in waves):
        zones[schedule.fallback] = None
    notes = []
    for zone in zones:
        try:
            notes.append(instant(schedule.wall, find_zone(zone)).note)
        except UnknownZone:
            continue
    return list(dict.fromkeys(note for note in notes if note))
