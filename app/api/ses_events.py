"""`POST /ses-events`: what Amazon SNS pushes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog
from fastapi import APIRouter, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.answers.service import EventTaken
from app.api.http.body_limit import SMALL_BYTES, BodyRefused
from app.api.http.connection import answered_at_once
from app.api.http.deps import Services, get_services, limited_body
from app.api.http.description import answers, takes
from app.api.http.problems import logged_problem, problems
from app.api.http.request_log import name_request
from app.api.http.responses import JsonAnswer
from app.api.strangers.refusing import stranger, too_many
from app.domain.ses.events import MalformedEvent
from app.domain.ses.sns_message import (
    BadSignature,
    ForbiddenSource,
    MalformedSnsMessage,
    MessageTooOld,
    SnsMessage,
    parse_sns_message,
)
from app.errors import AppError, PayloadTooLarge, Unavailable
from app.services.watching.take_message import usual_row
from app.telemetry.log_bounds import LINES, LineKind

router = APIRouter(tags=["events"])

_PATH, _TOPIC = "/ses-events", b"x-amz-sns-topic-arn"
_DIGITS = len(str(SMALL_BYTES))
PATIENCE_SECONDS = 0.5
"""For the body of a usual event; BodyLimit's own patience begins after it."""
_TAKEN = LineKind("info", "request", method="POST", path=_PATH, status=200)
_TAKEN_BODY: Message = {"type": "http.response.body", "body": b'{"recorded":true}'}
_TAKEN_START: Message = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        (b"content-length", str(len(_TAKEN_BODY["body"])).encode()),
        (b"content-type", b"application/json"),
        (b"x-content-type-options", b"nosniff"),
    ],
}

MAX_MESSAGE_BYTES = 300_000  # SNS's 256 KB and its envelope

# The same whatever doesn't fit: whoever guesses topics must not be told when one was right.
_ONE_ANSWER = (
    "Only messages of a topic in SNS_ALLOWED_TOPIC_ARNS, signed by SNS, are taken. The service's "
    "log says what doesn't fit."
)

log = structlog.get_logger(__name__)


@router.post(
    "/ses-events",
    responses=problems(
        MalformedSnsMessage,
        MalformedEvent,
        ForbiddenSource,
        MessageTooOld,
        PayloadTooLarge,
        Unavailable,
    )
    | answers(EventTaken),
    openapi_extra=takes("text/plain", {"type": "string"}),
)
async def ses_events(request: Request) -> JsonAnswer:
    """200 only when the event is committed; SNS repeats what gets 503."""
    services = await get_services(request)
    reached: _Reached = request.scope["state"].get(_REACHED, _Reached())
    if reached.failure:
        raise reached.failure
    try:
        message = reached.message or await _verified(request, services, reached)
    except ForbiddenSource as refusal:
        services.metrics.message_refused(BadSignature.code)  # anybody may read the metrics, too
        services.watchdog.refused(refusal)
        log.info("sns_message_refused", code=refusal.code, reason=refusal.detail)
        raise ForbiddenSource(_ONE_ANSWER) from None
    except AppError as refusal:
        services.metrics.message_refused(refusal.code)
        raise
    stranger(request).is_known()
    return JsonAnswer(await services.take_message(message))


@dataclass(frozen=True)
class _Reached:
    """How far UsualEvents came with a message; refusal: why it isn't genuine; failure: why it is
    not committed."""

    message: SnsMessage | None = None
    refusal: AppError | None = None
    failure: Exception | None = None


_REACHED = "sns_message"
"""Where the request's state has it."""


async def _verified(request: Request, services: Services, reached: _Reached) -> SnsMessage:
    """The message, once it is known to be genuine and of one of our topics."""
    if reached.refusal:
        raise reached.refusal
    claimed = request.headers.get("x-amz-sns-topic-arn")
    # SNS repeats the topic in a header, so that a message of another topic is refused unread
    if claimed is not None:
        services.verifier.require_allowed(claimed)
    elif stranger(request).is_limited("other"):
        raise too_many(1)
    message = parse_sns_message(await limited_body(request, MAX_MESSAGE_BYTES), request.headers)
    await services.verifier.verify(message)
    return message


class StraightToEvents:
    """ASGI middleware: takes `POST /ses-events` past the framework, whose way to a route costs
    several times what an event does. The route itself is there for the API's description."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        (self._route,) = router.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (scope["method"], scope["path"]) != ("POST", "/ses-events"):
            await self._app(scope, receive, send)
            return
        scope["route"] = self._route  # for the log
        answer: JsonAnswer
        try:
            answer = await ses_events(Request(scope, receive, send))
        except AppError as error:
            answer = logged_problem(error)
        except BodyRefused as error:
            answer = logged_problem(error.refusal)
        await answer(scope, receive, send)


class UsualEvents:
    """ASGI, before the framework: takes what nearly every message is, a small and genuine
    event. The layers behind watch over what may be wrong with a request, and took longer than to
    read, check and store it: 5 ms of a processor for 100 events.

    Anything else goes on as it came, or as far as it was read, and is answered behind: what is
    refused is counted, limited and logged there, and nothing is checked twice.
    """

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app, self._services = app, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._may_be_usual(scope):
            await self._app(scope, receive, send)
            return
        started = time.monotonic()
        name_request(scope)
        first = await _first_part(receive)
        reached = await self._take(scope, first)
        if reached is None:
            if not answered_at_once(scope, _TAKEN_START["headers"], _TAKEN_BODY["body"]):
                await send(_TAKEN_START)
                await send(_TAKEN_BODY)
            if not LINES.leaves_out(_TAKEN):
                said = round(time.monotonic() - started, 4)
                log.info("request", method="POST", path=_PATH, status=200, seconds=said)
            return
        scope.setdefault("state", {})[_REACHED] = reached
        unread = iter([] if first is None else [first])

        async def receive_again() -> Message:
            return next(unread, None) or await receive()

        await self._app(scope, receive_again, send)

    def _may_be_usual(self, scope: Scope) -> bool:
        """By its head: of a topic of ours, as it says, small, and nothing in it twice
        (SingleHeaders)."""
        if scope["type"] != "http" or scope["path"] != _PATH or scope["method"] != "POST":
            return False
        headers = dict(scope["headers"])
        size = headers.get(b"content-length", b"")
        if (
            len(headers) != len(scope["headers"])
            or b"transfer-encoding" in headers
            or not (size.isdigit() and len(size) <= _DIGITS and int(size) <= SMALL_BYTES)
        ):
            return False
        try:
            self._services.verifier.require_allowed(headers[_TOPIC].decode("latin-1"))
        except (KeyError, ForbiddenSource):
            return False
        return True

    async def _take(self, scope: Scope, first: Message | None) -> _Reached | None:
        """None: its event is committed."""
        if first is None or first["type"] != "http.request" or first.get("more_body", False):
            return _Reached()
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name.startswith(b"x-amz-sns-")
        }
        message = row = None
        try:
            read = parse_sns_message(first["body"], headers)
            await self._services.verifier.verify(read)
            message = read
            row = usual_row(message)
            if row is not None:
                await self._services.record_events(row)
                return None
        except Exception as error:  # noqa: BLE001  it is raised again behind
            if row is not None or not isinstance(error, AppError):
                return _Reached(message, failure=error)
            if message is None:
                return _Reached(refusal=error)
        return _Reached(message)  # what is genuine and no usual event, also one that is malformed


async def _first_part(receive: Receive) -> Message | None:
    """Of the body; None: it takes its time. It is there already nearly always, and a timer costs
    more than to ask."""
    asking = receive()
    try:
        asking.send(None)  # type: ignore[attr-defined]
    except StopIteration as there:
        message: Message = there.value
        return message
    asking.close()  # type: ignore[attr-defined]
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await receive()
    except TimeoutError:
        return None
