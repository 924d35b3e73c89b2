"""What stands before every endpoint: faults, the rate, the version, the token, sizes."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.sandbox.notion.config import CAPABILITIES, NotionConfig
from app.sandbox.notion.errors import NotionError, invalid, restricted, unauthorized
from app.sandbox.notion.model.answers import NEWEST, VERSIONS
from app.sandbox.notion.model.check import Json

MAX_BODY = 500 * 1024
KEPT_REQUESTS = 20_000
CODES = {
    400: "validation_error",
    401: "unauthorized",
    403: "restricted_resource",
    404: "object_not_found",
    409: "conflict_error",
    429: "rate_limited",
    500: "internal_server_error",
    502: "bad_gateway",
    503: "service_unavailable",
    504: "gateway_timeout",
    529: "service_overload",
}


@dataclass
class Fault:
    """times: how often still; None: until it is taken back. path, method: only of these.
    html: an answer that isn't Notion's own, as of a proxy before it. after: the request is done
    before it fails. slow: seconds before the answer; status 0: it is answered nevertheless."""

    status: int = 429
    times: int | None = None
    path: str = ""
    method: str = ""
    retry_after: int | None = None
    html: bool = False
    after: bool = False
    slow: float = 0.0

    def meets(self, request: Request) -> bool:
        return (
            self.times != 0
            and (not self.method or request.method == self.method.upper())
            and re.search(self.path, request.url.path) is not None
        )

    def failure(self) -> Response:
        self._used()
        if self.html:
            page = b"<html><body>Sorry, you have been blocked. Ray ID: 8a1b2c</body></html>"
            return Response(page, self.status, {"cf-ray": "8a1b2c"}, "text/html")
        more = {"rate_limit_reason": "integration"} if self.status == 429 else None
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        code = CODES.get(self.status, "internal_server_error")
        message = "You have been rate limited. Please try again in a few minutes."
        if self.status != 429:
            message = f"Something went wrong ({code})."
        return refusal(NotionError(self.status, code, message, headers=headers, more=more))

    async def wait(self) -> None:
        await asyncio.sleep(self.slow)
        if not self.status:
            self._used()

    def _used(self) -> None:
        if self.times is not None:
            self.times -= 1


@dataclass
class Guard:
    """revoked: no token opens anything any more. requests: what was asked, the newest last."""

    config: NotionConfig
    revoked: bool = False
    capabilities: set[str] = field(default_factory=lambda: set(CAPABILITIES))
    faults: list[Fault] = field(default_factory=list)
    rate: int = 0
    requests: deque[Json] = field(default_factory=lambda: deque(maxlen=KEPT_REQUESTS))
    _recent: deque[float] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self.rate = self.config.rate

    def fault(self, request: Request) -> Fault | None:
        return next((fault for fault in self.faults if fault.meets(request)), None)

    def admit(self, request: Request) -> str:
        """The API version a request asks for. Raises NotionError when it may not come in."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if self.revoked or scheme.lower() != "bearer" or token != self.config.token:
            raise unauthorized()
        self._count()
        version = request.headers.get("notion-version")
        if version is None:
            raise NotionError(
                400,
                "missing_version",
                "Notion-Version header failed validation: Notion-Version header should be "
                "defined, instead was `undefined`.",
            )
        if version not in VERSIONS:
            choices = ", ".join(f'`"{name}"`' for name in VERSIONS)
            raise NotionError(
                400,
                "validation_error",
                f"Notion-Version header failed validation: Notion-Version header should be "
                f'{choices}, instead was `"{version}"`.',
            )
        return version

    def _count(self) -> None:
        if not self.rate:
            return
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - self.config.window:
            self._recent.popleft()
        if len(self._recent) >= self.rate:
            wait = max(1, math.ceil(self._recent[0] + self.config.window - now))
            raise NotionError(
                429,
                "rate_limited",
                "You have been rate limited. Please try again in a few minutes.",
                headers={"Retry-After": str(wait)},
                more={"rate_limit_reason": "integration"},
            )
        self._recent.append(now)

    def needs(self, capability: str) -> None:
        if capability not in self.capabilities:
            raise restricted()

    def record(self, request: Request, body: Any, status: int) -> None:
        self.requests.append(
            {
                "method": request.method,
                "path": request.url.path.removeprefix("/v1/"),
                "query": dict(request.query_params),
                "body": body,
                "version": request.headers.get("notion-version", NEWEST),
                "status": status,
            }
        )


async def json_body(request: Request) -> Json:
    """Raises NotionError when the body is no JSON object, or too large."""
    raw = await request.body()
    if len(raw) > MAX_BODY:
        raise invalid(f"Request body too large: {len(raw)} bytes, at most {MAX_BODY}.")
    if not raw:
        return {}
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise NotionError(400, "invalid_json", "Error parsing JSON body.") from None
    if not isinstance(body, dict):
        raise invalid("body failed validation: body should be an object.")
    return body


def answered(body: Json) -> Response:
    request_id = str(uuid4())
    return Response(
        orjson.dumps({**body, "request_id": request_id}),
        media_type="application/json",
        headers={"x-notion-request-id": request_id},
    )


def refusal(error: NotionError) -> Response:
    request_id = str(uuid4())
    body: Json = {
        "object": "error",
        "status": error.status,
        "code": error.code,
        "message": error.message,
        "request_id": request_id,
    }
    if error.more is not None:
        body["additional_data"] = error.more
    return Response(
        orjson.dumps(body),
        error.status,
        {**error.headers, "x-notion-request-id": request_id},
        "application/json",
    )
