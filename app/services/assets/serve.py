"""Gives pictures and PDFs to whoever asks for them by their names: at `/assets/…`."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from app.domain.assets.kept import parse_name
from app.errors import ShelfRefused, Unavailable
from app.ports import PictureShelf
from app.store import Store

log = structlog.get_logger(__name__)

CACHE_BYTES = 32_000_000
"""A newsletter's pictures, of which readers ask for all within the hour."""
READS_AT_ONCE = 4


@dataclass(frozen=True)
class Served:
    sha256: str
    media_type: str
    content: bytes


class ServePictures:
    """shelf_at: makes what reads a place, as ASSETS_STORE had it when a picture was kept: mails
    that were sent before it was changed name our address, too."""

    def __init__(self, store: Store, shelf_at: Callable[[str], PictureShelf | None]) -> None:
        self._store = store
        self._shelf_at = shelf_at
        self._cache: OrderedDict[str, Served] = OrderedDict()
        self._cached_bytes = 0
        self._turns = asyncio.Semaphore(READS_AT_ONCE)

    async def __call__(self, name: str) -> Served | None:
        """None: there is no such picture. Raises Unavailable."""
        parsed = parse_name(name)
        if parsed is None:
            return None
        if found := self._remembered(name):
            return found
        async with self._turns:
            if found := self._remembered(name):  # by one that had its turn before
                return found
            found = await self._read(name, *parsed)
            if found:
                self._remember(name, found)
            return found

    async def _read(self, name: str, sha256: str, extension: str) -> Served | None:
        stored = await self._store.read_asset(sha256, extension)
        if stored is None:
            return None
        content = stored.content
        if content is None:
            content = await self._from_shelf(stored.store, name)
        if content is None:
            log.warning(
                "picture_missing",
                name=name,
                remedy=f"It was kept in {stored.store}; put it back there.",
            )
            return None
        return Served(sha256, stored.media_type, content)

    async def _from_shelf(self, place: str, name: str) -> bytes | None:
        """Raises Unavailable, which tells strangers nothing of the place."""
        try:
            shelf = self._shelf_at(place)
            return await shelf.get(name) if shelf else None
        except (ShelfRefused, Unavailable) as exc:
            log.warning("picture_not_read", name=name, store=place, error=exc.detail)
            raise Unavailable("The picture can't be read at the moment.") from exc

    def _remembered(self, name: str) -> Served | None:
        if found := self._cache.get(name):
            self._cache.move_to_end(name)
        return found

    def _remember(self, name: str, served: Served) -> None:
        self._cache[name] = served
        self._cached_bytes += len(served.content)
        while self._cached_bytes > CACHE_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._cached_bytes -= len(oldest.content)
