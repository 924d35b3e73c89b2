"""Answers that go wrong on the wire, and the access to the socket they need.

An ASGI application can't close its connection; `SandboxProtocol` hands it the transport in the
request's `extensions`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import MutableMapping
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

EXTENSION = "amazonsender.sandbox"
_NO_LINGER = struct.pack("ii", 1, 0)  # close() sends RST (socket(7), SO_LINGER)


class SandboxProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the connection visible to the application."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {
            EXTENSION: {"transport": self.transport, "connections": self.connections}
        }


def open_connections(scope: MutableMapping[str, Any]) -> int | None:
    """How many clients are connected; None on a server that doesn't say."""
    shared = scope.get("extensions", {}).get(EXTENSION)
    return len(shared["connections"]) if shared else None


def _transport(scope: Scope) -> asyncio.Transport:
    try:
        transport: asyncio.Transport = scope["extensions"][EXTENSION]["transport"]
    except KeyError as exc:
        raise RuntimeError("This fault needs the server of app.sandbox.main.run") from exc
    return transport


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Dropped(Response):
    """No answer: the connection is closed, with RST when `reset`, else with FIN."""

    def __init__(self, *, reset: bool = False) -> None:
        super().__init__()
        self._reset = reset

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = _transport(scope)
        if self._reset and not transport.is_closing():  # else the client is gone already
            with socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        transport.abort()
        await _until_disconnected(receive)


class Hanging(Response):
    """No answer for `seconds`, then none at all; ends early when the client leaves."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_until_disconnected(receive), self._seconds)
            return
        await Dropped()(scope, receive, send)


class Cut(Response):
    """The first `length` bytes of `whole`'s body under its full Content-Length, then the end."""

    def __init__(self, whole: Response, length: int) -> None:
        super().__init__(whole.body[:length], whole.status_code)
        self.raw_headers = whole.raw_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        _transport(scope).close()  # after what is written
        await _until_disconnected(receive)
