"""Reads a row's page as a mail's text."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.assets.kept import Kept, NotKept
from app.domain.notion.blocks import canonical, document, pictures_of
from app.ports import Notion
from app.services.assets.keep import KeepPictures
from app.services.notion.reading import read_page
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
            tree = await read_page(self.notion, page_id)
            pictures = await self.keep({url: url for url in pictures_of(tree)})
            if not any(_has_ended(picture) for picture in pictures.values()):
                break
        made = document(tree, pictures)
        return PageContent(made.markdown, canonical(tree, pictures), made.findings)


def _has_ended(picture: Kept | NotKept) -> bool:
    return isinstance(picture, NotKept) and picture.problem == "expired"
