"""Keeps the pictures of a mail: fetched, made fit for mail, and stored under the hash of their
content, where readers find them for years."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog

from app.domain.assets.kept import Asset, Kept, NotKept
from app.domain.assets.pictures import RECIPE
from app.domain.untrusted import plain
from app.errors import PictureExpired, PictureRefused, TemplateInvalid, Unavailable
from app.ports import PictureShelf, PictureSource
from app.services.assets.tasks import LIMITS, make_picture
from app.services.rendering.renderer import RENDERER, Renderer
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Pictures of one mail."""
MAX_PICTURES = 200
"""Of one mail: far more than a reader waits for."""
TRIES = 2
PAUSE_SECONDS = 1.0
ORIGIN_CHARS = 200

_TOO_MUCH = NotKept(
    "too_much",
    "it takes more time or memory to read than a picture may: make it smaller, or save it as "
    "JPEG or PNG",
)
_TOO_MANY = NotKept(
    "too_many", f"a mail may have {MAX_PICTURES} pictures, and this is one more: take some away"
)


@dataclass(frozen=True)
class KeepPictures:
    """shelf: None where the database keeps them."""

    store: Store
    settings: Settings
    source: PictureSource
    shelf: PictureShelf | None = None
    renderer: Renderer = RENDERER
    _turn: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """To read a file: one of the few processes at a time, as mails are rendered by them, too."""

    async def __call__(self, pictures: Mapping[str, str | bytes]) -> dict[str, Kept | NotKept]:
        """What became of each picture, by the caller's names for them. pictures: the address of
        each, or its file.

        A picture whose address has ended is NotKept with the problem `expired`: with a new one,
        read anew from Notion, it can be tried again. Raises Unavailable when the database, the
        store or the processes that read pictures are away, and ShelfRefused; what was kept by then
        is kept, and found when this is done again.
        """
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(given: str | bytes) -> Kept | NotKept:
            async with turns:
                return await self._keep(given)

        distinct = list(dict.fromkeys(pictures.values()))
        few, too_many = distinct[:MAX_PICTURES], distinct[MAX_PICTURES:]
        # One that fails doesn't cut the others off: what they keep is found the next time.
        results = await asyncio.gather(*map(one, few), return_exceptions=True)
        found: dict[str | bytes, Kept | NotKept] = dict.fromkeys(too_many, _TOO_MANY)
        for given, result in zip(few, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            found[given] = result
        return {name: found[given] for name, given in pictures.items()}

    async def _keep(self, given: str | bytes) -> Kept | NotKept:
        try:
            data = given if isinstance(given, bytes) else await self._fetched(given)
        except PictureRefused as exc:
            return NotKept(exc.extra["problem"], exc.detail)
        source = hashlib.sha256(data).hexdigest()
        place = self.shelf.place if self.shelf else "database"
        asset = await self.store.find_asset(source, recipe=RECIPE, store=place)
        if asset is None:
            made = await self._made(data)
            if isinstance(made, NotKept):
                return made
            asset, content = made
            if self.shelf:
                await self.shelf.put(asset.name, content, asset.media_type)
            await self.store.keep_asset(
                asset,
                source=source,
                recipe=RECIPE,
                store=place,
                origin=_origin(given),
                content=None if self.shelf else content,
            )
            log.info("picture_kept", sha256=asset.sha256, bytes=asset.size, was=len(data))
        url = f"{self.settings.assets_url}/{asset.name}"
        return Kept(url, asset.width, asset.height, asset.note, asset.sha256)

    async def _fetched(self, url: str) -> bytes:
        """Raises PictureRefused."""
        for attempt in range(1, TRIES + 1):
            try:
                return await self.source.fetch(url)
            except PictureExpired:
                raise
            except Unavailable as exc:
                if attempt == TRIES:
                    raise PictureRefused(exc.detail, problem="unreachable") from None
                await asyncio.sleep(PAUSE_SECONDS)
        raise AssertionError("the last try returns or raises")

    async def _made(self, data: bytes) -> tuple[Asset, bytes] | NotKept:
        try:
            async with self._turn:
                made: dict[str, Any] = await self.renderer.run(LIMITS, make_picture, data)
        except TemplateInvalid:  # the process was ended
            return _TOO_MUCH
        if "problem" in made:
            return NotKept(made["problem"], made["detail"])
        content = base64.b64decode(made.pop("content"))
        sha256 = hashlib.sha256(content).hexdigest()
        return Asset(sha256=sha256, size=len(content), **made), content


def _origin(given: str | bytes) -> str | None:
    """Host and name of a file, without what opens it."""
    if isinstance(given, bytes):
        return None
    parts = urlsplit(given)
    name = unquote(parts.path).rpartition("/")[2]
    return plain(f"{parts.hostname or ''}: {name}", ORIGIN_CHARS)
