"""Limits on a request's body: its size, the time it may take to arrive, and the size of all
together.

The service reads nothing of a body before a route asks for it. So a caller whom it refuses for the
route, the method, a header or the credential can't make it read a body.
"""

from __future__ import annotations

import asyncio
import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import AppError, BodyTooSlow, PayloadTooLarge, Unavailable

MAX_BODY_BYTES = 1_000_000
BODY_SECONDS = 10.0
MAX_FILE_BYTES = 2_000_000_000
FILE_SECONDS = 30.0
FILE_BYTES_PER_SECOND = 2_000
"""A file may take this long, and longer at this pace: a phone's worst connection is faster."""
FILES = frozenset({"/subscribers/import", "/dashboard/subscribers/import"})
"""Where files are sent with POST. Their routes read them as a stream and keep nothing in memory."""
MAX_CONTENT_BYTES = 8_000_000
CONTENT = re.compile(r"(/dashboard)?/(mailouts|templates)(/[^/]*)?(/edit|/merge|/preview)?")
"""Where a mailout or a template is written: 1 MB of HTML takes up to three times that as JSON."""
ALL_BODIES_BYTES = 64_000_000
"""At most, of the bodies of all requests that are being answered at one time."""
STRANGERS_BYTES = 8_000_000
"""The same of requests that have shown no credential before their body, as events can't: 26 of the
largest messages of SNS, 2,500 usual ones."""
SMALL_BYTES = 16_384
"""A stranger's body as small as this is taken however many large ones there are: a usual event is,
and all connections together come to 8 MB of them."""

_DIGITS = 18  # of a size; a longer one is too large all the same


class BodyRefused(HTTPException):
    """Raised into the route that asks for the body. (Frameworks let an HTTPException pass; any
    other would be taken for a body that can't be parsed.)"""

    def __init__(self, refusal: AppError) -> None:
        super().__init__(refusal.status, refusal.detail)
        self.refusal = refusal


class BodyLimit:
    """ASGI middleware: watches over the body while a route reads it.

    Starlette's own limit (`max_body_size`) answers in plain text, and knows no time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        # Bytes of bodies whose requests are being answered: of those we know, and of strangers.
        self._held = {True: 0, False: 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(scope, receive, send, self)
        try:
            await self._app(scope, body.receive, body.send)
        finally:
            self._held[body.known] -= body.held

    def hold(self, size: int, body: _Body) -> None:
        """Count `size` more bytes of this one. Raises BodyRefused when there are too many."""
        self._held[body.known] += size
        if body.known:
            too_much = self._held[True] > ALL_BODIES_BYTES
        else:
            too_much = self._held[False] > STRANGERS_BYTES and body.size > SMALL_BYTES
        if too_much:
            raise BodyRefused(Unavailable("Too many large requests at once; try again."))


def takes_file(method: str, path: str) -> bool:
    return method == "POST" and path in FILES


def takes_content(method: str, path: str) -> bool:
    return method in {"POST", "PATCH", "PUT"} and CONTENT.fullmatch(path) is not None


def is_known(scope: Scope) -> bool:
    """Whether a credential that is right was shown (api/strangers/refusing.py says who it is)."""
    return bool(scope.get("state", {}).get("is_known"))


def announced_size(headers: Headers) -> int | None:
    """Bytes of the body that is to come; None: the request doesn't say."""
    announced = headers.get("content-length", "")
    return int(announced[:_DIGITS]) if announced.isdecimal() else None


class _Body:
    """One request's body, on its way to the route."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, all_bodies: BodyLimit) -> None:
        headers = Headers(scope=scope)
        self._announced = announced_size(headers)
        self._is_file = takes_file(scope["method"], scope["path"])
        self._limit = MAX_BODY_BYTES
        if self._is_file:
            self._limit = MAX_FILE_BYTES
        elif takes_content(scope["method"], scope["path"]):
            self._limit = MAX_CONTENT_BYTES
        self._receive, self._send, self._all_bodies = receive, send, all_bodies
        self._scope = scope
        self._expected = bool(self._announced) or "transfer-encoding" in headers
        self._complete = False
        self._begun = False
        self._waited = 0.0  # seconds, for the client; what our route does meanwhile isn't its fault
        self.size = 0
        self.gone = False
        self.known = False

    async def receive(self) -> Message:
        """The next part of the body. Raises BodyRefused when it breaks a limit."""
        if self._complete:  # the body is complete; the next message says that the client has left
            return await self._receive()
        if not self._begun:  # credentials come first
            self.known = is_known(self._scope)
        self._begun = True
        self._check(self._announced or 0)
        asked = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self._allowed_seconds() - self._waited):
                message = await self._receive()
        except TimeoutError:
            raise BodyRefused(self._too_slow()) from None
        self._waited += asyncio.get_running_loop().time() - asked
        if message["type"] == "http.disconnect":
            self.gone = True
            raise BodyRefused(BodyTooSlow("The client has gone away."))
        size = len(message.get("body", b""))
        self.size += size
        if not self._is_file:
            self._all_bodies.hold(size, self)
        self._check(self.size)
        self._complete = not message.get("more_body", False)
        return message

    @property
    def held(self) -> int:
        return 0 if self._is_file else self.size

    async def send(self, message: Message) -> None:
        """Pass the answer on, unless the client has gone away. If the route didn't read all of the
        body, the connection is closed after the answer, because the rest may never end."""
        if self.gone:
            return
        if message["type"] == "http.response.start" and self._expected and not self._complete:
            endless = self._announced is None or self._announced > self._limit
            if endless or self._begun:
                message["headers"] = [*message["headers"], (b"connection", b"close")]
        await self._send(message)

    def _check(self, size: int) -> None:
        if size > self._limit:
            raise BodyRefused(PayloadTooLarge(f"The body may have at most {self._limit:,} bytes."))

    def _allowed_seconds(self) -> float:
        if self._is_file:
            return FILE_SECONDS + self.size / FILE_BYTES_PER_SECOND
        return BODY_SECONDS

    def _too_slow(self) -> BodyTooSlow:
        if self._is_file:
            return BodyTooSlow(
                f"It came with less than {FILE_BYTES_PER_SECOND:,} bytes a second. Try again."
            )
        return BodyTooSlow(f"It has to be here within {BODY_SECONDS:.0f} seconds.")
