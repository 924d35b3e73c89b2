"""Answers from outside, read no further than they may go: a body has a size, counted once it is
unpacked, and a time.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx

SECONDS = 60.0
"""For a body, from its first byte to its last. An answer that trickles would never end."""
_PIECE_BYTES = 64 * 1024
_PACKED = frozenset({"gzip", "x-gzip"})


class AnswerRefused(httpx.DecodingError):
    """It is too large, or packed as nobody asked for."""


class BoundedClient(httpx.AsyncClient):
    """A client whose answers are `bounded`, and have a head in time, too: httpx's own limit is one
    for each piece, which a head that trickles never meets."""

    def __init__(
        self, most: int, seconds: float = SECONDS, *, head_seconds: float, **settings: Any
    ) -> None:
        """head_seconds: from a request's beginning until the head of its answer is there."""
        super().__init__(event_hooks=bounded(most, seconds), **settings)
        self._head_seconds = head_seconds

    async def send(
        self, request: httpx.Request, *, stream: bool = False, **named: Any
    ) -> httpx.Response:
        try:
            async with asyncio.timeout(self._head_seconds):
                answer = await super().send(request, stream=True, **named)
        except TimeoutError:
            raise httpx.ReadTimeout(
                f"no head after {self._head_seconds:.0f} s", request=request
            ) from None
        if not stream:
            try:
                await answer.aread()
            finally:
                await answer.aclose()
        return answer


def bounded(most: int, seconds: float = SECONDS) -> dict[str, list[Callable[..., Any]]]:
    """The `event_hooks` of an httpx.AsyncClient whose answers have bodies of at most `most` bytes.

    Who reads a body gets AnswerRefused, which is an httpx.RequestError, or httpx.ReadTimeout. httpx
    itself unpacks what came at once, of which a few kilobytes may become gigabytes.
    """

    async def ask(request: httpx.Request) -> None:
        request.headers["Accept-Encoding"] = "gzip"

    async def limit(response: httpx.Response) -> None:
        encoding = response.headers.pop("content-encoding", "").strip().lower()
        if encoding not in {"", "identity", *_PACKED}:
            raise AnswerRefused("packed as nobody asked for", request=response.request)
        if response.has_redirect_location:
            _check(response)
        assert isinstance(response.stream, httpx.AsyncByteStream)
        response.stream = _Body(response.stream, most, seconds, is_packed=encoding in _PACKED)

    return {"request": [ask], "response": [limit]}


def _check(redirect: httpx.Response) -> None:
    """httpx reads where a redirect leads also where it doesn't follow, and raises what is no error
    of its own for `http://xn--/`."""
    try:
        _ = redirect.request.url.join(redirect.headers["location"]).host
    except (httpx.InvalidURL, ValueError):
        raise httpx.RemoteProtocolError("It redirects to no address.") from None


class _Body(httpx.AsyncByteStream):
    def __init__(
        self, stream: httpx.AsyncByteStream, most: int, seconds: float, *, is_packed: bool
    ) -> None:
        self._stream, self._most, self._seconds = stream, most, seconds
        self._is_packed = is_packed

    async def __aiter__(self) -> AsyncIterator[bytes]:
        read = 0
        async for piece in self._unpacked() if self._is_packed else self._came():
            read += len(piece)
            if read > self._most:
                raise AnswerRefused(f"larger than {self._most} bytes")
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def _unpacked(self) -> AsyncIterator[bytes]:
        packed = zlib.decompressobj(16 + zlib.MAX_WBITS)
        async for part in self._came():
            rest = part
            while rest and not packed.eof:
                try:
                    piece = packed.decompress(rest, _PIECE_BYTES)
                except zlib.error:
                    raise AnswerRefused("not packed as it says") from None
                rest = packed.unconsumed_tail
                yield piece
        yield packed.flush()

    async def _came(self) -> AsyncIterator[bytes]:
        ends = asyncio.get_running_loop().time() + self._seconds
        parts = aiter(self._stream)
        while True:
            try:
                async with asyncio.timeout_at(ends):
                    part = await anext(parts)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise httpx.ReadTimeout(f"not all there after {self._seconds:.0f} s") from None
            yield part
