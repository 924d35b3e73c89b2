"""Members of a provider's event, read with patience: an oddity in one must not lose the event."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from app.domain.ses.events import DETAIL_MAX_CHARS
from app.domain.untrusted import plain

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_ROW_ID = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)
_BIGINT_MAX = 2**63 - 1
# RFC 3463, standing alone: neither a part of an IP address nor of a ticket's number.
_ENHANCED = re.compile(r"(?<![\w.])[245]\.\d{1,3}\.\d{1,3}(?!\w|\.\d)", re.ASCII)


def text(parent: Any, *path: str) -> str:
    """A text or number at the end of the path; "" where there is none."""
    for name in path:
        parent = parent.get(name) if isinstance(parent, Mapping) else None
    if isinstance(parent, bool) or not isinstance(parent, str | int | float):
        return ""
    return str(parent)


def detail(*candidates: str) -> str | None:
    """The first that says something, in one line."""
    return next((said for each in candidates if (said := plain(each, DETAIL_MAX_CHARS))), None)


def uuid_of(value: str) -> str | None:
    return value.lower() if _UUID.fullmatch(value) else None


def row_id_of(value: str) -> str | None:
    return value if _ROW_ID.fullmatch(value) and int(value) <= _BIGINT_MAX else None


def time_of(value: str, otherwise: float) -> datetime:
    """Seconds since 1970 in UTC. otherwise: where the event's own time is none."""
    try:
        return datetime.fromtimestamp(float(value), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(otherwise, UTC)


def enhanced_status(*texts: str) -> str:
    """Such as 5.1.1, from the first text that has one; else ""."""
    found = (_ENHANCED.search(each) for each in texts)
    return next((match[0] for match in found if match), "")
