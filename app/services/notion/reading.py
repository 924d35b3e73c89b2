"""Reads a page of Notion whole: its blocks, and theirs, to any depth that a newsletter has."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog

from app.domain.notion.blocks.shape import is_sound
from app.domain.notion.blocks.tree import VANISHED, kind, value
from app.domain.notion.properties import plain_text
from app.errors import NotionAway, NotionPageTooLarge, NotionRefused
from app.ports import Notion

log = structlog.get_logger(__name__)

MAX_BLOCKS = 3_000
MAX_DEPTH = 20

# What is in them is no part of this page, or isn't to be shown.
_CLOSED = ("child_page", "child_database", "meeting_notes", "transcription", "template")

Progress = Callable[[int], Awaitable[None]]
JsonBlock = dict[str, Any]


async def read_page(
    notion: Notion, page_id: UUID, progress: Progress | None = None
) -> list[JsonBlock]:
    """The blocks of a page as a tree (domain/notion/blocks/tree.py).

    progress: is told now and then how many blocks were read.
    Raises NotionAway, NotionRefused, and NotionPageTooLarge for a page of more than MAX_BLOCKS
    blocks or MAX_DEPTH levels.
    """
    return await _Reader(notion, progress).level(page_id, depth=1)


class _Reader:
    """One request at a time: Notion's limit is on requests, and the client keeps it."""

    def __init__(self, notion: Notion, progress: Progress | None) -> None:
        self._notion = notion
        self._progress = progress
        self._count = 0

    async def level(self, parent: UUID, *, depth: int) -> list[JsonBlock]:
        if depth > MAX_DEPTH:
            raise NotionPageTooLarge(
                f"The page has blocks within blocks more than {MAX_DEPTH} levels deep; a mail "
                "can't show that. Move some of them out."
            )
        blocks = await self._children(parent)
        self._count += len(blocks)
        if self._count > MAX_BLOCKS:
            raise NotionPageTooLarge(
                f"The page has more than {MAX_BLOCKS:,} blocks, which is more than a mail can "
                "hold. Shorten it, or send it in parts."
            )
        if self._progress:
            await self._progress(self._count)
        whole = [await self._with_children(block, parent, depth) for block in blocks]
        return [block for block in whole if block is not None]

    async def _with_children(self, block: JsonBlock, parent: UUID, depth: int) -> JsonBlock | None:
        """The block and what is in it; None: it was taken away while the page was read."""
        of = kind(block)
        if of in ("link_to_page", "child_page"):
            return await self._with_title(block)
        if of in _CLOSED:
            return block
        if block.get("has_children"):
            try:
                block = {**block, "children": await self.level(_id(block), depth=depth + 1)}
            except NotionRefused as refused:
                if not _is_missing(refused):
                    raise
                return await self._looked_for(block, parent, depth)
        if of == "synced_block" and not block.get("children"):
            return await self._with_original(block, depth)
        return block

    async def _looked_for(self, block: JsonBlock, parent: UUID, depth: int) -> JsonBlock | None:
        """A block whose children weren't there, read once more."""
        now = {each["id"]: each for each in await self._children(parent)}
        found = now.get(block["id"])
        if found is None:
            self._count -= 1
            return None
        if not found.get("has_children"):
            return found
        try:
            return {**found, "children": await self.level(_id(found), depth=depth + 1)}
        except NotionRefused as refused:
            if not _is_missing(refused):
                raise
            return {**found, VANISHED: True}

    async def _with_original(self, block: JsonBlock, depth: int) -> JsonBlock:
        """A copy of a synced block may come without children: those of the original are meant."""
        source = (value(block).get("synced_from") or {}).get("block_id")
        if not source:
            return block
        try:
            return {**block, "children": await self.level(UUID(source), depth=depth + 1)}
        except NotionRefused as refused:
            if not _is_missing(refused):
                raise
            return block

    async def _with_title(self, block: JsonBlock) -> JsonBlock:
        """A link to a page, with the page's title, and its address if it is published."""
        content = dict(value(block))
        try:
            if kind(block) == "child_page":
                said = await self._notion.page(_id(block))
            elif page := content.get("page_id"):
                said = await self._notion.page(UUID(page))
            elif database := content.get("database_id"):
                said = await self._notion.database(UUID(database))
            else:
                return block
        except NotionRefused as refused:
            log.info("notion_page_unnamed", block=block["id"], reason=refused.extra["notion_code"])
            return block
        titles = [said.get("title"), *(p.get("title") for p in _properties(said))]
        title = next((plain_text(each) for each in titles if each), "")
        content["title"] = content.get("title") or title
        address = said.get("public_url")
        content["public_url"] = address if isinstance(address, str) else None
        return {**block, kind(block): content}

    async def _children(self, parent: UUID) -> list[JsonBlock]:
        most = MAX_BLOCKS - self._count
        found = await self._notion.children(parent, most)
        if not all(map(is_sound, found)):
            raise NotionAway(
                "Notion gave a block of the page in a form that can't be read. If it lasts, check "
                "what stands between this machine and Notion."
            )
        return [each for each in found if not (each.get("in_trash") or each.get("archived"))]


def _id(block: JsonBlock) -> UUID:
    return UUID(block["id"])


def _properties(page: dict[str, Any]) -> list[dict[str, Any]]:
    properties = page.get("properties")
    found = properties.values() if isinstance(properties, dict) else ()
    return [each for each in found if isinstance(each, dict)]


def _is_missing(refused: NotionRefused) -> bool:
    return refused.extra.get("notion_status") == 404
