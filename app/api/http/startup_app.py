"""What answers HTTP while a process still waits for its database: health checks and 503s."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from app import __version__
from app.api.health import LIVE
from app.api.http.body_limit import BodyLimit
from app.api.http.problems import problem
from app.api.http.request_log import RequestLog
from app.api.http.responses import JsonAnswer
from app.errors import DatabaseUnavailable

_DETAIL = "The service has just started and waits for its database."


class StartupApp:
    """ASGI application that the server runs from the first moment. Whoever starts the process puts
    the real application into `app` once the database is there.
    """

    def __init__(self) -> None:
        self.app: ASGIApp = RequestLog(BodyLimit(_not_yet))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)


async def _not_yet(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `/health` and `/health/live` in their usual form, everything else with 503."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/health/live":
        answer = JsonAnswer(LIVE)
    elif scope["path"] == "/health":
        unknown = {"status": "unknown"}
        checks = {
            "database": {"status": "fail", "detail": _DETAIL},
            "migrations": unknown,
            "ses": unknown,
            "sender": unknown,
            "events": unknown,
            "loops": unknown,
        }
        answer = JsonAnswer({"status": "fail", "version": __version__, "checks": checks}, 503)
    else:
        answer = problem(DatabaseUnavailable(_DETAIL))
    answer.headers["Cache-Control"] = "no-store"
    await answer(scope, receive, send)
