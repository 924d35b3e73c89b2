"""What a request may bring: the size of its body, and the time it may take to arrive."""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import problem
from app.errors import AppError, BodyTooSlow, PayloadTooLarge

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 10.0


class BodyLimit:
    """ASGI middleware: the body is read here, before any route, parser or credential is asked.

    Starlette's own limit (`max_body_size`) answers in plain text, and knows no time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(Headers(scope=scope), receive)
        except TimeoutError:
            slow = BodyTooSlow(f"It has to be here within {BODY_SECONDS:.0f} seconds.")
            await _refuse(slow, scope, receive, send)
        except PayloadTooLarge as error:
            await _refuse(error, scope, receive, send)
        else:
            if body is not None:
                await self._app(scope, _given(body, receive), send)


async def _read(headers: Headers, receive: Receive) -> bytes | None:
    """The whole body; None when the client has gone away. Raises PayloadTooLarge."""
    announced = headers.get("content-length", "")
    _check(int(announced) if announced.isdecimal() else 0)
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        _check(len(body))
        more = message.get("more_body", False)
    return bytes(body)


def _check(size: int) -> None:
    if size > MAX_BODY_BYTES:
        raise PayloadTooLarge(f"The body may have at most {MAX_BODY_BYTES:,} bytes.")


def _given(body: bytes, receive: Receive) -> Receive:
    """`receive`, after the body that was read from it already."""
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def next_message() -> Message:
        return pending.pop() if pending else await receive()

    return next_message


async def _refuse(error: AppError, scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(error)
    answer.headers["Connection"] = "close"  # what else comes of the body isn't wanted
    await answer(scope, receive, send)
