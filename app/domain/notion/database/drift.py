"""Does the owner's database still have what a newsletter's row needs? Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from app.domain.notion.properties import PROPERTIES, Property
from app.domain.notion.schema import READ_AS, Column, Schema
from app.domain.reports.findings import Finding

NEEDED = frozenset({"Name", "Status"})
"""Without these nothing can be sent; the other properties are used where they are."""
_SHOWS_WHAT_HAPPENS = ("Delivery", "Problem")
_NAMES_SHOWN = 3

# As Notion's menus call its types.
_TYPES = {
    "title": "title",
    "rich_text": "text",
    "select": "select",
    "multi_select": "multi-select",
    "status": "status",
    "date": "date",
    "number": "number",
    "url": "URL",
    "files": "files & media",
    "checkbox": "checkbox",
    "people": "person",
    "formula": "formula",
}


def drift(schema: Schema) -> Iterator[Finding]:
    """A finding for each property or option that is missing, or of another type, with what to click
    or set; one that all is well where it is."""
    found = [*_doubled(schema), *_properties(schema), *_options(schema)]
    yield from found
    if not any(finding.level != "ok" for finding in found):
        yield Finding("ok", "The Notion database has the properties that newsletters need.")
    status = schema.column("Status")
    if status and status.type == "status":
        yield Finding(
            "ok",
            f"“{status.name}” is of Notion's own type Status: that is read as well as a select.",
        )


def _doubled(schema: Schema) -> Iterator[Finding]:
    names = list(schema.names.values())
    for there in sorted({name for name in names if names.count(name) > 1}):
        ours = [each.setting.upper() for each in PROPERTIES if schema.names[each.name] == there]
        yield Finding(
            "fail",
            f"{' and '.join(ours)} name the same property, “{there}”.",
            "give each its own in .env.",
        )


def _properties(schema: Schema) -> Iterator[Finding]:
    left_out = []
    for each in PROPERTIES:
        column = schema.column(each.name)
        if column is not None:
            if not schema.fits(each):
                yield _wrong_type(each, column)
        elif (others := _candidates(each, schema)) or each.name in NEEDED:
            yield _renamed(each, schema.names[each.name], others)
        elif each.name in _SHOWS_WHAT_HAPPENS:
            yield Finding(
                "warn",
                f"“{schema.names[each.name]}” is missing: the row doesn't show "
                + ("how far it is." if each.name == "Delivery" else "what went wrong."),
                f"in Notion add a property “{schema.names[each.name]}” of type "
                f"{_TYPES[each.kind]}.",
            )
        else:
            left_out.append(schema.names[each.name])
    if left_out:
        yield Finding(
            "ok",
            f"The Notion database has no {', '.join(left_out)}: nothing is read from or written to "
            "these.",
        )


def _candidates(each: Property, schema: Schema) -> list[str]:
    """Properties of the same type that are none of ours: one of them may be it, renamed."""
    types = {each.kind, *(READ_AS.get(each.kind, ()) if each.by_people else ())}
    ours = set(schema.names.values())
    return [
        name for name, column in schema.columns.items() if column.type in types and name not in ours
    ]


def _renamed(each: Property, there: str, others: list[str]) -> Finding:
    level, loss = _loss(each)
    what = f"“{there}” is missing in the Notion database{loss}."
    if not others:
        return Finding(level, what, f"add a property “{there}” of type {_TYPES[each.kind]}.")
    if len(others) == 1:
        return Finding(
            level,
            f"{what} A property “{others[0]}” of the same type is there.",
            f"if that is it, rename it back in Notion, or set {each.setting.upper()}={others[0]} "
            "in .env and restart.",
        )
    listed = ", ".join(f"“{name}”" for name in others[:_NAMES_SHOWN])
    return Finding(
        level,
        f"{what} Properties of the same type are there: {listed}.",
        f"if one of them is it, rename it back in Notion, or set {each.setting.upper()} to its "
        f"name in .env and restart; else add “{there}”.",
    )


def _wrong_type(each: Property, column: Column) -> Finding:
    level, loss = _loss(each)
    is_now = _TYPES.get(column.type, column.type)
    return Finding(
        level,
        f"“{column.name}” is of type {is_now}, not {_TYPES[each.kind]}{loss}.",
        f"in Notion click the property's name, Edit property, Type: {_TYPES[each.kind]}; or map "
        f"another by {each.setting.upper()}.",
    )


def _loss(each: Property) -> tuple[Literal["warn", "fail"], str]:
    """How bad it is without this property."""
    if each.name in NEEDED:
        return "fail", ": no newsletter can be sent"
    return "warn", ": it isn't read" if each.by_people else ": it isn't written"


def _options(schema: Schema) -> Iterator[Finding]:
    for each in PROPERTIES:
        column = schema.column(each.name)
        if column is None or not schema.fits(each) or each.name == "Time zone":
            continue
        missing = [name for name in each.options if name not in column.options]
        if missing:
            yield _missing_options(each, column, missing)


def _missing_options(each: Property, column: Column, missing: list[str]) -> Finding:
    listed = ", ".join(f"“{name}”" for name in missing)
    what = f"“{column.name}” lacks the option{'s' if len(missing) > 1 else ''} {listed}."
    near = [
        option
        for option in column.options
        if option.strip().lower() in {name.lower() for name in missing}
    ]
    remedy = (
        f"in Notion click the property's name, Edit property, and add {listed}, spelled just so"
        + (f" (“{near[0]}” is not the same)" if near else "")
        + "."
    )
    if not each.by_people:
        remedy += " Or leave it: Notion adds it when it is first written."
    return Finding("fail" if "Send" in missing else "warn", what, remedy)
