"""When a row is to be sent: its properties `Send at` and `Time zone` as a schedule. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.notion.properties import RECIPIENTS_ZONE
from app.domain.schedules.plan import RECIPIENT
from app.domain.schedules.times import NoWallTime, instant, wall_time
from app.domain.schedules.zones import UnknownZone, find_zone


class SendAtInvalid(Exception):
    """Carries a sentence with the remedy."""


def schedule_of(
    send_at: Mapping[str, Any] | None, time_zone: str | None, default_zone: str
) -> dict[str, str] | None:
    """A schedule as `ScheduleMailout` takes it; None: at once.

    Notion gives a time with the offset of who wrote it, and never its zone. Without a Time zone the
    instant counts, shown by the clocks of default_zone. With one the clock counts that stands
    there: 9:00 in Europe/Berlin, or in each recipient's own zone. Raises SendAtInvalid.
    """
    start = str((send_at or {}).get("start") or "")
    if not start:
        return None
    if "T" not in start:
        raise SendAtInvalid(
            f"Send at has a day ({start}) and no time: switch “Include time” on and choose one, or "
            "empty it to send at once."
        )
    try:
        time = datetime.fromisoformat(start).replace(microsecond=0)
        wall = wall_time(time.replace(tzinfo=None).isoformat())
    except (ValueError, NoWallTime):  # the year 9999, too
        raise SendAtInvalid("Send at can't be read: choose day and time once more.") from None
    if time_zone and time_zone.strip().casefold().replace("’", "'") == RECIPIENTS_ZONE.casefold():
        return {"at": wall.isoformat(), "zone": RECIPIENT, "fallback": default_zone}
    if time_zone:
        return {"at": wall.isoformat(), "zone": _named(time_zone)}
    if time.tzinfo is None:
        return {"at": wall.isoformat(), "zone": default_zone}
    zone = find_zone(default_zone)
    local = time.astimezone(zone).replace(tzinfo=None, fold=0)
    if instant(local, zone).at == time:
        return {"at": local.isoformat(), "zone": zone.key}
    # The hour that comes twice, when it comes for the second time.
    return {"at": time.astimezone(UTC).replace(tzinfo=None).isoformat(), "zone": "UTC"}


def _named(zone: str) -> str:
    try:
        return find_zone(zone).key
    except UnknownZone as exc:
        raise SendAtInvalid(f"Time zone: {exc}") from None
