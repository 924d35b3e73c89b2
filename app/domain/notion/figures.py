"""What the program's properties of a row say, from what came of its mailout. Pure.

Times are given in a zone of the owner's (TIMEZONE). No recipient's address is in any value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.notion.properties import PROPERTIES
from app.domain.reports.progress import Progress
from app.domain.reports.remedies import mailout_remedy, without_addresses
from app.domain.reports.so_far import Mailout, has_begun, link, progress_of, progress_words
from app.domain.reports.words import plural

MAX_TEXT = 1_900
"""Characters of Progress and Problem: more nobody reads in a table."""

_DELIVERIES = {
    "scheduled": "Scheduled",
    "sending": "Sending",
    "paused": "Paused",
    "sent": "Sent",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
_OVER = ("sent", "failed", "cancelled")
PROGRAMS = tuple(each.name for each in PROPERTIES if not each.by_people)
NUMBERS = tuple(each.name for each in PROPERTIES if each.kind == "number")
FIGURES = frozenset({"Progress", *NUMBERS})
"""What moves with every mail; the others answer a person, or tell of something."""

Values = dict[str, Any]


def values(
    row: Mapping[str, Any], mailout: Mailout | None, *, base_url: str, zone: ZoneInfo, now: datetime
) -> Values:
    """By our names of the properties; None: empty. All of the program's but Statement.

    row: `delivery`, `problem` and `note` of notion_rows. base_url: APP_BASE_URL.
    """
    found: Values = dict.fromkeys((name for name in PROGRAMS if name != "Statement"), None)
    status = mailout["status"] if mailout else None
    found["Delivery"] = _DELIVERIES.get(str(status), row.get("delivery"))
    found["Problem"] = problem(row, mailout)
    note = without_addresses(row.get("note") or "")
    found["Progress"] = _cut(note)
    if mailout is None:
        return found
    found["Mailout"] = link(mailout, base_url)
    if status in _DELIVERIES:
        words = progress_words(mailout, zone, now)
        found["Progress"] = _cut(f"{words} {note}" if status not in _OVER else words)
    if has_begun(mailout):
        found |= numbers(mailout)
    elif status == "scheduled":
        found["Recipients"] = mailout["recipients"]
    return found


def numbers(mailout: Mailout) -> Values:
    """Recipients by the state of their row in the ledger (docs/states.md)."""
    progress = progress_of(mailout)
    return {
        "Recipients": progress.audience,
        "Accepted": progress.accepted,
        "Delivered": progress.delivered,
        "Bounced": progress["bounced"],
        "Complained": progress["complained"],
        "Unsubscribed": progress.unsubscribed,
        "Failed": progress["failed"],
        "Unknown": progress["unknown"],
    }


def problem(row: Mapping[str, Any], mailout: Mailout | None) -> str | None:
    """What a person should know or do, with the remedy; None: nothing."""
    parts = [row.get("problem")]
    if mailout is not None:
        parts.append(mailout_problem(mailout))
    return _cut(" ".join(without_addresses(part) for part in parts if part))


def mailout_problem(mailout: Mailout) -> str | None:
    """A person's own pause is none. Its addresses aren't masked yet."""
    status, code, reason = mailout["status"], mailout["pause_code"], mailout["status_reason"]
    if (status == "paused" and code != "person") or status == "failed":
        here = (
            "Or set Status to Draft, and half a minute later to Send."
            if code in ("guard", "held")
            else None
        )
        return " ".join(filter(None, (reason, mailout_remedy(status, code), here)))
    return _left_over(progress_of(mailout)) if status == "sent" else None


def _left_over(progress: Progress) -> str | None:
    """As it is now: events settle some of it after the end."""
    of = plural(progress.audience, "recipient")
    parts = []
    if unknown := progress["unknown"]:
        parts.append(
            f"{unknown:,} of {of}: it is unknown whether the mail was accepted. Events "
            "mostly settle this within 20 minutes; after that you may resend to them in the "
            "dashboard."
        )
    if failed := progress["failed"]:
        parts.append(f"{failed:,} of {of} were refused: the dashboard says why, and what to do.")
    return " ".join(parts) or None


def _cut(text: str) -> str | None:
    text = text.strip()
    return (text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…") or None
