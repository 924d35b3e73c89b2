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
from starlette.datastructures import Headers, MutableHeaders
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
        self.wait = 0.0
        """Seconds until another refusal is within the budget; 0: this one is, or there was none."""

    def is_known(self) -> None:
        """They have shown a secret, a key or a signature that is right: whatever is wrong with
        their request, it isn't counted, and its body may be large (http/body_limit.py)."""
        self._kind = None
        self._state["is_known"] = True

    def brought(self, kind: Kind) -> None:
        """As what a refusal of this request counts."""
        self._kind = kind

    def refused(self) -> float:
        """Count a refusal, once; gives `wait`."""
        if self._kind is not None:
            self.wait = self._refusals.count(self._client, self._kind, self._now())
            self._kind = None
        return self.wait

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
            is_start = message["type"] == "http.response.start"
            if is_start and 400 <= message["status"] < 500 and (wait := stranger.refused()):
                self._services.metrics.request_limited()
                headers = MutableHeaders(scope=message)
                if not await self._turn():
                    headers["Connection"] = "close"
                if message["status"] != 429:
                    instead = self._too_many(headers, wait)
            if instead is None:
                await send(message)

        await self._app(scope, receive, limited)
        if instead is not None:
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

    def _too_many(self, of: Headers, wait: float) -> Response:
        """In place of an answer with these headers."""
        answer: Response
        if of.get("content-type", "").startswith("text/html"):
            answer = page("too_many.html", self._services.settings, status=429)
            answer.headers["Retry-After"] = str(math.ceil(wait))
        else:
            answer = problem(too_many(wait))
        if "connection" in of:
            answer.headers["Connection"] = of["connection"]
        return answer
