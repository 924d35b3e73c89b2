"""Figures in words, for people. Pure."""

from __future__ import annotations

_UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second"))

_PARTS = {
    "ses": "Amazon SES",
    "migrations": "Database schema",
    "domain": "Sender’s domain",
    "hooks": "Webhooks",
    "loops": "Background work",
}


def part_name(check: str) -> str:
    """As people know what `/health` has under this name."""
    return _PARTS.get(check, check.capitalize())


def duration(seconds: float) -> str:
    """In the largest unit of which there are two or more, such as `about 12 minutes`."""
    for size, unit in _UNITS:
        count = round(seconds / size)
        if count >= 2 or unit == "second":
            return f"about {max(1, count):,} {unit}{'s' if count >= 2 else ''}"
    raise AssertionError("the last unit is always taken")


def plural(count: float, noun: str) -> str:
    """`1 recipient`, `12,000 recipients`."""
    return f"{count:,.0f} {noun}{'' if count == 1 else 's'}"
