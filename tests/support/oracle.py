"""Who fits a rule, said once more in Python: docs/audiences.md, not the SQL."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Person = Mapping[str, Any]
"""email, name, timezone, tags, fields, created_at; received: the mailouts they got, and when;
did: mailout, `opened` or `clicked`, class, and when they last did."""


def fits(rule: Mapping[str, Any] | None, person: Person, at: datetime, zone: str) -> bool:
    if not rule:
        return True
    if "tags" in rule:
        return bool(set(rule["tags"]) & set(person["tags"]))
    if "all" in rule:
        return all(fits(part, person, at, zone) for part in rule["all"])
    if "any" in rule:
        return any(fits(part, person, at, zone) for part in rule["any"])
    if "not" in rule:
        return not fits(rule["not"], person, at, zone)
    op = rule["op"]
    if op == "is_not":
        return not fits({**rule, "op": "is"}, person, at, zone)
    field, value = rule["field"], rule.get("value")
    if field == "tags":
        return _tags(op, value, person["tags"])
    since = at - timedelta(days=rule.get("days", 0))
    if field in {"opened", "clicked"}:
        return any(
            last >= since if value == "any" else mailout == value
            for mailout, kind, class_, last in person["did"]
            # Whoever clicked has opened, also where no picture was loaded.
            if (kind == field or kind == "clicked") and class_ != "machine"
        )
    if field == "received":
        return any(
            sent >= since if value == "any" else mailout == value
            for mailout, sent in person["received"]
        )
    if field.startswith("fields."):
        return _asked(op, value, person["fields"].get(field[7:]), at, zone)
    return _asked(op, value, person[field], at, zone)


def _tags(op: str, value: Any, tags: list[str]) -> bool:
    if op == "exists":
        return bool(tags) == (value is not False)
    if op == "starts_with":
        return any(tag.startswith(value) for tag in tags)
    return value in tags


def _asked(op: str, value: Any, known: Any, at: datetime, zone: str) -> bool:
    if op == "exists":
        return (known not in {None, ""}) == (value is not False)
    if known is None:
        return False
    if op in {"gt", "lt"}:
        number = _number(known)
        return number is not None and (number > value if op == "gt" else number < value)
    if op in {"before", "after", "within_days", "older_than_days"} or isinstance(known, datetime):
        return _dated(op, value, known, at, zone)
    if op == "is" and isinstance(value, int | float) and not isinstance(value, bool):
        return _number(known) == value
    if op == "is" and isinstance(known, int | float) and not isinstance(known, bool):
        other = _number(value)
        if other is not None:
            return float(known) == other
    text, wanted = _text(known), _text(value)
    return {"is": text == wanted, "contains": wanted in text,
            "starts_with": text.startswith(wanted)}[op]  # fmt: skip


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value).lower()


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    return float(value) if re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)", value, re.ASCII) else None


def _instant(value: Any, zone: str) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not re.match(r"[12]\d{3}-\d\d-\d\d([T ]|$)", value):
        return None
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=ZoneInfo(zone))


def _is_day(value: Any) -> bool:
    return isinstance(value, str) and len(value) == 10


def _midnight(moment: datetime, zone: str) -> datetime:
    local = moment.astimezone(ZoneInfo(zone))
    return local.replace(hour=0, minute=0, second=0, microsecond=0)


def _dated(op: str, value: Any, known: Any, at: datetime, zone: str) -> bool:
    moment = _instant(known, zone)
    if moment is None:
        return False
    if op in {"within_days", "older_than_days"}:
        edge = at - timedelta(days=value)
        if _is_day(known):
            edge = _midnight(edge, zone)
        return moment < edge if op == "older_than_days" else edge <= moment <= at
    start = _instant(value, zone)
    assert start is not None
    end = start + timedelta(microseconds=1)
    if _is_day(value):
        end = (start + timedelta(days=1)).replace(tzinfo=ZoneInfo(zone))  # midnight, local
    start, end, moment = (t.astimezone(UTC) for t in (start, end, moment))
    return {"before": moment < start, "after": moment >= end, "is": start <= moment < end}[op]
