"""What stands behind the addresses in tracked mails: the redirect of a link, and the pixel."""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.sandbox.sns.publish import Publisher
from app.sandbox.store import Mail, Store
from app.sandbox.tracking.rewriting import Tracker
from app.sandbox.tracking.visits import Seen, publish_click, publish_open

# GIF89a, one transparent pixel.
PIXEL = bytes.fromhex(
    "47494638396101000100800000000000ffffff21f90401000000002c00000000010001000002024401003b"
)
_LINK = re.compile(r"/L0/([^/]+)/(\d{1,3})/([^/]+)/([0-9a-f]{32})=1")
_OPEN = re.compile(r"/I0/([^/]+)/([0-9a-f]{32})=1")
_NOT_STORED = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class TrackingRoutes:
    """`/L0/…` and `/I0/…`. An address that wasn't made for a mail that is kept leads nowhere."""

    def __init__(self, store: Store, publisher: Publisher, tracker: Tracker) -> None:
        self._store, self._publisher, self._tracker = store, publisher, tracker

    def routes(self) -> list[Route]:
        return [Route("/L0/{rest:path}", self._click), Route("/I0/{rest:path}", self._open)]

    async def _click(self, request: Request) -> Response:
        match = _LINK.fullmatch(_path(request))
        if match is None or (mail := self._store.get(match[3])) is None:
            return _nowhere()
        url = unquote(match[1])
        if not self._tracker.is_ours(mail, int(match[2]), url, match[4]):
            return _nowhere()
        delivered = self._tracker.delivered(mail)
        links = delivered.tracked_links if delivered else []
        link = next((link for link in links if link.url == url), None)
        if link is None:
            return _nowhere()
        publish_click(self._publisher, mail, link, _seen(request))
        return RedirectResponse(url, 302, _NOT_STORED)

    async def _open(self, request: Request) -> Response:
        match = _OPEN.fullmatch(_path(request))
        mail: Mail | None = self._store.get(match[1]) if match else None
        if match is None or mail is None or not self._tracker.is_ours(mail, 0, "", match[2]):
            return _nowhere()
        publish_open(self._publisher, mail, _seen(request))
        return Response(PIXEL, media_type="image/gif", headers=_NOT_STORED)


def _path(request: Request) -> str:
    """As it was asked: with its `%2F`."""
    raw: bytes = request.scope["raw_path"]
    return raw.decode("ascii", "replace").partition("?")[0]


def _seen(request: Request) -> Seen:
    address = request.client.host if request.client else "127.0.0.1"
    return Seen(address, request.headers.get("user-agent", ""))


def _nowhere() -> Response:
    return PlainTextResponse("This address is of no mail that is kept here.", 404)
