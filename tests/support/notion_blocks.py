"""Blocks and rich text in the shapes of Notion's API, version 2026-03-11.

Source of the shapes: makenotion/notion-sdk-js, `api-endpoints.ts` (BlockObjectResponse and
RichTextItemResponse).
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count
from typing import Any
from uuid import UUID

_numbers = count(1)
Item = dict[str, Any]
Block = dict[str, Any]

FILES = "https://prod-files-secure.s3.us-west-2.amazonaws.com"


def hosted_url(name: str, signature: str = "a1") -> str:
    """As Notion signs an address of its own files, for an hour."""
    return (
        f"{FILES}/5f0e/{name}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Expires=3600"
        f"&X-Amz-Date=20261126T040000Z&X-Amz-Signature={signature}"
    )


def _annotations(**given: Any) -> dict[str, Any]:
    names = ("bold", "italic", "strikethrough", "underline", "code")
    return {**dict.fromkeys(names, False), "color": "default", **given}


def text(content: str, *, link: str | None = None, **annotations: Any) -> Item:
    return {
        "type": "text",
        "text": {"content": content, "link": {"url": link} if link else None},
        "annotations": _annotations(**annotations),
        "plain_text": content,
        "href": link,
    }


def mention(kind: str, said: str, value: Any, *, href: str | None = None, **form: Any) -> Item:
    return {
        "type": "mention",
        "mention": {"type": kind, kind: value},
        "annotations": _annotations(**form),
        "plain_text": said,
        "href": href,
    }


def inline_equation(expression: str, **annotations: Any) -> Item:
    return {
        "type": "equation",
        "equation": {"expression": expression},
        "annotations": _annotations(**annotations),
        "plain_text": expression,
        "href": None,
    }


def rich(content: str | Item | Iterable[Item]) -> list[Item]:
    if isinstance(content, str):
        return [text(content)] if content else []
    return [content] if isinstance(content, dict) else list(content)


def block(
    kind: str, value: dict[str, Any] | None = None, children: Iterable[Block] = (), **more: Any
) -> Block:
    """A block with its children beside it, as in a tree."""
    within = list(children)
    return {
        "object": "block",
        "id": str(UUID(int=(0xB10C << 112) + next(_numbers))),
        "parent": {"type": "page_id", "page_id": str(UUID(int=1))},
        "created_time": "2026-11-26T04:00:00.000Z",
        "last_edited_time": "2026-11-26T04:00:00.000Z",
        "created_by": {"object": "user", "id": str(UUID(int=2))},
        "last_edited_by": {"object": "user", "id": str(UUID(int=2))},
        "has_children": bool(within),
        "in_trash": False,
        "type": kind,
        kind: value or {},
        "children": within,
        **more,
    }


def words(kind: str, content: str | Item | Iterable[Item], *children: Block, **value: Any) -> Block:
    """A block of text: paragraph, heading_1, quote, toggle, to_do, a list's item and so on."""
    return block(kind, {"rich_text": rich(content), "color": "default", **value}, children)


def paragraph(content: str | Item | Iterable[Item], *children: Block, **value: Any) -> Block:
    return words("paragraph", content, *children, icon=None, **value)


def callout(
    content: str | Item | Iterable[Item], *children: Block, emoji: str | None = "💡", **value: Any
) -> Block:
    icon = {"type": "emoji", "emoji": emoji} if emoji else None
    return words("callout", content, *children, **{"icon": icon, **value})


def media(
    kind: str,
    url: str | None,
    caption: str | Iterable[Item] = "",
    *,
    hosted: bool = False,
    **more: Any,
) -> Block:
    """An image, video, audio, file or pdf. url: None: it has none."""
    if hosted:
        place: dict[str, Any] = {"url": url, "expiry_time": "2026-11-26T05:00:00.000Z"}
        return block(kind, {"type": "file", "file": place, "caption": rich(caption), **more})
    place = {"url": url} if url is not None else {}
    return block(kind, {"type": "external", "external": place, "caption": rich(caption), **more})


def link(kind: str, url: str, caption: str | Iterable[Item] = "") -> Block:
    if kind == "link_preview":
        return block(kind, {"url": url})
    return block(kind, {"url": url, "caption": rich(caption)})


def columns(*parts: Iterable[Block], ratios: tuple[float, ...] = ()) -> Block:
    within = [
        block("column", {"width_ratio": ratio} if ratio else {}, part)
        for part, ratio in zip(parts, ratios or (0,) * len(parts), strict=True)
    ]
    return block("column_list", {}, within)


def table(
    *rows: Iterable[str | Item | list[Item]], header: bool = True, names: bool = False
) -> Block:
    made = [block("table_row", {"cells": [rich(cell) for cell in row]}) for row in rows]
    value = {
        "table_width": len(made[0]["table_row"]["cells"]),
        "has_column_header": header,
        "has_row_header": names,
    }
    return block("table", value, made)
