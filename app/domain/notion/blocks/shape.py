"""Whether a block is of the shape that Notion documents ("Block", "Rich text", 2026-03-11), as far
as the making of a mail reads it. Nobody but Notion should answer there, yet something may. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

MAX_DEPTH = 40
"""Of one block without its children: Notion's have some six."""
_TEXTS = frozenset(
    {
        "type", "url", "href", "plain_text", "content", "color", "expression", "emoji", "start",
        "end", "time_zone", "list_format", "language", "name",
    }
)  # fmt: skip
_IDS = frozenset({"block_id", "page_id", "database_id"})
_OBJECTS = frozenset(
    {
        "text", "link", "annotations", "mention", "icon", "external", "file", "file_upload", "user",
        "page", "database", "date", "equation", "custom_emoji", "template_mention", "link_mention",
        "link_preview", "synced_from",
    }
)  # fmt: skip
_NUMBERS = frozenset({"list_start_index", "width_ratio"})


def is_sound(block: object) -> bool:
    """Whether all of its members, at any depth, are of the kinds that they should be; each may be
    missing or null, but for the block's own id and type."""
    return (
        isinstance(block, Mapping)
        and isinstance(block.get("type"), str)
        and _is_id(block.get("id"))
        and _is_object(block, 0)
    )


def _is_object(found: object, depth: int) -> bool:
    return (
        isinstance(found, Mapping)
        and depth < MAX_DEPTH
        and all(value is None or _fits(name, value, depth + 1) for name, value in found.items())
    )


def _fits(name: str, value: Any, depth: int) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _IDS:
        return _is_id(value)
    if name in _OBJECTS:
        return _is_object(value, depth)
    if name in _NUMBERS:
        return isinstance(value, int | float)
    if name in ("rich_text", "caption", "children"):
        return _are_items(value, depth)
    if name == "title":
        return isinstance(value, str) or _are_items(value, depth)
    if name == "cells":
        return isinstance(value, list) and all(_are_items(cell, depth) for cell in value)
    # A member that isn't read may be anything; what is of an object's form is looked into, as the
    # block's own words stand under the name of its type.
    return _is_object(value, depth) if isinstance(value, Mapping) else True


def _are_items(value: object, depth: int) -> bool:
    return isinstance(value, list) and all(_is_object(item, depth + 1) for item in value)


def _is_id(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(UUID(value))
    except ValueError:
        return False
