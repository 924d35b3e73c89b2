"""`application/problem+json` (RFC 9457) for every error, with a stable `code`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from app.api.http.body_limit import BodyRefused
from app.api.http.responses import ProblemAnswer
from app.domain.given.bodies import invalid_request
from app.errors import (
    AppError,
    PreconditionFailed,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = 5

PROBLEM = "Problem"
PROBLEM_SCHEMA = {
    "type": "object",
    "title": "Problem",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
    },
    "example": {
        "type": "about:blank",
        "title": "There is no such mailout",
        "status": 404,
        "code": "mailout_not_found",
        "detail": "There is no such mailout",
    },
}


def problem(error: AppError) -> ProblemAnswer:
    headers = {}
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if isinstance(error, TooManyRequests):
        headers["Retry-After"] = str(error.extra["retry_after"])
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, PreconditionFailed):
        headers["ETag"] = error.extra["etag"]
    # The log has the details of a fault of ours; the caller gets none.
    detail = error.title if error.status == 500 else error.detail
    return ProblemAnswer(
        {
            "type": "about:blank",
            "title": error.title,
            "status": error.status,
            "code": error.code,
            "detail": detail,
            **error.extra,
        },
        status_code=error.status,
        headers=headers,
    )


def problems(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: which problems it may answer."""
    found: dict[int | str, dict[str, Any]] = {}
    for error in errors:
        text = found.get(error.status, {}).get("description")
        line = f"`{error.code}`: {error.title}"
        found[error.status] = {
            "description": f"{text}; {line}" if text else line,
            "content": {
                "application/problem+json": {"schema": {"$ref": f"#/components/schemas/{PROBLEM}"}}
            },
        }
    return found


def logged_problem(error: AppError) -> ProblemAnswer:
    """The answer to an error, and a line in the log where it isn't the caller's."""
    if error.status == 500:
        log.error("request_failed", code=error.code, exc_info=error)
    elif error.status == 503:
        log.warning("request_unavailable", code=error.code, error=error.detail)
    return problem(error)


def _allowed(request: Request) -> dict[str, str]:
    """`Allow` for all that there is at this address: the framework names the methods of the first
    route alone."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return {"Allow": ", ".join(sorted(methods))}


def install(app: FastAPI) -> None:
    @app.exception_handler(AppError)
    async def on_app_error(_: Request, error: AppError) -> ProblemAnswer:
        return logged_problem(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> ProblemAnswer:
        return problem(invalid_request(error.errors()))

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> ProblemAnswer:
        if isinstance(error, BodyRefused):
            return logged_problem(error.refusal)
        status = HTTPStatus(error.status_code)
        return ProblemAnswer(
            {
                "type": "about:blank",
                "title": status.phrase,
                "status": status.value,
                "code": status.name.lower(),
                "detail": str(error.detail),
            },
            status_code=status.value,
            headers=_allowed(request) if status == 405 else error.headers,
        )

    @app.exception_handler(Exception)
    async def on_bug(_: Request, error: Exception) -> ProblemAnswer:
        log.error("request_failed", code="internal", exc_info=error)
        return problem(AppError())
