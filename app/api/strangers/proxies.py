"""Who a request comes from: what a reverse proxy says, if it is one of ours."""

from __future__ import annotations

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

log = structlog.get_logger(__name__)

_FORWARDED = b"x-forwarded-for"


class Proxies:
    """ASGI middleware: uvicorn's own, which takes from the right the first address that is no
    proxy's.

    Where all are trusted (`*`), uvicorn takes the first from the left, which any client can write.
    Whoever sets that has a proxy whose address they don't know, so the last one counts, which that
    proxy wrote.
    """

    def __init__(self, app: ASGIApp, trusted: str) -> None:
        """trusted: FORWARDED_ALLOW_IPS."""
        self._resolve = ProxyHeadersMiddleware(app, trusted_hosts=trusted)  # type: ignore[arg-type]
        self._trusted = self._resolve.trusted_hosts
        self._told = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            values = [value for name, value in scope["headers"] if name == _FORWARDED]
            if values and self._trusted.always_trust:
                last = values[-1].rpartition(b",")[2].strip()
                others = [(name, value) for name, value in scope["headers"] if name != _FORWARDED]
                scope["headers"] = [*others, (_FORWARDED, last)]
            elif values and not self._told and scope["client"][0] not in self._trusted:
                self._told = True
                log.warning(
                    "forwarded_for_not_believed",
                    proxy=scope["client"][0],
                    remedy="If this is the address of your reverse proxy, put it into "
                    "FORWARDED_ALLOW_IPS: until then all its visitors count as one.",
                )
        await self._resolve(scope, receive, send)  # type: ignore[arg-type]
