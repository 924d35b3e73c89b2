"""Times as lists have them, in the forms that tools and spreadsheets write. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime

# Beside ISO 8601. Those with letters can't be mistaken; those with slashes depend on the country.
_FORMS = (
    "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S %z", "%Y-%m-%d %H:%M UTC", "%Y-%m-%d %I:%M:%S %p",
    "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M",
    "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y",
    "%b %d, %Y %H:%M", "%b %d, %Y %H:%M:%S", "%b %d, %Y %I:%M %p", "%b %d, %Y %I:%M:%S %p",
    "%B %d, %Y %H:%M", "%B %d, %Y %I:%M %p", "%B %d, %Y %I:%M:%S %p", "%b. %d, %Y",
    "%d %b %Y %H:%M", "%d %b %Y %H:%M:%S", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %Y",
)  # fmt: skip
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_PARTS = re.compile(r"(\d{1,2})([/-])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_EARLIEST, _LATEST = 1970, 2100


def read_time(text: str, *, day_first: bool = False) -> str | None:
    """ISO 8601 with offset, UTC where the text names none; None: no time that is understood.

    day_first: whether `03/04/2024` is in April.
    """
    words = text.strip()
    try:
        time = datetime.fromisoformat(words)
    except ValueError:
        found = _parsed(" ".join(words.replace(" at ", " ").split()), day_first)
        if found is None:
            return None
        time = found
    if not _EARLIEST <= time.year <= _LATEST or (words.isdecimal() and len(words) < 8):
        return None
    return time.isoformat() if time.tzinfo is not None else f"{time.isoformat()}+00:00"


def order_of(text: str) -> bool | None:
    """Whether the day is first in a date with slashes, by a number above 12; None: unsaid."""
    parts = _PARTS.match(text)
    if parts is None:
        return None
    first, second = int(parts[1]), int(parts[3])
    return True if first > 12 else False if second > 12 else None


def has_order(text: str) -> bool:
    """Whether it is a date of which the order of day and month must be known."""
    return _PARTS.match(text) is not None


def _parsed(text: str, day_first: bool) -> datetime | None:
    if parts := _PARTS.match(text):
        mark, year = parts[2], "%Y" if len(parts[4]) == 4 else "%y"
        days = f"%d{mark}%m{mark}{year}" if day_first else f"%m{mark}%d{mark}{year}"
        forms: tuple[str, ...] = tuple(days + clock for clock in _CLOCKS)
        text = text.replace(", ", " ")
    else:
        forms = _FORMS
    if text.isdecimal() and len(text) in {10, 13}:  # seconds or milliseconds since 1970
        return datetime.fromtimestamp(int(text[:10]), UTC)
    for form in forms:
        try:
            return datetime.strptime(text, form)  # noqa: DTZ007 - the caller adds UTC
        except ValueError:
            continue
    return None
