"""Keeps the pictures and PDFs of a mail: fetched, made fit for mail, and stored under the hash of
their content, where readers find them for years."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import structlog

from app.domain.assets.files import MAX_BYTES_IN_DATABASE, MAX_BYTES_ON_SHELF, is_pdf, refusal
from app.domain.assets.kept import Asset, Kept, KeptFile, NotKept
from app.domain.assets.sizes import RECIPE
from app.domain.untrusted import plain
from app.errors import (
    PictureExpired,
    PictureRefused,
    ShelfRefused,
    TemplateInvalid,
    Unavailable,
)
from app.ports import PictureShelf, PictureSource
from app.services.assets.tasks import LIMITS, make_picture
from app.services.rendering.renderer import RENDERER, Renderer
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Pictures of one mail."""
MAX_PICTURES = 200
"""Of one mail, and as many files: far more than a reader waits for."""
TRIES = 2
PAUSE_SECONDS = 1.0
VIDEO_SECONDS = 10.0
"""A mail does without the picture of a video."""
ORIGIN_CHARS = 200

_TOO_MUCH = NotKept(
    "too_much",
    "it takes more time or memory to read than a picture may: make it smaller, or save it as "
    "JPEG or PNG",
)
_TOO_MANY = NotKept(
    "too_many", f"a mail may have {MAX_PICTURES} of them, and this is one more: take some away"
)
_NO_PICTURE = NotKept(
    "not_a_picture", "it is a PDF: put it on the page as a PDF or file, or use JPEG or PNG"
)

Given = TypeVar("Given", bound=str | bytes)
Found = TypeVar("Found")
Make = Callable[[bytes], Awaitable[tuple[Asset, bytes] | NotKept]]


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

    def takes(self, url: str) -> bool:
        """Whether what lies there is fetched; other pictures stay where they are."""
        return self.source.takes(url)

    async def __call__(self, pictures: Mapping[str, str | bytes]) -> dict[str, Kept | NotKept]:
        """What became of each picture, by the caller's names for them. pictures: the address of
        each, or its file.

        A picture whose address has ended is NotKept with the problem `expired`: with a new one,
        read anew from Notion, it can be tried again. Raises Unavailable when the database, the
        store or the processes that read pictures are away, and ShelfRefused; what was kept by then
        is kept, and found when this is done again.
        """
        found = await _each(pictures.values(), self._keep_picture)
        return {name: found[given] for name, given in pictures.items()}

    async def files(self, addresses: Iterable[str]) -> dict[str, KeptFile | NotKept]:
        """What became of each file, by its address: PDFs are kept as they are, others aren't.
        Raises as for pictures."""
        return await _each(addresses, self._keep_file)

    async def of_videos(self, addresses: Iterable[str]) -> dict[str, Kept]:
        """The pictures of videos, by their addresses, so far as they are to be had now: nothing
        stops for them."""
        found = await _each(addresses, self._keep_of_video)
        return {url: kept for url, kept in found.items() if isinstance(kept, Kept)}

    async def _keep_picture(self, given: str | bytes) -> Kept | NotKept:
        try:
            data = given if isinstance(given, bytes) else await self._fetched(given)
        except PictureRefused as exc:
            return NotKept(exc.extra["problem"], exc.detail)
        return await self._as_picture(data, given)

    async def _keep_of_video(self, url: str) -> Kept | NotKept:
        try:
            async with asyncio.timeout(VIDEO_SECONDS):
                return await self._as_picture(await self.source.fetch(url), url)
        except (PictureRefused, ShelfRefused, Unavailable, TimeoutError) as exc:
            log.info("video_without_picture", error=str(exc) or type(exc).__name__)
            return NotKept("unreachable", "it isn't to be had now")

    async def _keep_file(self, url: str) -> KeptFile | NotKept:
        try:
            data = await self._fetched(url)
        except PictureRefused as exc:
            return NotKept(exc.extra["problem"], exc.detail)
        if refused := refusal(data, MAX_BYTES_ON_SHELF if self.shelf else MAX_BYTES_IN_DATABASE):
            return refused
        asset = await self._kept(data, url, _as_it_is)
        if isinstance(asset, NotKept):
            return asset
        return KeptFile(self._url(asset), asset.size, asset.sha256)

    async def _as_picture(self, data: bytes, given: str | bytes) -> Kept | NotKept:
        if is_pdf(data):
            return _NO_PICTURE
        asset = await self._kept(data, given, self._made)
        if isinstance(asset, NotKept):
            return asset
        if asset.width is None or asset.height is None:
            raise ValueError("a picture has no size")
        return Kept(self._url(asset), asset.width, asset.height, asset.note, asset.sha256)

    async def _kept(self, data: bytes, given: str | bytes, make: Make) -> Asset | NotKept:
        """What mails get for a file, made unless it is there."""
        source = hashlib.sha256(data).hexdigest()
        place = self.shelf.place if self.shelf else "database"
        asset = await self.store.find_asset(source, recipe=RECIPE, store=place)
        if asset is not None:
            return asset
        made = await make(data)
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
        log.info("asset_kept", name=asset.name, bytes=asset.size, was=len(data))
        return asset

    def _url(self, asset: Asset) -> str:
        return f"{self.settings.assets_url}/{asset.name}"

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


async def _each(
    given: Iterable[Given], keep: Callable[[Given], Awaitable[Found]]
) -> dict[Given, Found | NotKept]:
    """What became of each, a few at a time."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(each: Given) -> Found:
        async with turns:
            return await keep(each)

    distinct = list(dict.fromkeys(given))
    few, too_many = distinct[:MAX_PICTURES], distinct[MAX_PICTURES:]
    # One that fails doesn't cut the others off: what they keep is found the next time.
    results = await asyncio.gather(*map(one, few), return_exceptions=True)
    found: dict[Given, Found | NotKept] = dict.fromkeys(too_many, _TOO_MANY)
    for each, result in zip(few, results, strict=True):
        if isinstance(result, BaseException):
            raise result
        found[each] = result
    return found


async def _as_it_is(data: bytes) -> tuple[Asset, bytes]:
    """A PDF."""
    sha256 = hashlib.sha256(data).hexdigest()
    return Asset(sha256, "application/pdf", "pdf", None, None, len(data)), data


def _origin(given: str | bytes) -> str | None:
    """Host and name of a file, without what opens it."""
    if isinstance(given, bytes):
        return None
    try:
        parts = urlsplit(given)
    except ValueError:
        return None
    name = unquote(parts.path).rpartition("/")[2]
    return plain(f"{parts.hostname or ''}: {name}", ORIGIN_CHARS)
