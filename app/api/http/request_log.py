"""One log line per request: never a query (it may hold a token), a body or a header."""

from __future__ import annotations

import time
from random import getrandbits

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)


_NAMED = "is_named"
"""In the request's state."""


def name_request(scope: Scope) -> None:
    """All lines that are written for it have its name, which it is given once, by whoever has it
    first. (uuid4 takes ten times as long, since it asks the system for what nobody can guess.)"""
    state = scope.setdefault("state", {})
    if _NAMED in state:
        return
    state[_NAMED] = True
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=f"{getrandbits(128):032x}")


class RequestLog:
    """ASGI middleware. Health checks and scrapes come every few seconds, so they are logged at
    debug level only.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        name_request(scope)
        started = time.monotonic()
        status = 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            write = log.debug if scope["path"].startswith(("/health", "/metrics")) else log.info
            write(
                "request",
                method=scope["method"],
                path=_shown(scope),
                status=status,
                seconds=round(time.monotonic() - started, 4),
            )


def _shown(scope: Scope) -> str:
    """The route's pattern, so that an address in the path (`/subscribers/{email}`) isn't logged."""
    route = scope.get("route")
    return getattr(route, "path", None) or "(no route)"
