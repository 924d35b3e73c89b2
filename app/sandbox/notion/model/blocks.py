"""Blocks: what a request may contain, what a person's app writes, how they are answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.sandbox.notion.errors import invalid, misshapen
from app.sandbox.notion.model import check, richtext
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.values import Attach

MAX_DEPTH = 2
"""Levels of children in one request, beside the blocks themselves."""
MAX_BLOCKS = 1000
_TEXT = {"rich_text": "rich_text", "color": "color"}
_MEDIA = ("image", "video", "audio", "pdf", "file")


@dataclass(frozen=True)
class Kind:
    """fields: name → what it is. children: it can hold some. by_api: a request may make it."""

    fields: Mapping[str, str]
    children: bool = False
    by_api: bool = True


KINDS: Mapping[str, Kind] = {
    "paragraph": Kind(_TEXT | {"icon": "any"}, children=True),
    **{
        f"heading_{level}": Kind(_TEXT | {"is_toggleable": "flag"}, children=True)
        for level in (1, 2, 3, 4)
    },
    "quote": Kind(_TEXT, children=True),
    "toggle": Kind(_TEXT, children=True),
    "callout": Kind(_TEXT | {"icon": "icon"}, children=True),
    "to_do": Kind(_TEXT | {"checked": "flag"}, children=True),
    "bulleted_list_item": Kind(_TEXT, children=True),
    "numbered_list_item": Kind(
        _TEXT | {"list_start_index": "any", "list_format": "any"}, children=True
    ),
    "code": Kind({"rich_text": "rich_text", "caption": "rich_text", "language": "language"}),
    **{kind: Kind({"caption": "rich_text", "name": "any"}) for kind in _MEDIA},
    "bookmark": Kind({"url": "url", "caption": "rich_text"}),
    "embed": Kind({"url": "url", "caption": "rich_text"}),
    "link_preview": Kind({"url": "url"}, by_api=False),
    "link_to_page": Kind(
        {"type": "any", "page_id": "any", "database_id": "any", "comment_id": "any"}
    ),
    "equation": Kind({"expression": "text"}),
    "divider": Kind({}),
    "breadcrumb": Kind({}),
    "table_of_contents": Kind({"color": "color"}),
    "table": Kind(
        {"table_width": "any", "has_column_header": "flag", "has_row_header": "flag"},
        children=True,
    ),
    "table_row": Kind({"cells": "cells"}),
    "column_list": Kind({}, children=True),
    "column": Kind({"width_ratio": "any"}, children=True),
    "tab": Kind({}, children=True),
    "synced_block": Kind({"synced_from": "any"}, children=True),
    "template": Kind({"rich_text": "rich_text"}, children=True),
    "child_page": Kind({"title": "text"}, children=True, by_api=False),
    "child_database": Kind({"title": "text"}, by_api=False),
    "meeting_notes": Kind({"title": "any", "status": "any"}, children=True, by_api=False),
    "unsupported": Kind({"block_type": "any"}, by_api=False),
}
_DEFAULTS: Mapping[str, Any] = {"flag": False, "color": "default", "icon": None}


@dataclass
class New:
    """A block that isn't placed yet."""

    type: str
    content: Json
    children: list[New] = field(default_factory=list)

    def count(self) -> int:
        return 1 + sum(child.count() for child in self.children)


def parse(value: Any, path: str, attach: Attach) -> list[New]:
    """The `children` of a request. Raises NotionError."""
    made = _several(value, path, attach, 0)
    if (count := sum(block.count() for block in made)) > MAX_BLOCKS:
        raise invalid(f"A request can create at most {MAX_BLOCKS} blocks, this one has {count}.")
    return made


def _several(value: Any, path: str, attach: Attach, depth: int) -> list[New]:
    items = check.array(value, path)
    if items and depth > MAX_DEPTH:
        raise misshapen(path, "not present", "…")
    return [_one(item, f"{path}[{place}]", attach, depth) for place, item in enumerate(items)]


def _one(value: Any, path: str, attach: Attach, depth: int) -> New:
    body = check.mapping(value, path)
    kinds = [kind for kind, spec in KINDS.items() if kind in body and spec.by_api]
    if len(kinds) != 1 or body.get("type", kinds[0]) != kinds[0]:
        raise misshapen(f"{path}.{body.get('type', 'paragraph')}", "defined")
    kind = kinds[0]
    check.mapping(body, path, ("object", "type", kind))
    return content(kind, body[kind], f"{path}.{kind}", attach, depth)


def content(kind: str, value: Any, path: str, attach: Attach, depth: int = 0) -> New:
    """What one block says: `{"rich_text": […], …}` of its type."""
    spec = KINDS[kind]
    media = ("type", "file", "external", "file_upload") if kind in _MEDIA else ()
    names = (*spec.fields, *media, *(("children",) if spec.children else ()))
    body = check.mapping(value, path, names)
    kept: Json = {}
    if kind in _MEDIA:
        kept |= attach({k: v for k, v in body.items() if k in media}, path)
        if kind != "file":
            kept.pop("name", None)
    for name, what in spec.fields.items():
        if name in body:
            kept[name] = _member(what, body[name], f"{path}.{name}", attach)
        elif what in ("rich_text", "text", "url", "cells") and name != "caption":
            raise misshapen(f"{path}.{name}", "defined")
        elif what == "rich_text":
            kept[name] = []
        elif what in _DEFAULTS:
            kept[name] = _DEFAULTS[what]
        elif what == "language":
            kept[name] = "plain text"
    children = (
        _several(body["children"], f"{path}.children", attach, depth + 1)
        if "children" in body
        else []
    )
    _needed_children(kind, body, path, children)
    return New(kind, kept, children)


def _needed_children(kind: str, body: Json, path: str, children: list[New]) -> None:
    match kind:
        case "table":
            width = body.get("table_width")
            if not isinstance(width, int) or width < 1:
                raise misshapen(f"{path}.table_width", "a number ≥ `1`", width)
            if not children:
                raise misshapen(f"{path}.children", "defined")
            if any(len(row.content["cells"]) != width for row in children):
                raise invalid("Number of cells in table row must match the table width.")
        case "column_list":
            if len(children) < 2:
                raise misshapen(f"{path}.children.length", "≥ `2`", len(children))
        case "synced_block" if "synced_from" not in body:
            raise misshapen(f"{path}.synced_from", "defined")
        case _ if kind.startswith("heading_") and children and not body.get("is_toggleable"):
            raise invalid("Headings can only have children when they are toggleable.")


def _member(what: str, value: Any, path: str, attach: Attach) -> Any:
    match what:
        case "rich_text":
            return richtext.parse(value, path)
        case "color":
            return check.one_of(value, path, richtext.COLORS)
        case "flag":
            return check.boolean(value, path)
        case "text" | "language":
            return check.text(value, path, check.MAX_TEXT)
        case "url":
            return check.url(value, path)
        case "cells":
            rows = check.array(value, path)
            return [richtext.parse(cell, f"{path}[{n}]") for n, cell in enumerate(rows)]
        case "icon" if isinstance(value, dict) and "emoji" not in value:
            return attach(value, path)
        case "icon" if isinstance(value, dict):
            return {"type": "emoji", "emoji": value["emoji"]}
        case _:
            return value


def from_person(value: Mapping[str, Any] | str, attach: Attach) -> New:
    """What stands on a page whoever wrote it: any type, to any depth, also what no request may
    make. A text alone is a paragraph. Children stand inside the type's object or beside it."""
    if isinstance(value, str):
        value = {"type": "paragraph", "paragraph": {"rich_text": value}}
    kind = str(value.get("type") or next(k for k in value if k in KINDS))
    body = dict(value.get(kind) or {})
    children = [*body.pop("children", []), *value.get("children", [])]
    kept: Json = {}
    if kind in _MEDIA and body:
        kept = attach({k: v for k, v in body.items() if k not in ("caption", "name")}, kind)
        kept.pop("name", None)
    spec = KINDS.get(kind, Kind({}))
    for name, what in spec.fields.items():
        if what == "rich_text":
            kept[name] = richtext.lenient(body.get(name))
        elif what == "cells":
            kept[name] = [richtext.lenient(cell) for cell in body[name]]
        elif what == "icon" and isinstance(body.get(name), str):
            kept[name] = {"type": "emoji", "emoji": body[name]}
        elif name in body:
            kept[name] = body[name]
        elif what in _DEFAULTS:
            kept[name] = _DEFAULTS[what]
    if kind not in KINDS:
        kept = body
    return New(kind, kept, [from_person(child, attach) for child in children])
