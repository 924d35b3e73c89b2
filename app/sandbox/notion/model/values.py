"""The values of a row's properties: what a request may say, and how they are answered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from app.sandbox.notion.errors import invalid, misshapen
from app.sandbox.notion.model import check, richtext, schema
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import minute

if TYPE_CHECKING:
    from app.sandbox.notion.model.records import Page

MAX_EMAIL = 200
MAX_REFERENCES = 25
"""Of people, relations and mentions in an answered page: the rest is cut without a word."""
_EMPTY: Mapping[str, Any] = {"checkbox": False} | {
    kind: [] for kind in ("title", "rich_text", "multi_select", "people", "files", "relation")
}

Attach = Callable[[Any, str], Json]
"""A file of a request (external, file_upload or an answered one) → as it is kept."""


def empty(kind: str) -> Any:
    value = _EMPTY.get(kind)
    return list(value) if isinstance(value, list) else value


def parse(prop: Json, value: Any, path: str, attach: Attach) -> tuple[Any, bool]:
    """The value a request gives a property, as it is kept, and whether it made a new option.

    Raises NotionError in Notion's words when it is of another type or too long.
    """
    kind = prop["type"]
    body = check.mapping(value, path)
    given = [k for k in (*schema.WRITABLE, *schema.READ_ONLY) if k in body]
    if not given:
        raise misshapen(f"{path}.{kind}", "defined")
    if given != [kind] or body.get("type", kind) != kind:
        raise invalid(f"{prop['name']} is expected to be {kind}.")
    if kind in schema.READ_ONLY:
        raise invalid(f"{prop['name']} is a {kind} property, which can't be updated.")
    return _parsed(prop, body[kind], f"{path}.{kind}", attach)


def _parsed(prop: Json, value: Any, path: str, attach: Attach) -> tuple[Any, bool]:
    match kind := prop["type"]:
        case "title" | "rich_text":
            return richtext.parse(value, path), False
        case "select":
            if value is None:
                return None, False
            chosen, new = schema.option(prop, value, path)
            return chosen["id"], new
        case "multi_select":
            chosen_new = [
                schema.option(prop, item, f"{path}[{place}]")
                for place, item in enumerate(check.array(value, path))
            ]
            ids = list(dict.fromkeys(chosen["id"] for chosen, _ in chosen_new))
            return ids, any(new for _, new in chosen_new)
        case "status":
            return (None if value is None else schema.status(prop, value, path)["id"]), False
        case "number":
            return (None if value is None else check.number(value, path)), False
        case "checkbox":
            return check.boolean(value, path), False
        case "date":
            return (None if value is None else dated(value, path)), False
        case "url" | "email" | "phone_number":
            if value is None:
                return None, False
            limit = check.MAX_URL if kind == "url" else MAX_EMAIL
            if not check.text(value, path, limit):
                raise misshapen(f"{path}.length", "≥ `1`", 0)
            return value, False
        case "files":
            files = check.array(value, path)
            return [_file(item, f"{path}[{n}]", attach) for n, item in enumerate(files)], False
        case _:  # people, relation
            return [
                {"id": check.identifier(check.mapping(item, path).get("id"), f"{path}[{n}].id")}
                for n, item in enumerate(check.array(value, path))
            ], False


def _file(value: Any, path: str, attach: Attach) -> Json:
    body = check.mapping(value, path, ("name", "type", "file", "external", "file_upload"))
    kept = attach({k: v for k, v in body.items() if k != "name"}, path)
    name = body.get("name", kept.pop("name", None))
    if name is None:
        raise misshapen(f"{path}.name", "defined")
    kept.pop("name", None)
    return {"name": check.text(name, f"{path}.name", 100), **kept}


def dated(value: Any, path: str) -> Json:
    """As it is answered: never a time zone, and times with their offset from UTC."""
    body = check.mapping(value, path, ("start", "end", "time_zone"))
    zone = body.get("time_zone")
    if zone is not None:
        try:
            ZoneInfo(check.text(zone, f"{path}.time_zone"))
        except (KeyError, ValueError, OSError):
            raise misshapen(f"{path}.time_zone", "a valid IANA time zone", zone) from None
    start = _moment(body.get("start", ...), f"{path}.start", zone)
    end = body.get("end")
    if end is not None:
        end = _moment(end, f"{path}.end", zone)
        if (len(end) > 10) != (len(start) > 10):
            raise invalid(f"{path}.start and end must both have a time, or neither.")
        if _comparable(end) < _comparable(start):
            raise invalid(f"Invalid date: {path}.end is before start.")
    return {"start": start, "end": end, "time_zone": None}


def _moment(value: Any, path: str, zone: str | None) -> str:
    if not isinstance(value, str):
        raise misshapen(path, "a valid ISO 8601 date string", value)
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", value):
            date.fromisoformat(value)
            if zone:
                raise invalid(f"{path} needs a time when time_zone is given.")
            return value
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise misshapen(path, "a valid ISO 8601 date string", value) from None
    if moment.tzinfo and zone:
        raise invalid(f"{path} can't have an offset when time_zone is given.")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=ZoneInfo(zone) if zone else UTC)
    return moment.isoformat(timespec="milliseconds")


def _comparable(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def answer(prop: Json, page: Page, *, cut: bool = True) -> Json:
    """A property as `GET /v1/pages` answers it. cut: at 25 references."""
    kind = prop["type"]
    value = content(prop, page)
    if cut and kind in ("people", "relation") and len(value) > MAX_REFERENCES:
        value = value[:MAX_REFERENCES]
    found: Json = {"id": prop["id"], "type": kind, kind: value}
    if kind == "relation":
        found["has_more"] = len(content(prop, page)) > MAX_REFERENCES
    return found


def content(prop: Json, page: Page) -> Any:
    """What stands beside the type: {"type": "number", "number": THIS}."""
    kind = prop["type"]
    value = page.values.get(prop["id"], empty(kind))
    match kind:
        case "select" | "status":
            return _chosen(prop, value)
        case "multi_select":
            return [found for item in value if (found := _chosen(prop, item))]
        case "people":
            return [{"object": "user", **person} for person in value]
        case "created_time":
            return minute(page.created)
        case "last_edited_time":
            return minute(page.edited)
        case "created_by":
            return page.author.partial
        case "last_edited_by":
            return page.editor.partial
        case "formula":
            return value or {"type": "string", "string": None}
        case "button":
            return {}
        case _:
            return value


def _chosen(prop: Json, option_id: str | None) -> Json | None:
    options = prop[prop["type"]]["options"]
    return next((schema.brief(o) for o in options if o["id"] == option_id), None)


def from_person(prop: Json, value: Any) -> Any:
    """A request's value for what a person typed: a text, a number, a name, a list of names."""
    kind = prop["type"]
    if isinstance(value, dict) and kind in value:
        return value
    match kind:
        case "title" | "rich_text":
            return {kind: [strip(item) for item in richtext.lenient(value or "")]}
        case "select" | "status":
            return {kind: {"name": value} if isinstance(value, str) else value}
        case "multi_select":
            return {kind: [{"name": v} if isinstance(v, str) else v for v in value or []]}
        case "date":
            return {kind: {"start": value} if isinstance(value, str) else value}
        case _:
            return {kind: value}


def strip(item: Json) -> Json:
    return {k: v for k, v in item.items() if k not in ("plain_text", "href")}
