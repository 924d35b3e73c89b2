"""The inbox in a browser: what was accepted, what became of it, and each mail as it would look."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from app.sandbox.control import Refused, unsubscribe
from app.sandbox.ses.mime import build_message, wire_headers
from app.sandbox.sns.api import SnsApi
from app.sandbox.state import Sandbox
from app.sandbox.store import Mail

PAGE_SIZE = 50
_TEMPLATES = Path(__file__).parent / "templates"
_COMMON_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_PAGE_HEADERS = {
    **_COMMON_HEADERS,
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src data:; "
    "frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_KEPT_PICTURES = "http://localhost:*/assets/ http://127.0.0.1:*/assets/"
# A mail is somebody's HTML: no script, an origin of its own, and no request but for the pictures
# that a service on this machine keeps.
_MAIL_HEADERS = {
    **_COMMON_HEADERS,
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    f"img-src data: {_KEPT_PICTURES}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
}


class Pages:
    """`/` (the inbox), `/mail/{id}` and its parts."""

    def __init__(self, sandbox: Sandbox, sandboxes: Sequence[Sandbox], sns: SnsApi) -> None:
        """sandboxes: of all regions."""
        self._sandbox, self._sns = sandbox, sns
        self._regions = [each.config for each in sandboxes] if len(sandboxes) > 1 else []
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters["clock"] = _clock
        self._style = (_TEMPLATES / "style.css").read_text()

    def routes(self) -> list[Route]:
        return [
            Route("/", self._inbox, methods=["GET"]),
            Route("/style.css", self._stylesheet),
            Route("/mail/{id}", self._mail, methods=["GET"]),
            Route("/mail/{id}/html", self._html),
            Route("/mail/{id}/raw", self._raw),
            Route("/mail/{id}/{action}", self._act, methods=["POST"]),
        ]

    def _page(self, template: str, status: int = 200, **values: Any) -> Response:
        found = self._templates.get_template(template)
        html = found.render(config=self._sandbox.config, regions=self._regions, **values)
        return HTMLResponse(html, status, _PAGE_HEADERS)

    async def _stylesheet(self, _request: Request) -> Response:
        return Response(self._style, media_type="text/css", headers=_COMMON_HEADERS)

    async def _inbox(self, request: Request) -> Response:
        query = request.query_params
        if "Action" in query:  # the SubscribeURL of a message
            return self._sns.answer(request, b"", query)
        to, after = query.get("to", "").strip(), query.get("after", "")
        mails = self._sandbox.store.newest(to=to, after=after, limit=PAGE_SIZE + 1)
        older = ""
        if len(mails) > PAGE_SIZE:
            mails = mails[:PAGE_SIZE]
            older = urlencode({"to": to, "after": mails[-1].message_id})
        stats = self._sandbox.stats()
        return self._page(
            "inbox.html", mails=mails, to=to, older=older, first=not after, stats=stats
        )

    def _found(self, request: Request) -> Mail | None:
        return self._sandbox.store.get(request.path_params["id"])

    def _gone(self) -> Response:
        return self._page("gone.html", 404)

    async def _mail(self, request: Request) -> Response:
        if (mail := self._found(request)) is None:
            return self._gone()
        return self._page(
            "mail.html",
            mail=mail,
            text=mail.render(mail.call.text),
            delivered=self._sandbox.tracker.delivered(mail),
            has_html=mail.call.html is not None and not mail.failure,
            headers=wire_headers(mail, self._sandbox.config.region),
            can_unsubscribe=mail.header("List-Unsubscribe-Post") is not None,
            events_on=bool(self._sandbox.publisher.subscriptions),
            notice=request.query_params.get("notice", ""),
        )

    async def _html(self, request: Request) -> Response:
        if (mail := self._found(request)) is None:
            return self._gone()
        delivered = self._sandbox.tracker.delivered(mail)
        return HTMLResponse(delivered.html if delivered else "", headers=_MAIL_HEADERS)

    async def _raw(self, request: Request) -> Response:
        if (mail := self._found(request)) is None:
            return self._gone()
        delivered = self._sandbox.tracker.delivered(mail)
        html = delivered.html if delivered else None
        raw = build_message(mail, self._sandbox.config.region, html).as_bytes()
        return PlainTextResponse(raw, headers=_PAGE_HEADERS)

    async def _act(self, request: Request) -> Response:
        """The buttons of a mail's page: what its recipient could do."""
        action = request.path_params["action"]
        if (mail := self._found(request)) is None or action not in ("open", "click", "unsubscribe"):
            return self._gone()
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return PlainTextResponse("This form belongs to the sandbox's own pages.", 403)
        notice = await self._done(action, mail)
        query = urlencode({"notice": notice})
        return RedirectResponse(f"/mail/{mail.message_id}?{query}", status_code=303)

    async def _done(self, action: str, mail: Mail) -> str:
        if action == "unsubscribe":
            try:
                done = await unsubscribe(mail)
            except Refused as refused:
                return str(refused)
            return f"The unsubscribe address answered {done['status']}."
        details = self._first_link(mail) if action == "click" else {}
        self._sandbox.publisher.publish(
            action.capitalize(), mail, next(iter(mail.fates)), details=details, forced=True
        )
        return f"{action.capitalize()} event published."

    def _first_link(self, mail: Mail) -> dict[str, Any]:
        delivered = self._sandbox.tracker.delivered(mail)
        first = next(iter(delivered.tracked_links), None) if delivered else None
        if first is None:
            return {"link": "https://example.com/", "linkTags": None}
        return {"link": first.url, "linkTags": first.tags}


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
