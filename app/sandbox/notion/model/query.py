"""Queries: filters and sorts (developers.notion.com, "Filter data source entries").

[J] marks what the documentation leaves open and is decided on the strict side.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from app.sandbox.notion.errors import invalid, misshapen
from app.sandbox.notion.model import check, richtext, schema, values
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import DataSource, Page, minute

MAX_ROWS = 10_000
"""After these a query ends without a word, but for `request_status`."""
MAX_NESTING = 2
_TEXT_KINDS = ("title", "rich_text", "url", "email", "phone_number")
_EXIST = ("is_empty", "is_not_empty")
_TEXT_OPS = (
    "equals", "does_not_equal", "contains", "does_not_contain", "starts_with", "ends_with",
)  # fmt: skip
_NUMBER_OPS = (
    "equals", "does_not_equal", "greater_than", "less_than", "greater_than_or_equal_to",
    "less_than_or_equal_to",
)  # fmt: skip
_DATE_OPS = ("equals", "before", "after", "on_or_before", "on_or_after")
_SPANS = {
    "past_week": (-7, 0), "past_month": (-30, 0), "past_year": (-365, 0),
    "next_week": (0, 7), "next_month": (0, 30), "next_year": (0, 365), "this_week": (-7, 7),
}  # fmt: skip

Test = Callable[[Page], bool]


def matching(source: DataSource, condition: Any) -> Test:
    """Whether a row meets a filter. Raises NotionError when the filter isn't one."""
    return _condition(source, condition, "body.filter", 0)


def ordered(source: DataSource, rows: list[Page], sorts: Any) -> list[Page]:
    """By the sorts of a request; without any the newest row is the first."""
    found = sorted(rows, key=lambda row: row.created, reverse=True)
    for place, sort in reversed(list(enumerate(check.array(sorts or [], "body.sorts")))):
        path = f"body.sorts[{place}]"
        body = check.mapping(sort, path, ("property", "timestamp", "direction"))
        down = (
            check.one_of(body.get("direction"), f"{path}.direction", ("ascending", "descending"))
            == "descending"
        )
        found = _sorted(found, _key(source, body, path), down=down)
    return found


def _sorted(rows: list[Page], key: Callable[[Page], Any], *, down: bool) -> list[Page]:
    """Rows without a value are the last, whichever way."""
    full = [row for row in rows if key(row) is not None]
    return sorted(full, key=key, reverse=down) + [row for row in rows if key(row) is None]


def _key(source: DataSource, body: Json, path: str) -> Callable[[Page], Any]:
    if "timestamp" in body:
        names = ("created_time", "last_edited_time")
        edited = check.one_of(body["timestamp"], f"{path}.timestamp", names) == names[1]
        return lambda row: row.edited if edited else row.created
    name = check.text(body.get("property", ...), f"{path}.property")
    prop = schema.find(source.properties, name)
    if prop is None:
        raise invalid(f"Could not find sort property with name or id: {name}")
    kind = prop["type"]
    if kind in ("select", "status"):
        places = {option["id"]: n for n, option in enumerate(prop[kind]["options"])}
        return lambda row: places.get(str(row.values.get(prop["id"])))
    return lambda row: _simple(kind, values.content(prop, row))


def _simple(kind: str, value: Any) -> Any:
    if kind in ("title", "rich_text"):
        return richtext.said(value).casefold() or None
    if kind == "date":
        return _instant(value["start"]) if value else None
    if isinstance(value, list):
        return ", ".join(str(item.get("name") or item.get("id")) for item in value) or None
    return value


def _condition(source: DataSource, value: Any, path: str, depth: int) -> Test:
    body = check.mapping(value, path)
    for word in ("and", "or"):
        if word in body:
            if depth >= MAX_NESTING:
                raise invalid(f"{path}: compound filters can be nested up to two levels deep.")
            several = [
                _condition(source, item, f"{path}.{word}[{n}]", depth + 1)
                for n, item in enumerate(check.array(body[word], f"{path}.{word}"))
            ]
            return _all(several) if word == "and" else _any(several)
    if "timestamp" in body:
        name = check.one_of(
            body["timestamp"], f"{path}.timestamp", ("created_time", "last_edited_time")
        )
        return _date(
            check.mapping(body.get(name), f"{path}.{name}"),
            f"{path}.{name}",
            lambda row: minute(row.created if name == "created_time" else row.edited),
        )
    return _property(source, body, path)


def _all(several: list[Test]) -> Test:
    return lambda row: all(test(row) for test in several)


def _any(several: list[Test]) -> Test:
    return lambda row: any(test(row) for test in several)


def _property(source: DataSource, body: Json, path: str) -> Test:
    if "property" not in body:
        raise misshapen(f"{path}.property", "defined")
    name = check.text(body["property"], f"{path}.property")
    prop = schema.find(source.properties, name)
    if prop is None:
        raise invalid(f"Could not find property with name or id: {name}")
    kind = prop["type"]
    given = [key for key in body if key not in ("property", "type")]
    if kind not in given:
        # A text's filter may be called rich_text whatever kind of text it is.
        if kind in _TEXT_KINDS and given == ["rich_text"]:
            kind = "rich_text"
        else:
            raise invalid(
                f"database property {prop['type']} does not match filter {', '.join(given)}"
            )
    test = check.mapping(body[kind], f"{path}.{kind}")
    where = f"{path}.{kind}"
    match prop["type"]:
        case "title" | "rich_text" | "url" | "email" | "phone_number":
            return _text(prop, test, where)
        case "number":
            return _number(prop, test, where)
        case "checkbox":
            operator, wanted = _operator(test, where, ("equals", "does_not_equal"))
            yes = check.boolean(wanted, where) == (operator == "equals")
            return lambda row: bool(values.content(prop, row)) == yes
        case "select" | "status":
            return _option(prop, test, where)
        case "multi_select" | "people" | "relation":
            return _among(prop, test, where)
        case "date" | "created_time" | "last_edited_time":
            return _date(test, where, lambda row: _start(values.content(prop, row)))
        case "files":
            operator, _ = _operator(test, where, _EXIST)
            return lambda row: bool(values.content(prop, row)) == (operator == "is_not_empty")
        case other:
            raise invalid(f"The stand-in has no filter for {other}.")


def _operator(test: Json, path: str, names: tuple[str, ...]) -> tuple[str, Any]:
    if len(test) != 1 or next(iter(test)) not in names:
        raise misshapen(path, f"one of {', '.join(names)}", test)
    return next(iter(test.items()))


def _exists(operator: str, wanted: Any, path: str) -> bool:
    if wanted is not True:
        raise misshapen(f"{path}.{operator}", "`true`", wanted)
    return operator == "is_not_empty"


def _text(prop: Json, test: Json, path: str) -> Test:
    operator, wanted = _operator(test, path, (*_TEXT_OPS, *_EXIST))

    def said(row: Page) -> str:
        value = values.content(prop, row)
        return (richtext.said(value) if isinstance(value, list) else value or "").casefold()

    if operator in _EXIST:
        full = _exists(operator, wanted, path)
        return lambda row: bool(said(row)) == full
    text = check.text(wanted, f"{path}.{operator}").casefold()
    tests: Mapping[str, Callable[[str], bool]] = {
        "equals": lambda is_: is_ == text,
        "does_not_equal": lambda is_: is_ != text,
        "contains": lambda is_: text in is_,
        "does_not_contain": lambda is_: text not in is_,
        "starts_with": lambda is_: is_.startswith(text),
        "ends_with": lambda is_: is_.endswith(text),
    }
    holds = tests[operator]
    return lambda row: holds(said(row))


def _number(prop: Json, test: Json, path: str) -> Test:
    operator, wanted = _operator(test, path, (*_NUMBER_OPS, *_EXIST))
    if operator in _EXIST:
        full = _exists(operator, wanted, path)
        return lambda row: (values.content(prop, row) is not None) == full
    number = check.number(wanted, f"{path}.{operator}")
    tests: Mapping[str, Callable[[float], bool]] = {
        "equals": lambda is_: is_ == number,
        "greater_than": lambda is_: is_ > number,
        "less_than": lambda is_: is_ < number,
        "greater_than_or_equal_to": lambda is_: is_ >= number,
        "less_than_or_equal_to": lambda is_: is_ <= number,
    }

    def holds(row: Page) -> bool:
        value = values.content(prop, row)
        if operator == "does_not_equal":
            return bool(value != number)
        return value is not None and tests[operator](value)

    return holds


def _names(prop: Json, wanted: Any, path: str) -> list[str]:
    """The options a filter names, one or a list. One that doesn't exist is an error [J]."""
    names = wanted if isinstance(wanted, list) else [wanted]
    for name in names:
        check.text(name, path)
        kind = prop["type"]
        if kind in ("people", "relation"):
            continue
        options = [option["name"] for option in prop[kind]["options"]]
        if name not in options:
            raise invalid(
                f'{kind} option "{name}" not found for property "{prop["name"]}". '
                f"Available options: {', '.join(options)}."
            )
    return names


def _option(prop: Json, test: Json, path: str) -> Test:
    operator, wanted = _operator(test, path, ("equals", "does_not_equal", *_EXIST))

    def chosen(row: Page) -> str | None:
        value = values.content(prop, row)
        return str(value["name"]) if value else None

    if operator in _EXIST:
        full = _exists(operator, wanted, path)
        return lambda row: (chosen(row) is not None) == full
    names = _names(prop, wanted, f"{path}.{operator}")
    return lambda row: (chosen(row) in names) == (operator == "equals")


def _among(prop: Json, test: Json, path: str) -> Test:
    operator, wanted = _operator(test, path, ("contains", "does_not_contain", *_EXIST))
    key = "name" if prop["type"] == "multi_select" else "id"

    def have(row: Page) -> set[str]:
        return {item[key] for item in values.content(prop, row)}

    if operator in _EXIST:
        full = _exists(operator, wanted, path)
        return lambda row: bool(have(row)) == full
    names = set(_names(prop, wanted, f"{path}.{operator}"))
    return lambda row: bool(have(row) & names) == (operator == "contains")


def _date(test: Json, path: str, when: Callable[[Page], str | None]) -> Test:
    operator, wanted = _operator(test, path, (*_DATE_OPS, *_SPANS, *_EXIST))
    if operator in _EXIST:
        full = _exists(operator, wanted, path)
        return lambda row: (when(row) is not None) == full
    if operator in _SPANS:
        now = datetime.now(UTC)
        first, last = (now + timedelta(days=days) for days in _SPANS[operator])
        return lambda row: (is_ := when(row)) is not None and first <= _instant(is_) <= last
    try:
        edge = _instant(check.text(wanted, f"{path}.{operator}"))
    except ValueError:
        raise misshapen(f"{path}.{operator}", "a valid ISO 8601 date string", wanted) from None
    by_day = len(wanted) == 10
    if by_day:
        edge = edge.replace(hour=0, minute=0)

    def holds(row: Page) -> bool:
        text = when(row)
        if text is None:
            return False
        is_ = _instant(text)
        if by_day:
            is_ = is_.replace(hour=0, minute=0, second=0, microsecond=0)
        return {
            "equals": is_ == edge,
            "before": is_ < edge,
            "after": is_ > edge,
            "on_or_before": is_ <= edge,
            "on_or_after": is_ >= edge,
        }[operator]

    return holds


def _start(value: Any) -> str | None:
    found = value["start"] if isinstance(value, dict) else value
    return None if found is None else str(found)


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
