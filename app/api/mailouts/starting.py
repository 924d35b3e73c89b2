"""`POST /send-mailout`: start a mailout, as its caller or Notion asks."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal
from uuid import UUID

import structlog
from fastapi import APIRouter, Header, Request
from pydantic import BaseModel

from app.api.http.deps import (
    Services,
    ServicesDep,
    find_caller,
    limited_body,
    refuse_unknown_parameters,
)
from app.api.http.description import answers
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.domain.access import Caller
from app.domain.given.strict_json import DoubledKey, NotStrictJson, read_posted, read_strict
from app.domain.notion.pages import is_integration_webhook
from app.domain.untrusted import read_oddities
from app.errors import (
    AppError,
    AudienceChanged,
    AudienceEmpty,
    DetailsDropped,
    IdempotencyKeyReused,
    InvalidRequest,
    MailoutNotFound,
    MailoutNotReady,
    PayloadTooLarge,
    ScopeMissing,
    SesNotConfigured,
    TemplateInvalid,
    Unauthorized,
    Unavailable,
)
from app.services.access.keys import require_scope
from app.services.starting.orders import (
    INTEGRATION_WEBHOOK,
    MAX_KEY_CHARS,
    NotionBody,
    SendBody,
    check_key,
    is_of_notion,
    read_order,
)
from app.services.starting.start_mailout import SendRequest, fingerprint

log = structlog.get_logger(__name__)
router = APIRouter(tags=["mailouts"])


MAX_TOKEN_BODY_BYTES = 16_384
"""Of a body that contains the secret: it has to be parsed before the caller is authenticated."""


class SendAccepted(BaseModel):
    """recipients: eligible subscribers. warnings: what speaks against it, in sentences.

    As far as it is known: quota_left of daily_quota (recipients; none when SES sets no limit), rate
    (recipients per second), seconds until the last one is sent, days on which it sends.
    """

    mailout_id: UUID
    status: str
    recipients: int
    warnings: list[str] = []
    quota_left: float | None = None
    daily_quota: float | None = None
    rate: float | None = None
    seconds: float | None = None
    days: int | None = None


class Reading(BaseModel):
    """A row of the Notion database is read now; what it asks for is done then, and said there."""

    mailout_id: UUID
    status: Literal["reading"]


class NotStarted(BaseModel):
    """A refusal in Notion's form: Notion pauses an automation whose call fails."""

    started: Literal[False] = False
    status: str | None
    reason: str


# Its length is checked in the route: authentication comes first.
IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", description=f"1 to {MAX_KEY_CHARS} characters"),
]


@router.post(
    "/send-mailout",
    status_code=202,
    response_model=SendAccepted | Reading,
    responses=answers(NotStarted)
    | problems(
        Unauthorized,
        ScopeMissing,
        MailoutNotFound,
        MailoutNotReady,
        AudienceEmpty,
        AudienceChanged,
        DetailsDropped,
        TemplateInvalid,
        InvalidRequest,
        IdempotencyKeyReused,
        PayloadTooLarge,
        SesNotConfigured,
        Unavailable,
    )
    | {202: {"headers": {"Location": {"schema": {"type": "string"}}}}},
    openapi_extra={
        "security": [{"bearer": ["send"]}, {"token": ["send"]}],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {
                        "anyOf": [SendBody.model_json_schema(), NotionBody.model_json_schema()]
                    }
                }
            },
        },
    },
)
async def send_mailout(
    request: Request, services: ServicesDep, idempotency_key: IdempotencyKey = None
) -> JsonAnswer:
    """Start a mailout: at once, in the background, once."""
    try:
        caller, raw, body = await _body_of_caller(request, services)
    except _UnreadOfNotion as refusal:
        return JsonAnswer(NotStarted(status=None, reason=refusal.detail).model_dump())
    if not isinstance(body, dict):
        raise InvalidRequest('The body must be a JSON object like {"mailout_id": "…"}.')
    if is_integration_webhook(body):
        return JsonAnswer(NotStarted(status=None, reason=INTEGRATION_WEBHOOK).model_dump())
    if is_of_notion(body):
        try:
            return await _carry_out(request, services, caller, raw, body, idempotency_key)
        except AppError as refusal:
            if refusal.status in {401, 404, 503} or refusal.status == 500:
                raise
            return JsonAnswer(
                NotStarted(
                    status=refusal.extra.get("mailout_status"), reason=refusal.detail
                ).model_dump(),
            )
    return await _carry_out(request, services, caller, raw, body, idempotency_key)


async def _carry_out(
    request: Request,
    services: Services,
    caller: Caller,
    raw: bytes,
    body: dict[str, Any],
    key: str | None,
) -> JsonAnswer:
    refuse_unknown_parameters(request)
    check_key(key)
    notion = is_of_notion(body)
    order = read_order(
        body,
        key=None if notion else key,  # Notion has a name of its own for each request
        fingerprint=fingerprint(raw),
        by=caller.by,
    )
    answer = await services.carry_out(order)
    place = f"/mailouts/{answer['mailout_id']}"
    if answer.get("dry_run"):
        return JsonAnswer(answer, 202, headers={"Location": f"{place}/dry-run"})
    return JsonAnswer(answer, 202, headers={} if order.test else {"Location": place})


async def _body_of_caller(request: Request, services: Services) -> tuple[Caller, bytes, Any]:
    """A caller, and the body as it came and as JSON.

    A caller without a credential in a header may present it in a small body; a larger one isn't
    parsed. Raises Unauthorized, ScopeMissing, PayloadTooLarge, InvalidRequest.
    """
    if caller := await find_caller(request, services):
        require_scope(caller, "send")
        raw = await request.body()
        body = _json(raw)
        token = body.get("auth_token") if isinstance(body, dict) else None
        if token is not None and await find_caller(request, services, token) != caller:
            raise Unauthorized("Present one credential, or several of the same caller.")
        return caller, raw, body
    body, detail = (
        None,
        (
            "Present the shared secret or an API key as `Authorization: Bearer …`, "
            "`X-Auth-Token: …` or `auth_token` in the body."
        ),
    )
    with suppress(PayloadTooLarge, InvalidRequest):  # authentication comes before any complaint
        raw = await limited_body(request, MAX_TOKEN_BODY_BYTES)
        body = _json(raw)
    if isinstance(body, dict):
        if caller := await find_caller(request, services, body.get("auth_token")):
            require_scope(caller, "send")
            return caller, raw, body
        if is_integration_webhook(body):
            log.info("notion_webhook_misdirected", remedy=INTEGRATION_WEBHOOK)
            detail = INTEGRATION_WEBHOOK
    raise Unauthorized(detail)


async def dry_run(services: ServicesDep, send: SendRequest) -> JsonAnswer:
    started = await services.dry_runs.start(send)
    return JsonAnswer(
        started, 202, headers={"Location": f"/mailouts/{started['mailout_id']}/dry-run"}
    )


class _UnreadOfNotion(InvalidRequest):
    """Of a caller who sends what looks like Notion's payload."""


def _json(raw: bytes) -> Any:
    """In Notion's payload stands whatever is in somebody's database, which nobody can write in
    another way for us: an oddity of it is mended. Raises InvalidRequest."""
    try:
        return read_strict(raw)
    except NotStrictJson as exc:
        if not _looks_like_notions(raw):
            raise InvalidRequest(exc.named("body")) from None
    try:
        return read_posted(raw)
    except DoubledKey as exc:
        raise _UnreadOfNotion(exc.named("body")) from None


def _looks_like_notions(raw: bytes) -> bool:
    try:
        body = read_oddities(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and is_of_notion(body)
