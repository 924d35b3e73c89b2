"""Posts one delivery to its endpoint, which is a stranger: it may never answer, answer without an
end, or lead into our own network.

The name is resolved here at each try, every address of it is checked, and the connection goes to
one of those very addresses: a name that leads elsewhere the second time (DNS rebinding) gains
nothing. No redirect is followed, and no proxy of the environment used.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Self

import httpx

from app import __version__
from app.domain.hooks.addresses import AddressRefused, address_problem, check_address
from app.domain.hooks.deliveries import Answer, Delivery, retry_after_seconds
from app.domain.hooks.signing import signed_headers
from app.outbound.pinned import asked, no_cookies, resolve_name
from app.services.checks.web import Resolve, explain

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 15.0
"""For everything together, the name's resolution included."""
READ_SECONDS, READ_BYTES = 2.0, 16 * 1024
"""How long, and how much of, an answer is read once its status is known. Nothing looks at it, but
a receiver that is cut off may undo what it did."""
RESOLVING = 8
"""Names at once, in threads of their own."""


class Poster:
    """Use as `async with`. allow_private: HOOKS_ALLOW_PRIVATE. trust: whose certificates are
    trusted; None: those of the public authorities."""

    def __init__(
        self,
        *,
        allow_private: bool,
        resolve: Resolve | None = None,
        trust: ssl.SSLContext | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._allow_private = allow_private
        self._threads = ThreadPoolExecutor(RESOLVING, "hooks-resolve")
        self._resolve: Callable[[str, int], Awaitable[list[str]]] = resolve or partial(
            resolve_name, threads=self._threads
        )
        self._resolving: dict[tuple[str, int], asyncio.Future[list[str]]] = {}
        self._now = now
        self._answer_seconds = answer_seconds
        self._trust = trust
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http is not None:
            await self._http.aclose()
        for asking in self._resolving.values():
            asking.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def post(self, delivery: Delivery) -> Answer:
        """Raises nothing: every way a try ends is an answer."""
        answer = None
        try:
            async with asyncio.timeout(self._answer_seconds) as limit:
                target = check_address(delivery.url, allow_private=self._allow_private)
                addresses = await self._addresses(target)
                body = delivery.body
                headers = {
                    "Content-Type": "application/json",
                    **signed_headers(delivery.event_id, body, delivery.secrets, self._now()),
                }
                async with asked(
                    self._client(), "POST", target, addresses, headers, content=body
                ) as reply:
                    header = reply.headers.get("retry-after")
                    answer = Answer(
                        reply.status_code,
                        retry_after=retry_after_seconds(header, self._now()),
                    )
                    soon = asyncio.get_running_loop().time() + READ_SECONDS
                    limit.reschedule(min(limit.when() or soon, soon))
                    await _read_some(reply)
        except TimeoutError:
            return answer or Answer(None, f"It did not answer within {self._answer_seconds:.0f} s.")
        except AddressRefused as exc:
            return Answer(None, f"Nothing was sent: {exc}")
        except httpx.HTTPError as exc:
            return answer or Answer(None, f"It {explain(exc)}.")
        return answer

    def _client(self) -> httpx.AsyncClient:
        """Made when it is first needed: reading the authorities' certificates takes a while, and
        most who send mail have no hooks."""
        if self._http is None:
            self._http = httpx.AsyncClient(
                timeout=httpx.Timeout(self._answer_seconds, connect=CONNECT_SECONDS),
                follow_redirects=False,
                trust_env=False,
                cookies=no_cookies(),
                verify=self._trust or True,
                # No connection is kept: the next hook at this network address may have another
                # name, for which nobody has checked its certificate.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                headers={"User-Agent": f"AmazonSender/{__version__} (webhooks)"},
            )
        return self._http

    async def _addresses(self, target: httpx.URL) -> list[str]:
        """Raises AddressRefused when one of them isn't allowed, and TimeoutError."""
        encrypted = target.scheme == "https"
        port = target.port or (443 if encrypted else 80)
        try:
            addresses = await self._names(target.raw_host.decode("ascii"), port)
        except TimeoutError:
            raise
        except (OSError, ValueError):  # ValueError: such as UnicodeError, for no name at all
            addresses = []
        if not addresses:
            raise AddressRefused("its name has no address.")
        for address in addresses:
            if problem := address_problem(
                address, allow_private=self._allow_private, encrypted=encrypted
            ):
                raise AddressRefused(problem)
        return addresses

    async def _names(self, host: str, port: int) -> list[str]:
        """Asked once for all that wait for it: a lookup that hangs can't be given up, and those of
        a single endpoint would take all threads."""
        key = (host, port)
        asking = self._resolving.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._resolve(host, port))
            self._resolving[key] = asking
            asking.add_done_callback(partial(self._named, key))
        return await asyncio.shield(asking)

    def _named(self, key: tuple[str, int], asking: asyncio.Future[list[str]]) -> None:
        del self._resolving[key]
        if not asking.cancelled():
            asking.exception()  # those who asked may have left meanwhile


async def _read_some(reply: httpx.Response) -> None:
    read = 0
    with suppress(httpx.HTTPError):
        async for chunk in reply.aiter_raw():
            read += len(chunk)
            if read >= READ_BYTES:
                return
