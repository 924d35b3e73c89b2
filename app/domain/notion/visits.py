"""When a row is looked at again, when a closing statement is due, and what is told to a person in a
comment. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from app.domain.notion.figures import mailout_problem
from app.domain.notion.writes import Write
from app.domain.reports.remedies import without_addresses
from app.domain.reports.so_far import Mailout, link

LIVE_SECONDS = 10.0
"""Between two writes of a row whose mailout is being sent, or ended within a minute: that is when
most of the events come."""
SOON_SECONDS, LATE_SECONDS = 60.0, 3600.0
"""Of one that is paused or has ended: in the first hour after that, and then."""
_FRESH, _SOON, FOLLOWED = timedelta(minutes=1), timedelta(hours=1), timedelta(days=7)
"""So long deliveries, bounces, complaints and unsubscribes are followed after the end."""
STATEMENTS_AFTER = (timedelta(0), timedelta(days=1), FOLLOWED)
"""When a closing statement is put on the row, since the end; again only when it would differ."""
EVENTS_SETTLE = timedelta(minutes=20)
LONGEST_SUBJECT = 120


@dataclass(frozen=True)
class Visit:
    """next_seconds: until the next; None: when something changes. live: somebody watches. reads:
    what the row says now is read first; so rarely it costs little, and whatever overwrote the
    figures (a late answer of a dead process, a person) doesn't last."""

    next_seconds: float | None
    live: bool = False
    reads: bool = False


NOTHING_TO_FOLLOW = Visit(None)


def visit(mailout: Mailout | None, now: datetime) -> Visit:
    """What the present state of a mailout asks for after this write."""
    if mailout is None or mailout["started_at"] is None:
        return NOTHING_TO_FOLLOW
    match mailout["status"]:
        case "sending":
            return Visit(
                LIVE_SECONDS if mailout["pace"] else _while_waiting(mailout, now), live=True
            )
        case "paused" | "sent" | "failed" | "cancelled":
            since = datetime.fromisoformat(mailout["ended_at"] or mailout["updated_at"])
            return _after(now - since)
        case _:
            return NOTHING_TO_FOLLOW


def _while_waiting(mailout: Mailout, now: datetime) -> float:
    """Nothing moves: for a wave that is ahead, less often."""
    ahead = [at for wave in mailout["waves"] or () if (at := _time(wave["at"])) > now]
    began = now - _time(mailout["started_at"]) < timedelta(seconds=SOON_SECONDS)
    return SOON_SECONDS if ahead and not began else LIVE_SECONDS


def _after(age: timedelta) -> Visit:
    if age >= FOLLOWED:
        return Visit(None, reads=True)
    if age < _FRESH:
        return Visit(LIVE_SECONDS, live=True)
    if age < _SOON:
        return Visit(SOON_SECONDS)
    return Visit(min(LATE_SECONDS, (FOLLOWED - age).total_seconds()), reads=True)


def statement_due(write: Write, now: datetime) -> dict[str, Any] | None:
    """What `statement_for` becomes when a closing statement has been put on the row; None: none is
    due."""
    mailout = write.mailout
    if mailout is None or mailout["ended_at"] is None or mailout["started_at"] is None:
        return None
    age = now - _time(mailout["ended_at"])
    wanted = {
        "ended_at": mailout["ended_at"],
        "stage": sum(age >= after for after in STATEMENTS_AFTER),
        "counts": {**mailout["counts"], "unsubscribed": mailout["unsubscribed"]},
    }
    has = write.statement_for
    if not any(mailout["counts"].values()) or wanted["stage"] == 0:
        return None
    if has is None or has["ended_at"] != wanted["ended_at"]:
        return wanted
    is_newer = wanted["stage"] > has["stage"] and wanted["counts"] != has["counts"]
    return wanted if is_newer else None


@dataclass(frozen=True)
class Call:
    """Something needs a person. key: names this very problem, so that it is told once."""

    key: str
    text: str


def call_for_person(
    row: Mapping[str, Any], mailout: Mailout | None, *, base_url: str, now: datetime
) -> Call | None:
    """What is to be commented on the page; None: nothing.

    A press that was refused is one problem (what a test has found is none); one of the mailout is
    the notice that its owner gets (owner_notices.sql), a new one each time that it is paused,
    failed or sent.
    """
    # While a press is being dealt with, the problem is still that of the one before.
    if row.get("problem") and row.get("delivery") == "Problem" and not row.get("open"):
        text = without_addresses(row["problem"])
        where = f"\n{link(mailout, base_url)}" if mailout else ""
        return Call(f"press:{row['press']}", f"{text}{where}")
    if mailout is None or mailout["notice"] is None:
        return None
    status, notice = mailout["status"], mailout["notice"]
    if notice["status"] != status:
        return None
    if status == "sent" and not (mailout["counts"]["unknown"] and _settled(mailout, now)):
        return None
    what = mailout_problem(mailout)
    if what is None:
        return None
    subject = " ".join(mailout["subject"].split())[:LONGEST_SUBJECT]
    headline = f"“{subject}” {_HEADLINES[status]}."
    return Call(
        f"notice:{notice['id']}",
        f"{headline} {without_addresses(what)}\n{link(mailout, base_url)}",
    )


def _settled(mailout: Mailout, now: datetime) -> bool:
    """Whether events have had their time to tell of those who are unknown."""
    return now - _time(mailout["ended_at"]) >= EVENTS_SETTLE


_HEADLINES = {
    "paused": "is paused",
    "failed": "has failed",
    "sent": "is sent, but not to everybody for sure",
}


def _time(iso: str) -> datetime:
    return datetime.fromisoformat(iso)
