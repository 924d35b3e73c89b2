"""The workspace over HTTP: Slack's two addresses, and `/slack`, the channel in a browser."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from app.sandbox.config import SandboxConfig
from app.sandbox.slack.workspace import CHANNEL, SECRET_PATH, TOKEN, SlackWorkspace

_TEMPLATES = Path(__file__).parents[1] / "templates"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


class SlackPages:
    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._workspace = SlackWorkspace()
        self._templates = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def routes(self) -> list[Route]:
        return [
            Route("/services/{rest:path}", self._ask, methods=["POST"]),
            Route("/api/{method}", self._ask, methods=["POST"]),
            Route("/slack", self._channel, methods=["GET"]),
        ]

    async def _ask(self, request: Request) -> Response:
        given = self._workspace.answer(request.url.path, await request.body(), request.headers)
        return Response(given.body, given.status, given.headers)

    async def _channel(self, _request: Request) -> Response:
        html = self._templates.get_template("slack.html").render(
            config=self._config,
            messages=[one for one in reversed(self._workspace.messages) if not one.deleted],
            webhook=f"{self._config.base_url}{SECRET_PATH}",
            api=f"{self._config.base_url}/api",
            token=TOKEN,
            channel=CHANNEL,
        )
        return HTMLResponse(html, 200, _HEADERS)
