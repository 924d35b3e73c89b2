"""Requests to web addresses that others wrote down, without being led into our own network.

A name is resolved here, its address is checked, and the connection goes to that very address: a
name that resolves differently the second time (DNS rebinding) gains nothing. Each redirect is
checked in the same way.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from app import __version__
from app.domain.networks import is_public
from app.outbound.bounded import BoundedClient
from app.outbound.pinned import asked, no_cookies, resolve_name

CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 10.0
HEAD_SECONDS = 20.0
"""For all of an answer but its body. A piece of it has ANSWER_SECONDS."""
MAX_REDIRECTS = 5
MAX_BYTES = 21_000_000
"""Of a body, where one is read: a PDF that lies in the shelf."""
# Answers to HEAD after which GET is tried: some servers treat the two differently.
_TRY_GET_AFTER = frozenset({400, 403, 404, 405, 406, 409, 500, 501, 503})

Resolve = Callable[[str, int], Awaitable[list[str]]]


def web_client() -> httpx.AsyncClient:
    """Strict in time, follows nothing, and takes neither proxy nor credentials from the
    environment."""
    return BoundedClient(
        MAX_BYTES,
        head_seconds=HEAD_SECONDS,
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=False,
        cookies=no_cookies(),
        headers={"User-Agent": f"AmazonSender/{__version__} (link check)"},
    )


@dataclass(frozen=True)
class WebAnswer:
    """status: of the last answer; None: there was none, and `problem` says why in a few words."""

    status: int | None
    problem: str = ""


class Web:
    """http: follows no redirects (`web_client`). allowed: addresses that may be asked."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        resolve: Resolve | None = None,
        allowed: Callable[[str], bool] | None = None,
    ) -> None:
        self._http = http
        self._resolve = resolve or resolve_name
        self._allowed = allowed or is_public

    async def ask(self, url: str) -> WebAnswer:
        """The answer at the end of the redirects, by HEAD, or by GET where HEAD fails. No
        body is read."""
        try:
            answer = await self._follow("HEAD", url)
            if answer.status in _TRY_GET_AFTER:
                answer = await self._follow("GET", url)
        except httpx.HTTPError as exc:
            return WebAnswer(None, explain(exc))
        except (httpx.InvalidURL, ValueError, OverflowError):
            # Half of a surrogate pair is a ValueError, a port beyond 65535 an OverflowError.
            return WebAnswer(None, "is not an address")
        return answer

    async def _follow(self, method: str, url: str) -> WebAnswer:
        target = httpx.URL(url)
        for _ in range(MAX_REDIRECTS):
            if target.scheme not in {"http", "https"} or not target.raw_host:
                return WebAnswer(None, "leads to what is no web address")
            port = target.port or (443 if target.scheme == "https" else 80)
            try:
                addresses = await self._resolve(target.raw_host.decode("ascii"), port)
            except (OSError, ValueError):  # ValueError: such as UnicodeError, for no name at all
                return WebAnswer(None, "has a name that doesn't exist")
            if not addresses or not all(map(self._allowed, addresses)):
                return WebAnswer(None, "leads to a private address, where readers can't follow")
            async with asked(self._http, method, target, addresses) as answer:
                if not answer.is_redirect or "location" not in answer.headers:
                    return WebAnswer(answer.status_code)
                location = answer.headers["location"]
            target = target.join(location)
        return WebAnswer(None, f"redirects more than {MAX_REDIRECTS} times")


def explain(error: httpx.HTTPError) -> str:
    """A failed request in a few words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"has no valid certificate ({cause.verify_message})"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.TimeoutException):
        return "does not answer in time"
    if isinstance(error, httpx.ConnectError):
        return "can't be reached"
    return f"does not answer properly ({type(error).__name__})"
