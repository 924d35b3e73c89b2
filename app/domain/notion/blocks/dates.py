"""Dates that are mentioned in a text, in a form that is read the same in every language."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any


def shown(date: Mapping[str, Any]) -> str:
    """`2026-12-01`, `2026-12-01 – 2026-12-03`, `2026-12-01, 09:00–11:00 (UTC+1)`.

    date: `start`, `end` (ISO 8601), `time_zone`. Empty: it can't be read.
    """
    try:
        start = _Moment(str(date.get("start") or ""))
        end = _Moment(str(date["end"])) if date.get("end") else None
    except ValueError:
        return ""
    zone = str(date.get("time_zone") or "") or (end.zone if end else "") or start.zone
    shown = str(start)
    if end and end.time and end.day == start.day:
        shown += f"–{end.time}"
    elif end:
        shown += f" – {end}"
    return f"{shown} ({zone})" if zone else shown


class _Moment:
    """A day, or a time of day with its distance from UTC."""

    def __init__(self, text: str) -> None:
        moment = datetime.fromisoformat(text)
        self.day = moment.date().isoformat()
        self.time = f"{moment:%H:%M}" if "T" in text else ""
        self.zone = _zone(moment.utcoffset()) if self.time else ""

    def __str__(self) -> str:
        return f"{self.day}, {self.time}" if self.time else self.day


def _zone(offset: timedelta | None) -> str:
    if offset is None:
        return ""
    minutes = round(offset.total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '−'}{hours}" + (f":{rest:02}" if rest else "")
