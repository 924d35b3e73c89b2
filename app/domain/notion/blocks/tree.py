"""Blocks of a page as Notion gives them, each with its own `children` beside it.

A tree is a list of such blocks: `{"object": "block", "id", "type": T, T: {…}, "children": […]}`
(services/notion/reading.py makes it). Shapes: Notion's API, "Block" and "Rich text", 2026-03-11.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from app.domain.assets.notion_hosts import is_at_notion
from app.domain.assets.videos import video_picture
from app.domain.notion.properties import plain_text

Block = Mapping[str, Any]
Tree = Sequence[Block]

_UNSENDABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
VANISHED = "vanished"
"""The key of a block whose children were gone when they were asked for."""


def kind(block: Block) -> str:
    return str(block.get("type") or "")


def value(block: Block) -> Mapping[str, Any]:
    """What the block says, by its type."""
    content = block.get(kind(block))
    return content if isinstance(content, Mapping) else {}


def children(block: Block) -> list[Block]:
    return shown(block.get("children") or ())


def sendable(text: str) -> str:
    """Text without what neither mail nor database can hold: control characters, and halves of
    characters."""
    return _UNSENDABLE.sub("", text)


def shown(tree: Tree) -> list[Block]:
    """The blocks that aren't in the trash."""
    return [each for each in tree if not (each.get("in_trash") or each.get("archived"))]


def rich_text(block: Block) -> Sequence[Mapping[str, Any]]:
    return value(block).get("rich_text") or ()


def text(block: Block) -> str:
    """The block's own words, in one line: of its text, else of its caption, cells or title."""
    content = value(block)
    found = (
        plain_text(content.get("rich_text"))
        or plain_text(content.get("caption"))
        or " ".join(plain_text(cell) for cell in content.get("cells") or ())
        or str(content.get("expression") or content.get("name") or "")
    )
    title = content.get("title")
    if not found and title:
        found = title if isinstance(title, str) else plain_text(title)
    return " ".join(found.split())


def walk(tree: Tree) -> Iterator[Block]:
    """Every block, as it is read: each before its children."""
    for block in shown(tree):
        yield block
        yield from walk(children(block))


def address(media: Mapping[str, Any] | None) -> str:
    """Where a file, a picture or an icon is; empty: nowhere."""
    media = media or {}
    place = media.get(str(media.get("type"))) or media.get("external") or media.get("file") or {}
    return sendable(str(place.get("url") or "")).strip() if isinstance(place, Mapping) else ""


def is_hosted(media: Mapping[str, Any]) -> bool:
    """Whether Notion holds it: its address works for an hour."""
    return media.get("type") in ("file", "custom_emoji", "file_upload")


def lies_with_notion(media: Mapping[str, Any]) -> bool:
    """Whether its address ends, however it came onto the page."""
    return is_hosted(media) or is_at_notion(address(media))


def pictures_of(tree: Tree) -> list[str]:
    """The address of every picture of a page, once, in order: icons and emoji of the workspace
    too."""
    return list(dict.fromkeys(url for block in walk(tree) for url in _pictures(block) if url))


def files_of(tree: Tree) -> list[str]:
    """The address of every file and PDF that lies with Notion, once, in order."""
    found = (value(block) for block in walk(tree) if kind(block) in ("file", "pdf"))
    return _addresses(content for content in found if lies_with_notion(content))


def video_pictures_of(tree: Tree) -> list[str]:
    """The address of the picture of every video that has one, once, in order."""
    videos = _addresses(value(block) for block in walk(tree) if kind(block) == "video")
    return [picture for picture in dict.fromkeys(map(video_picture, videos)) if picture]


def _addresses(media: Iterable[Mapping[str, Any]]) -> list[str]:
    return [url for url in dict.fromkeys(map(address, media)) if url]


def _pictures(block: Block) -> Iterator[str]:
    content = value(block)
    if kind(block) == "image":
        yield address(content)
    if isinstance(icon := content.get("icon"), Mapping):
        yield address(icon)
    for items in (content.get("rich_text"), content.get("caption"), *(content.get("cells") or ())):
        for item in items or ():
            mention = item.get("mention") or {}
            if mention.get("type") == "custom_emoji":
                yield address(mention)
