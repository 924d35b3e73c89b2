"""What a page says, in a form in which two readings of the same text are the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.assets.kept import Assets, Kept, KeptFile
from app.domain.assets.notion_hosts import is_notion_file
from app.domain.notion.blocks.tree import (
    Tree,
    address,
    children,
    kind,
    lies_with_notion,
    sendable,
    shown,
    value,
)
from app.domain.notion.properties import plain_text

Canonical = list[dict[str, Any]]

# Not what the page says: ids, times, who it was, and what an address is signed with.
_PASSING = frozenset(
    {
        *("id", "object", "parent", "children", "synced_from", "page_id", "database_id"),
        *("comment_id", "expiry_time", "created_time", "last_edited_time", "created_by"),
        *("last_edited_by", "has_children", "in_trash", "archived", "table_width", "request_id"),
    }
)
# Of these only the name is shown, or nothing.
_CLOSED = {
    "child_page",
    "child_database",
    "link_to_page",
    "template",
    "breadcrumb",
    "table_of_contents",
    "meeting_notes",
    "transcription",
}
_FILES = ("image", "video", "audio", "pdf", "file")
_MARKS = ("bold", "italic", "strikethrough", "underline", "code")


def canonical(tree: Tree, pictures: Assets | None = None) -> Canonical:
    """The blocks as JSON without what changes by itself: ids, times, signatures of addresses.

    pictures: what KeepPictures made of the page's; what was kept is known by its content,
    others by their address.
    """
    return [_block(block, pictures or {}) for block in shown(tree)]


def content_hash(page: Canonical) -> str:
    """SHA-256, in hex."""
    written = json.dumps(page, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(written.encode()).hexdigest()


def _block(block: Mapping[str, Any], pictures: Assets) -> dict[str, Any]:
    content = value(block)
    said: dict[str, Any] = {"type": kind(block)}
    if kind(block) in _CLOSED:
        said |= {name: content[name] for name in ("title", "public_url") if content.get(name)}
        if isinstance(said.get("title"), list):
            said["title"] = plain_text(said["title"])
        return said
    if kind(block) in _FILES:
        said["file"] = _file(content, pictures)
        content = {name: content.get(name) for name in ("caption", "name")}
    for name, each in content.items():
        made = _value(name, each, pictures)
        if name not in _PASSING and made not in (None, "", [], {}, False, "default"):
            said[name] = made
    within = [_block(child, pictures) for child in children(block)]
    return {**said, "children": within} if within else said


def _value(name: str, given: Any, pictures: Assets) -> Any:
    if name in ("rich_text", "caption", "title") and isinstance(given, list):
        return _rich_text(given, pictures)
    if name == "cells" and isinstance(given, list):
        return [_rich_text(cell, pictures) for cell in given]
    if name == "icon" and isinstance(given, Mapping):
        return given.get("emoji") or _file(given, pictures) or given.get("icon")
    if isinstance(given, Mapping):
        return {
            key: _value(key, each, pictures) for key, each in given.items() if key not in _PASSING
        }
    return given


def _file(media: Mapping[str, Any], pictures: Assets) -> str:
    url = address(media)
    kept = pictures.get(url)
    if isinstance(kept, Kept | KeptFile) and kept.sha256:
        return kept.sha256
    return url.partition("?")[0] if lies_with_notion(media) else url


def _rich_text(items: Sequence[Mapping[str, Any]], pictures: Assets) -> list[dict[str, Any]]:
    """Pieces with what differs from plain text; those of one form are one."""
    made: list[dict[str, Any]] = []
    for item in items:
        piece = _piece(item, pictures)
        if made and _form(piece) == _form(made[-1]) is not None:
            made[-1]["text"] += piece["text"]
        elif piece.get("text") or len(piece) > 1:
            made.append(piece)
    return made


def _piece(item: Mapping[str, Any], pictures: Assets) -> dict[str, Any]:
    style = item.get("annotations") or {}
    given = item.get("text") or {}
    piece: dict[str, Any] = {
        "text": sendable(str(item.get("plain_text") or given.get("content") or ""))
    }
    piece |= {mark: True for mark in _MARKS if style.get(mark)}
    if (color := style.get("color") or "default") != "default":
        piece["color"] = color
    link = str(item.get("href") or (given.get("link") or {}).get("url") or "")
    if is_notion_file(link):
        link = link.partition("?")[0]  # as the address of a file, it is signed for an hour
    if link and (item.get("mention") or {}).get("type") != "custom_emoji":
        piece["link"] = link
    if equation := item.get("equation"):
        piece["equation"] = equation.get("expression")
    if mention := item.get("mention"):
        of = str(mention.get("type"))
        piece["mention"] = of
        if of == "date":
            piece["date"] = {name: each for name, each in (mention["date"] or {}).items() if each}
        elif of == "custom_emoji":
            piece["file"] = _file(mention, pictures)
        elif of == "link_mention":
            piece["title"] = (mention[of] or {}).get("title")
    return piece


def _form(piece: Mapping[str, Any]) -> dict[str, Any] | None:
    """All but the text; None: the piece stands by itself."""
    if "mention" in piece or "equation" in piece:
        return None
    return {name: each for name, each in piece.items() if name != "text"}
