"""How far a mailout is, in a sentence or two for its owner. Pure.

Times are given in a zone of the owner's (TIMEZONE). No recipient's address is in any text.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.reports.progress import Progress
from app.domain.reports.remedies import without_addresses
from app.domain.reports.words import duration, plural
from app.domain.schedules.plan import RECIPIENT

Mailout = Mapping[str, Any]
"""As `mailout_so_far` gives it."""

TOLD = ("scheduled", "sending", "paused", "sent", "failed", "cancelled")
"""States of which there is something to say."""


def has_begun(mailout: Mailout) -> bool:
    return mailout["status"] in TOLD and mailout["started_at"] is not None


def progress_of(mailout: Mailout) -> Progress:
    return Progress(mailout["counts"], mailout["unsubscribed"], mailout["recipients"] or 0)


def link(mailout: Mailout, base_url: str) -> str:
    return f"{base_url}/dashboard/mailouts/{mailout['id']}"


def progress_words(mailout: Mailout, zone: ZoneInfo, now: datetime) -> str:
    """Of a mailout that is scheduled or was started."""
    match mailout["status"]:
        case "scheduled":
            return _goes_out(mailout, zone, now)
        case "sending":
            return _is_under_way(mailout, zone, now)
        case "paused":
            reason = without_addresses(mailout["status_reason"] or "")
            if mailout["pause_code"] == "quota":
                reason = f"waiting: quota. {reason}" if reason else "waiting: quota."
            return _sentences(f"Paused: {_handed(mailout)}", reason)
        case "sent":
            return _was_sent(mailout, zone, now)
        case "failed":
            everybody = plural(progress_of(mailout).audience, "recipient")
            return f"Failed: none of {everybody} was accepted."
        case _:
            if has_begun(mailout):
                return f"Cancelled: {_handed(mailout)}."
            return "Cancelled before it began."


def _goes_out(mailout: Mailout, zone: ZoneInfo, now: datetime) -> str:
    schedule = mailout["schedule"] or {}
    to = f", to {plural(mailout['recipients'], 'recipient')}" if mailout["recipients"] else ""
    if schedule.get("zone") == RECIPIENT:
        wall = datetime.fromisoformat(schedule["at"])
        waves = mailout["waves"] or []
        first = at_words(datetime.fromisoformat(mailout["scheduled_at"]), zone, now)
        return (
            f"Goes out on {_day(wall, now)}, {wall:%H:%M} by each recipient's own clock{to}: "
            f"{plural(len(waves), 'wave')}, the first on {first}."
        )
    named = ZoneInfo(schedule["zone"]) if schedule.get("zone") else zone
    at = at_words(datetime.fromisoformat(mailout["scheduled_at"]), named, now)
    return f"Goes out on {at}{to}."


def _is_under_way(mailout: Mailout, zone: ZoneInfo, now: datetime) -> str:
    """How far, how fast, how long still; or what it waits for."""
    progress, pace = progress_of(mailout), float(mailout["pace"] or 0)
    if not progress.accepted:
        pace = 0.0  # it is that of the test mails before
    parts = [f"{_handed(mailout)}"]
    waves = mailout["waves"] or []
    ahead = [wave for wave in waves if datetime.fromisoformat(wave["at"]) > now]
    if pace > 0:
        parts.append(_speed(pace))
    if len(waves) > 1 and ahead:
        when = at_words(datetime.fromisoformat(ahead[0]["at"]), zone, now)
        parts.append(f"wave {len(waves) - len(ahead) + 1} of {len(waves)} on {when}")
    elif left := progress.seconds_left(pace):
        parts.append(f"{duration(left)} left")
    return _sentences(", ".join(parts), without_addresses(mailout["status_reason"] or ""))


def _was_sent(mailout: Mailout, zone: ZoneInfo, now: datetime) -> str:
    progress = progress_of(mailout)
    ended = datetime.fromisoformat(mailout["ended_at"])
    started = datetime.fromisoformat(mailout["started_at"])
    took = duration((ended - started).total_seconds()).removeprefix("about ")
    return (
        f"Sent on {at_words(ended, zone, now)}, in {took}. "
        f"{progress.delivered:,} of {plural(progress.audience, 'recipient')} delivered so far "
        f"({_percent(progress.delivered, progress.audience)})."
    )


def _handed(mailout: Mailout) -> str:
    """Those who left the list in time, or whose turn was taken away, are not waited for."""
    progress = progress_of(mailout)
    of = progress.audience - progress["skipped"] - progress["cancelled"]
    done = progress.accepted + progress.missed
    if mailout["status"] == "cancelled":
        of = progress.audience
    return f"{done:,} of {of:,} handed over ({_percent(done, of)})"


def _percent(part: int, whole: int) -> str:
    """Rounded down: 100% is everybody."""
    return f"{100 * part // whole if whole else 0}%"


def _speed(per_second: float) -> str:
    if per_second >= 1:
        return f"{per_second:,.0f} a second"
    return f"{max(1, round(per_second * 60))} a minute"


def at_words(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`3 December, 09:00 Europe/Berlin`, with the year where it isn't this one's."""
    local = at.astimezone(zone)
    return f"{_day(local, now.astimezone(zone))}, {local:%H:%M} {zone.key}"


def _day(day: datetime, now: datetime) -> str:
    year = "" if day.year == now.year else f" {day.year}"
    return f"{day.day} {day:%B}{year}"


def _sentences(first: str, second: str) -> str:
    return f"{first}. {second[:1].upper()}{second[1:]}".strip() if second else f"{first}."
