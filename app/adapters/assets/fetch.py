"""Fetches pictures and files from Notion's file hosts, and the pictures of videos from YouTube's,
without being led into our own network.

A name is resolved here, its address is checked, and the connection goes to that very address; each
redirect is checked in the same way (pinned.py).
"""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable

import httpx

from app import __version__
from app.domain.assets.notion_hosts import is_at_notion
from app.domain.assets.sizes import MAX_SOURCE_BYTES, too_large
from app.domain.assets.videos import is_video_picture
from app.domain.networks import is_public
from app.errors import PictureExpired, PictureRefused, Unavailable
from app.outbound.pinned import asked, no_cookies, resolve_name

CONNECT_SECONDS, READ_SECONDS, ALL_SECONDS = 5.0, 15.0, 60.0
MAX_REDIRECTS = 5
_HEADERS = {
    "Accept": "image/*, application/pdf",
    "Accept-Encoding": "identity",
    "User-Agent": f"AmazonSender/{__version__} (pictures)",
}
_COME_AGAIN = frozenset({408, 425, 429})

Resolve = Callable[[str, int], Awaitable[list[str]]]


@functools.cache
def tls() -> ssl.SSLContext:
    """Made once: reading the authorities' certificates takes a while."""
    return httpx.create_ssl_context(trust_env=False)


class PictureFetcher:
    """ports.PictureSource. own: NOTION_API_URL, which may be a stand-in on this machine: its host
    is trusted, also with a private address. allowed: addresses that may be asked."""

    def __init__(
        self,
        own: str,
        resolve: Resolve = resolve_name,
        allowed: Callable[[str], bool] = is_public,
    ) -> None:
        url = httpx.URL(own)
        self._own = None if is_at_notion(own) else (url.scheme, url.raw_host, url.port)
        self._resolve = resolve
        self._allowed = allowed

    def takes(self, url: str) -> bool:
        """Whether it is Notion's, or a video's picture: others stay where they are, as in
        Markdown."""
        try:
            return is_at_notion(url) or is_video_picture(url) or self._is_own(httpx.URL(url))
        except (httpx.InvalidURL, UnicodeError):  # UnicodeError: half of a surrogate pair
            return False

    async def fetch(self, url: str) -> bytes:
        try:
            async with asyncio.timeout(ALL_SECONDS):
                return await self._follow(url)
        except (TimeoutError, httpx.TimeoutException):
            raise Unavailable("it did not arrive in time: try again later") from None
        except (httpx.InvalidURL, OverflowError):  # OverflowError: a port beyond 65535
            raise _refused("address", "its address is none: put it in again") from None
        except httpx.HTTPError as exc:
            # Not the error itself: its words may have the address, which opens the file.
            words = f"it can't be fetched now ({type(exc).__name__}): try again later"
            raise Unavailable(words) from None

    async def _follow(self, url: str) -> bytes:
        if not self.takes(url):
            raise _refused("address", "it doesn't lie with Notion: put it in again")
        target = httpx.URL(url)
        limits = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        async with httpx.AsyncClient(
            timeout=limits,
            follow_redirects=False,
            trust_env=False,
            cookies=no_cookies(),
            verify=tls(),
        ) as http:
            for _ in range(MAX_REDIRECTS + 1):
                addresses = await self._addresses(target)
                async with asked(http, "GET", target, addresses, _HEADERS) as answer:
                    if not answer.is_redirect:
                        return await _content(answer, is_signed="signature" in url.lower())
                    target = target.join(answer.headers.get("location", ""))
        raise _refused("address", f"it redirects more than {MAX_REDIRECTS} times: upload it")

    async def _addresses(self, target: httpx.URL) -> list[str]:
        """Those that may be asked. Raises PictureRefused, Unavailable."""
        host = target.raw_host.decode("ascii")
        if target.scheme != "https" and not self._is_own(target):
            raise _refused("address", "its address doesn't begin with https://: upload it")
        if not host:
            raise _refused("address", "its address is none: put it in again")
        try:
            found = await self._resolve(host, target.port or 443)
        except (OSError, ValueError):  # ValueError: such as UnicodeError, for no name at all
            raise Unavailable("the name of its server isn't known now: try again later") from None
        if not found or not (self._is_own(target) or all(map(self._allowed, found))):
            raise _refused("private_address", "its address leads into a private network: upload it")
        return found

    def _is_own(self, target: httpx.URL) -> bool:
        return (target.scheme, target.raw_host, target.port) == self._own


async def _content(answer: httpx.Response, *, is_signed: bool) -> bytes:
    """All of it, or as little as shows that it is too large. As it came: an answer that was packed
    unasked is no picture. is_signed: its address works for a time."""
    status = answer.status_code
    if status in (401, 403, 410) and is_signed:  # what Amazon S3 answers when it is over
        raise PictureExpired("its address at Notion has ended: send it again", problem="expired")
    if status in (401, 403):
        words = "Notion shows it to people of the workspace alone: upload it to this page"
        raise _refused("private", words)
    if status == 404:
        raise _refused("gone", "it isn't there any more: put it in again")
    if status in _COME_AGAIN or status >= 500:
        raise Unavailable(f"its server answers {status}: try again later")
    if status != 200:
        raise _refused("refused", f"its server answers {status}: put it in again")
    announced = answer.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > MAX_SOURCE_BYTES:
        raise too_large(int(announced))
    content = bytearray()
    async for part in answer.aiter_raw():
        content += part
        if len(content) > MAX_SOURCE_BYTES:
            raise too_large(None)
    return bytes(content)


def _refused(problem: str, words: str) -> PictureRefused:
    return PictureRefused(words, problem=problem)
