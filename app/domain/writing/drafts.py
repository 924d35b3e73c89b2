"""What may stand in a mailout that is being written. Pure.

What is refused here could stand in no mail at all. Whether a template works is another matter: a
draft may be unfinished, and is checked when it is released.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

from app.domain.addresses import InvalidAddress, format_mailbox, trimmed, typed_address
from app.domain.audience.rule import parse_rule
from app.domain.content.render import MAX_BODY_BYTES
from app.domain.given.lines import require_line
from app.domain.notion.pages import page_id
from app.domain.schedules.plan import ScheduleInvalid, read_schedule
from app.domain.ses.names import require_configuration_set
from app.domain.untrusted import plain
from app.errors import InvalidRequest

MAX_SUBJECT_CHARS = 500
"""Inboxes show about 70. A line of a mail's head may have 998 (RFC 5322, section 2.1.1), of which
encoding takes up to half; Liquid counts as it is written."""
MAX_PREHEADER_CHARS = 500
"""Inboxes show about 100."""
MAX_FROM_NAME_CHARS = 200

_SCHEDULE = ("at", "zone", "fallback", "passed")
_WAIT = re.compile(r"[1-9][0-9]{0,4}[smh]")
_HALF = re.compile("[\ud800-\udfff]")
_ANY_ADDRESS = "a@example.com"


def checked(columns: Mapping[str, Any], timezone: str = "UTC") -> dict[str, Any]:
    """The columns as they are stored; None where one is cleared. Values have the types of the
    columns. timezone: of a schedule that names none. Raises InvalidRequest naming
    each column at fault, and why."""
    stored: dict[str, Any] = {}
    problems = []
    for name, value in columns.items():
        try:
            if isinstance(value, str):
                _whole(value)
            if name == "schedule":
                stored[name] = _schedule(value, timezone)
            else:
                stored[name] = _CHECKS[name](value)
        except ValueError as exc:
            problems.append(f"{name}: {exc}")
    if not problems and stored.get("body_html") and stored.get("body_markdown"):
        problems.append(TWO_BODIES)
    if problems:
        raise InvalidRequest("; ".join(problems))
    return stored


TWO_BODIES = (
    "body_html, body_markdown: a mail has one body, and the HTML would be it. Give one of them, "
    "and null for the other"
)


def _whole(value: str) -> None:
    """PostgreSQL and mails hold neither."""
    if "\0" in value or _HALF.search(value):
        raise ValueError("a NUL or half of a surrogate pair can't stand here")


def _subject(value: str | None) -> str:
    if value is None or not value.strip():
        raise ValueError("it is empty; a mail needs a subject")
    return _short(require_line(value), MAX_SUBJECT_CHARS)


def _preheader(value: str | None) -> str | None:
    text = _text(value)
    return _short(require_line(text), MAX_PREHEADER_CHARS) if text else None


def _body(value: str | None) -> str | None:
    text = _text(value)
    if text and len(text.encode()) > MAX_BODY_BYTES:
        raise ValueError(f"it is larger than {MAX_BODY_BYTES // 1_000_000} MB; shorten it")
    return text


def _from_name(value: str | None) -> str | None:
    text = _text(value)
    if text is None:
        return None
    format_mailbox(text, _ANY_ADDRESS)
    return _short(text.strip(), MAX_FROM_NAME_CHARS)


def _address(value: str | None) -> str | None:
    if value is None or not value.strip():
        return None
    try:
        typed_address(value)
    except InvalidAddress as exc:
        raise ValueError(f"is not a usable mail address: {exc}") from exc
    return trimmed(value)


def _configuration_set(value: str | None) -> str | None:
    return require_configuration_set(value) if value else None


def _notion_page(value: str | None) -> str | None:
    return None if value is None or not value.strip() else str(page_id(value))


def _template(value: UUID | str | None) -> str | None:
    return None if value is None else str(UUID(str(value)))


def _canary(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """{"share": over 0, at most 0.5, "wait": such as 15m} (canary.sql)."""
    if value is None:
        return None
    share, wait = value.get("share"), value.get("wait")
    fits = (
        set(value) == {"share", "wait"}
        and isinstance(share, int | float)
        and not isinstance(share, bool)
        and 0 < share <= 0.5
        and isinstance(wait, str)
        and _WAIT.fullmatch(wait)
    )
    if not fits:
        raise ValueError(
            'a share of at most 0.5 and a wait in s, m or h, such as {"share": 0.02, "wait": "15m"}'
        )
    return dict(value)


def _schedule(value: Mapping[str, Any] | None, timezone: str) -> dict[str, str] | None:
    if value is None:
        return None
    if unknown := sorted(value.keys() - _SCHEDULE):
        name = plain(unknown[0], 50)
        raise ValueError(f"{name} is nothing that a schedule has: {', '.join(_SCHEDULE)}")
    if not all(isinstance(part, str | None) for part in value.values()):
        raise ValueError("each part is a text")
    try:
        return read_schedule(value, timezone).as_json()
    except ScheduleInvalid as exc:
        raise ValueError(str(exc)) from None


def _region(value: str | None) -> str | None:
    """Whether it is one that is sent from, the service knows (services/drafts/drafts.py)."""
    return value.strip().lower() or None if value else None


def _tracking(value: bool | None) -> bool:
    return bool(value)


def _text(value: str | None) -> str | None:
    """None where nothing stands in it."""
    if value is None or not value.strip():
        return None
    return value


def _short(text: str, limit: int) -> str:
    if len(text) > limit:
        raise ValueError(f"it has {len(text):,} characters, and at most {limit} make sense")
    return text


_CHECKS: dict[str, Callable[[Any], Any]] = {
    "subject": _subject,
    "preheader": _preheader,
    "body_html": _body,
    "body_markdown": _body,
    "body_text": _body,
    "from_email": _address,
    "from_name": _from_name,
    "reply_to": _address,
    "configuration_set": _configuration_set,
    "notion_page_id": _notion_page,
    "template_id": _template,
    "audience": parse_rule,
    "canary": _canary,
    "tracking": _tracking,
    "region": _region,
}
