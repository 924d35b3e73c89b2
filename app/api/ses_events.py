"""`POST /ses-events`: what Amazon SNS pushes."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.answers.service import EventTaken
from app.api.http.body_limit import BodyRefused
from app.api.http.deps import Services, get_services, limited_body
from app.api.http.description import answers, takes
from app.api.http.problems import logged_problem, problems
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

router = APIRouter(tags=["events"])

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
    try:
        message = await _verified(request, services)
    except ForbiddenSource as refusal:
        services.metrics.message_refused(BadSignature.code)  # anybody may read the metrics, too
        services.watchdog.refused(refusal)
        log.info("sns_message_refused", code=refusal.code, reason=refusal.detail)
        raise ForbiddenSource(_ONE_ANSWER) from None
    except AppError as refusal:
        services.metrics.message_refused(refusal.code)
        raise
    return JsonAnswer(await services.take_message(message))


async def _verified(request: Request, services: Services) -> SnsMessage:
    """The message, once it is known to be genuine and of one of our topics."""
    claimed = request.headers.get("x-amz-sns-topic-arn")
    # SNS repeats the topic in a header, so that a message of another topic is refused unread
    if claimed is not None:
        services.verifier.require_allowed(claimed)
    elif stranger(request).is_limited("other"):
        raise too_many(1)
    message = parse_sns_message(await limited_body(request, MAX_MESSAGE_BYTES), request.headers)
    await services.verifier.verify(message)
    stranger(request).is_known()
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
