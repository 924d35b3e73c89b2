"""The shapes of a request's members, and Notion's limits on them ("Request limits")."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any
from uuid import UUID

from app.sandbox.notion.errors import invalid, misshapen

Json = dict[str, Any]

MAX_ITEMS = 100
MAX_TEXT = 2000
MAX_URL = 2000
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.IGNORECASE)


def units(text: str) -> int:
    """A text's length as Notion counts it: in UTF-16 code units, so most emoji are two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def mapping(value: Any, path: str, names: Collection[str] | None = None) -> Json:
    """An object, of which only the members `names` are known."""
    if not isinstance(value, dict):
        raise misshapen(path, "an object", value)
    for name in value:
        if names is not None and name not in names:
            raise misshapen(f"{path}.{name}", "not present", value[name])
    return value


def array(value: Any, path: str, limit: int = MAX_ITEMS) -> list[Any]:
    if not isinstance(value, list):
        raise misshapen(path, "an array", value)
    if len(value) > limit:
        raise misshapen(f"{path}.length", f"≤ `{limit}`", len(value))
    return value


def text(value: Any, path: str, limit: int | None = None) -> str:
    if not isinstance(value, str):
        raise misshapen(path, "a string", value)
    if limit is not None and units(value) > limit:
        raise misshapen(f"{path}.length", f"≤ `{limit}`", units(value))
    return value


def boolean(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise misshapen(path, "a boolean", value)
    return value


def number(value: Any, path: str) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misshapen(path, "a number", value)
    return value


def one_of(value: Any, path: str, names: Collection[str]) -> str:
    if not isinstance(value, str) or value not in names:
        choices = ", ".join(f'`"{name}"`' for name in names)
        raise misshapen(path, f"one of {choices}", value)
    return value


def url(value: Any, path: str) -> str:
    """An absolute URL of any scheme."""
    found = text(value, path, MAX_URL)
    if not _SCHEME.fullmatch(found):
        raise invalid(f"Invalid URL: {path}.")
    return found


def identifier(value: Any, path: str) -> str:
    """An id with or without dashes, as Notion writes it."""
    try:
        return str(UUID(text(value, path)))
    except ValueError:
        raise misshapen(path, "a valid uuid", value) from None


def page_size(value: Any, path: str) -> int:
    try:
        size = int(value)
    except (TypeError, ValueError):
        raise misshapen(path, "a number", value) from None
    if not 1 <= size <= MAX_ITEMS:
        should = f"≤ `{MAX_ITEMS}`" if size > MAX_ITEMS else "≥ `1`"
        raise misshapen(path, should, size)
    return size
