"""Reads a row's page as a mail's text."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.domain.assets.kept import Assets, Kept, KeptFile, NotKept
from app.domain.notion.blocks import (
    Tree,
    canonical,
    document,
    files_of,
    pictures_of,
    video_pictures_of,
)
from app.ports import Notion
from app.services.assets.keep import KeepPictures
from app.services.notion.reading import read_page
from app.services.notion.rows.content import PageContent

READINGS = 3
"""The address of a file ends within the hour; a page that takes that long is read anew."""


@dataclass(frozen=True)
class PageReader:
    notion: Notion
    keep: KeepPictures

    async def __call__(self, page_id: UUID) -> PageContent:
        """Raises NotionAway, NotionRefused, Unavailable, ShelfRefused."""
        for _ in range(READINGS):
            tree = await read_page(self.notion, page_id)
            kept = await self._kept(tree)
            if not any(_has_ended(each) for each in kept.values()):
                break
        made = document(tree, kept)
        return PageContent(made.markdown, canonical(tree, kept), made.findings)

    async def _kept(self, tree: Tree) -> Assets:
        """The page's pictures and files; those that lie elsewhere on the web stay there."""
        taken = [url for url in pictures_of(tree) if self.keep.takes(url)]
        return {
            **await self.keep.of_videos(video_pictures_of(tree)),
            **await self.keep.files(files_of(tree)),
            **await self.keep({url: url for url in taken}),
        }


def _has_ended(kept: Kept | KeptFile | NotKept) -> bool:
    return isinstance(kept, NotKept) and kept.problem == "expired"
