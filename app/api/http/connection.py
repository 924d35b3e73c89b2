"""A client's connection, with limits on what it may cost before anybody knows who it is.

With httptools, the parser used here, uvicorn bounds neither the headers nor the time they take, nor
how many connections or requests in a row one may open (`h11_max_incomplete_event_size` is another
parser's; `limit_concurrency` would lock everybody out as soon as strangers hold enough connections
open). The body of a request is watched in body_limit.py, as soon as somebody reads it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import ref

import httptools
import structlog
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from app.api.http.body_limit import BODY_SECONDS, takes_file
from app.api.http.problems import problem
from app.errors import AppError, HeadersTooLarge, HeadersTooSlow, MalformedHttp, Unavailable

log = structlog.get_logger(__name__)

MAX_HEAD_BYTES = 32_768
"""Of the request line and all headers together; and of the framing of a chunked body. Proxies in
front allow 8 to 16 KB."""
MAX_HEADERS = 100
RECEIVE_SECONDS = BODY_SECONDS + 5.0
"""The longest time from the opening of a connection, or the first byte of a request, to the
request's last byte. Files may take longer: body_limit.py watches them by their pace."""
MAX_CONNECTIONS = 500
MAX_REQUESTS_IN_A_ROW = 50
"""How many requests one connection may send before the first is answered (pipelining)."""


_AT_ONCE = "amazonsender.at_once"
"""Among the extensions of a request's scope: uvicorn's own of it."""


def answered_at_once(scope: Scope, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Answer with 200 in one write. uvicorn sends the head and the body of an answer each by
    itself, so that the system, and the client, are called twice: 10 of 230 µs of an event.

    False: not so; nothing was written, and the answer has to take the usual way.
    """
    found = scope.get("extensions", {}).get(_AT_ONCE)
    cycle: RequestResponseCycle | None = found["cycle"]() if found else None
    if (
        cycle is None
        or not cycle.keep_alive
        or cycle.disconnected
        or cycle.response_started
        or cycle.waiting_for_100_continue
        or cycle.flow.write_paused
        or cycle.scope["method"] == "HEAD"
    ):
        return False
    lines = [name + b": " + value + b"\r\n" for name, value in (*cycle.default_headers, *headers)]
    cycle.response_started = cycle.response_complete = True
    cycle.transport.write(b"".join([STATUS_LINE[200], *lines, b"\r\n", body]))
    cycle.message_event.set()
    cycle.on_response()
    return True


class ClientConnection(HttpToolsProtocol):
    """uvicorn's protocol for one connection, with the limits above.

    When all connections are taken and another client comes, the service closes the connection that
    has waited longest for the rest of its request. So a stranger who holds many connections open
    without asking anything keeps nobody else out.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Bytes that may still come around bodies. Each byte that comes takes one off; a body's byte
        # then adds two, so that a body makes room for its own framing (chunk sizes).
        self._spare = MAX_HEAD_BYTES
        self._in_head = False
        self._in_file = False
        self._running: RequestResponseCycle | None = None
        self._refusal: AppError | None = None
        self._deadline: asyncio.TimerHandle | None = None
        # Since when the rest of a request is awaited; None: the request is complete.
        self.waiting_since: float | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait_for_the_rest()
        if len(self.connections) > MAX_CONNECTIONS:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        self.stop_waiting()
        for cycle in (self._running, *(cycle for cycle, _ in self.pipeline)):
            # uvicorn itself tells only the newest request that the client has left
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        self._spare -= len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # no other protocol is spoken here; the request is answered as it is
        except httptools.HttpParserError:
            self._refuse(self._refusal or MalformedHttp("It can't be read as HTTP/1.1."))
            return
        if self._spare < 0:
            self._refuse(_too_large())
        elif self._is_being_answered or self._in_file:
            self.stop_waiting()
        else:
            self._wait_for_the_rest()

    # What the parser finds. An error raised here ends the parsing, as one of its own does.

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_headers_complete(self) -> None:
        # What came with the headers may be much of a body, so a large read alone proves nothing:
        # the headers themselves are measured then.
        if len(self.headers) > MAX_HEADERS or (
            self._spare < 0 and self._head_size() > MAX_HEAD_BYTES
        ):
            self._stop_parsing(_too_large())
        if len(self.pipeline) >= MAX_REQUESTS_IN_A_ROW:
            self._stop_parsing(Unavailable("Wait for answers before you ask more."))
        super().on_headers_complete()
        # Weak, since it holds the scope: so nothing is left for the garbage collector.
        self.scope["extensions"] = {_AT_ONCE: {"cycle": ref(self.cycle)}}
        self._in_head = False
        self._in_file = takes_file(self.scope["method"], self.scope.get("path", ""))

    def on_body(self, body: bytes) -> None:
        self._spare += 2 * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_file = False
        self._spare = MAX_HEAD_BYTES

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._in_head:  # of the next request already
            self._wait_for_the_rest()
        elif not self._is_being_answered and self.waiting_since is None:
            self.waiting_since = self.loop.time()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    # Waiting and refusing

    @property
    def _is_being_answered(self) -> bool:
        """Whether a request has arrived completely and its answer isn't finished."""
        running = self._running
        return running is not None and not running.more_body and not running.response_complete

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _wait_for_the_rest(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(RECEIVE_SECONDS, self._waited_too_long)
        self.waiting_since = self.waiting_since or self.loop.time()

    def stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self.waiting_since = None

    def _waited_too_long(self) -> None:
        self._deadline = None
        if self._in_head:
            self._refuse(HeadersTooSlow(f"They have to be here within {RECEIVE_SECONDS:.0f} s."))
        else:
            self.transport.close()

    def _make_room(self) -> None:
        others = [
            other
            for other in self.connections
            if isinstance(other, ClientConnection)
            and other is not self
            and other.waiting_since is not None
        ]
        if others:
            oldest = min(others, key=lambda other: other.waiting_since or 0.0)
            oldest.stop_waiting()  # it no longer waits, so the next client takes another's place
            oldest.transport.abort()
        else:
            self._refuse(Unavailable("Too many connections are open; try again."))

    def _stop_parsing(self, refusal: AppError) -> None:
        self._refusal = refusal
        raise ValueError(refusal.code)

    def _refuse(self, refusal: AppError) -> None:
        """Answer with the refusal, unless an earlier request is being answered, and close the
        connection.
        """
        if self.transport.is_closing():
            return
        log.info("connection_refused", code=refusal.code)
        if self.cycle is None or self.cycle.response_complete:
            self.transport.write(self._raw(refusal))
        self.transport.close()

    def _raw(self, refusal: AppError) -> bytes:
        answer = problem(refusal)
        headers = [*self.server_state.default_headers, *answer.raw_headers]
        lines = [name + b": " + value + b"\r\n" for name, value in headers]
        return b"".join(
            [STATUS_LINE[refusal.status], *lines, b"connection: close\r\n\r\n", bytes(answer.body)]
        )


def _too_large() -> HeadersTooLarge:
    return HeadersTooLarge(
        f"At most {MAX_HEADERS} headers, and {MAX_HEAD_BYTES:,} bytes of them, are taken."
    )
