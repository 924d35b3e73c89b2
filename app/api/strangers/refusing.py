"""Rate limits on what is refused: beyond them the answer is 429, and costs less.

Only refusals count: floods of what is right are never limited (docs/security.md#rate-limits).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.http.problems import problem
from app.api.pages import page
from app.domain.clients.networks import network_of
from app.domain.clients.refusals import Kind, Refusals
from app.errors import TooManyRequests

if TYPE_CHECKING:
    from app.api.http.deps import Services  # which knows strangers


class Stranger:
    """Who sent one request, until a route knows them."""

    def __init__(
        self, scope: Scope, refusals: Refusals, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = network_of(scope["client"][0] if scope.get("client") else "")
        self._refusals, self._now = refusals, now
        self._state = scope.setdefault("state", {})
        self._state["stranger"] = self
        self._kind: Kind | None = "other"

    def is_known(self) -> None:
        """They have shown a secret, a key or a signature that is right: whatever is wrong with
        their request, it isn't counted, and its body may be large (http/body_limit.py)."""
        self._kind = None
        self._state["is_known"] = True

    def brought(self, kind: Kind) -> None:
        """As what a refusal of this request counts."""
        self._kind = kind

    def refused(self) -> float:
        """Count a refusal, once: 0, or the seconds until another one is within the budget."""
        kind, self._kind = self._kind, None
        return self._refusals.count(self._client, kind, self._now()) if kind else 0.0

    def is_limited(self, kind: Kind) -> bool:
        """Whether they were refused so often of late that nothing costly is done for them."""
        return self._refusals.wait(self._client, kind, self._now()) > 0


def stranger(request: Request) -> Stranger:
    found: Stranger = request.state.stranger
    return found


async def _stranger(request: Request) -> Stranger:
    return stranger(request)


StrangerDep = Annotated[Stranger, Depends(_stranger)]


def too_many(wait: float) -> TooManyRequests:
    return TooManyRequests(
        "Too many requests from your network were refused of late. What is right is taken at any "
        "time; for anything else wait.",
        retry_after=math.ceil(wait),
    )


PACE_SECONDS = 0.005
MAX_WAIT_SECONDS = 0.5


class RefusalLimit:
    """ASGI middleware: counts the refusals of each client, and answers 429 instead of more.

    Those leave one after the other, PACE_SECONDS apart, so that strangers who ask again as soon as
    they are answered don't take the whole process. Beyond MAX_WAIT_SECONDS nobody waits, since each
    who does keeps a connection: theirs ends instead.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app, self._services = app, services
        self._refusals = Refusals()
        self._next = 0.0  # when the next one leaves, by the event loop's clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stranger = Stranger(scope, self._refusals)
        instead: Response | None = None

        async def limited(message: Message) -> None:
            nonlocal instead
            if message["type"] == "http.response.start" and 400 <= message["status"] < 500:
                wait = stranger.refused()
                if wait and message["status"] != 429:
                    instead = self._too_many(Headers(raw=message["headers"]), wait)
            if instead is None:
                await send(message)

        await self._app(scope, receive, limited)
        if instead is not None:
            self._services.metrics.request_limited()
            if not await self._turn():
                instead.headers["Connection"] = "close"
            await instead(scope, receive, send)

    async def _turn(self) -> bool:
        """Wait for it; False: too many do."""
        now = asyncio.get_running_loop().time()
        wait = max(0.0, self._next - now)
        if wait > MAX_WAIT_SECONDS:
            return False
        self._next = now + wait + PACE_SECONDS
        await asyncio.sleep(wait)
        return True

    def _too_many(self, headers: Headers, wait: float) -> Response:
        if not headers.get("content-type", "").startswith("text/html"):
            return problem(too_many(wait))
        answer = page("too_many.html", self._services.settings, status=429)
        answer.headers["Retry-After"] = str(math.ceil(wait))
        return answer
