"""Reads a row's page as a mail's text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.assets.kept import Kept, NotKept
from app.domain.notion.blocks import Tree, document, pictures_of
from app.ports import Notion
from app.services.assets.keep import KeepPictures
from app.services.notion.rows.content import PageContent

READINGS = 3
"""The address of a picture ends within the hour; a page that takes that long is read anew."""


@dataclass(frozen=True)
class PageReader:
    notion: Notion
    keep: KeepPictures

    async def __call__(self, page_id: UUID) -> PageContent:
        """Raises NotionAway, NotionRefused, Unavailable, ShelfRefused."""
        for _ in range(READINGS):
            tree = await _read_page(self.notion, page_id)
            pictures = await self.keep({url: url for url in pictures_of(tree)})
            if not any(_has_ended(picture) for picture in pictures.values()):
                break
        made = document(tree, pictures)
        hashes = {url: each.sha256 for url, each in pictures.items() if isinstance(each, Kept)}
        return PageContent(made.markdown, _canonical(tree, hashes), made.findings)

    def differences(self, before: Any, after: Any) -> list[str]:
        return []


def _has_ended(picture: Kept | NotKept) -> bool:
    return isinstance(picture, NotKept) and picture.problem == "expired"


async def _read_page(notion: Notion, page_id: UUID) -> Tree:
    tree = []
    for block in await notion.children(page_id):
        inner = await _read_page(notion, UUID(block["id"])) if block.get("has_children") else []
        tree.append({**block, "children": inner})
    return tree


_FLEETING = {"id", "created_time", "last_edited_time", "created_by", "last_edited_by", "parent"}


def _canonical(value: Any, hashes: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            name: _canonical(each, hashes)
            for name, each in sorted(value.items())
            if name not in _FLEETING and name != "expiry_time"
        }
    if isinstance(value, list):
        return [_canonical(each, hashes) for each in value]
    if isinstance(value, str) and value.startswith("http"):
        return hashes.get(value) or value.partition("?")[0]
    return value
