"""Requests that bring one of certain headers twice are refused.

A proxy in front may check the first of the two and a route here read the second.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.http.problems import problem
from app.errors import DuplicateHeader

# Credentials aren't among them: two of a kind count as none, 401 (deps.py: find_caller).
SINGLE_HEADERS = frozenset(
    {
        b"content-length", b"content-type", b"host", b"idempotency-key", b"origin",
        b"sec-fetch-site", b"transfer-encoding", b"x-amz-sns-message-type",
        b"x-amz-sns-rawdelivery", b"x-amz-sns-topic-arn",
    }
)  # fmt: skip


class SingleHeaders:
    """ASGI middleware: 400 for a request that brings one of SINGLE_HEADERS twice."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            single = [name for name, _ in scope["headers"] if name in SINGLE_HEADERS]
            if len(single) != len(set(single)):
                twice = next(name for name in single if single.count(name) > 1).decode()
                await problem(DuplicateHeader(f"Send {twice} once."))(scope, receive, send)
                return
        await self._app(scope, receive, send)
