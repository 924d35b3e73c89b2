"""`POST /send-mailout`: start a mailout, as its caller or Notion asks."""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import orjson
import structlog
from fastapi import APIRouter, Header, Request
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
)

from app.api.http.deps import (
    Services,
    ServicesDep,
    Text,
    find_caller,
    limited_body,
    refuse_unknown_parameters,
)
from app.api.http.problems import invalid_request, problems
from app.api.http.responses import JsonAnswer
from app.domain.access import Caller
from app.domain.notion.pages import is_integration_webhook, page_id
from app.errors import (
    AppError,
    AudienceChanged,
    AudienceEmpty,
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
from app.services.starting.start_mailout import SendRequest, fingerprint

log = structlog.get_logger(__name__)
router = APIRouter(tags=["mailouts"])


_Model = TypeVar("_Model", bound=BaseModel)

MAX_KEY_CHARS = 255
"""Of an Idempotency-Key, by which a repeated request is known."""
MAX_TOKEN_BODY_BYTES = 16_384
"""Of a body that contains the secret: it has to be parsed before the caller is authenticated."""

_INTEGRATION_WEBHOOK = (
    "This is what Notion posts for an integration's webhook, which belongs to /notion-events. "
    '/send-mailout takes the "Send webhook" action of an automation or a button, with the shared '
    "secret in one of its headers."
)


class SendBody(BaseModel):
    """What a caller posts. auth_token: where a header can't be set. confirm_audience: the number
    of recipients, where the answer `audience_changed` asked for it."""

    model_config = ConfigDict(extra="forbid")

    mailout_id: UUID
    test: bool = False
    dry_run: bool = False
    confirm_audience: Annotated[int, Field(ge=0, le=2**53, strict=True)] | None = None
    auth_token: str | None = None


class NotionSource(BaseModel):
    event_id: Annotated[Text, Field(max_length=MAX_KEY_CHARS)] | None = None


class NotionPage(BaseModel):
    id: Annotated[UUID, BeforeValidator(lambda v: page_id(v) if isinstance(v, str) else v)]


class NotionBody(BaseModel):
    """The payload of a Notion automation's "send webhook" action, as far as it matters here."""

    source: NotionSource
    data: NotionPage


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
    response_model=SendAccepted | Reading | NotStarted,
    responses=problems(
        Unauthorized,
        ScopeMissing,
        MailoutNotFound,
        MailoutNotReady,
        AudienceEmpty,
        AudienceChanged,
        TemplateInvalid,
        InvalidRequest,
        IdempotencyKeyReused,
        PayloadTooLarge,
        SesNotConfigured,
        Unavailable,
    ),
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
    caller, raw, body = await _body_of_caller(request, services)
    if not isinstance(body, dict):
        raise InvalidRequest('The body must be a JSON object like {"mailout_id": "…"}.')
    if is_integration_webhook(body):
        return JsonAnswer(NotStarted(status=None, reason=_INTEGRATION_WEBHOOK).model_dump())
    if "source" in body and "data" in body:
        try:
            _check_outside(request, idempotency_key)
            send = _notion_request(body, caller)
            if reading := await _ask_row(services, body, send):
                return reading
            return await _start(services, send)
        except AppError as refusal:
            if refusal.status in {401, 404, 503} or refusal.status == 500:
                raise
            return JsonAnswer(
                NotStarted(
                    status=refusal.extra.get("mailout_status"), reason=refusal.detail
                ).model_dump(),
            )
    _check_outside(request, idempotency_key)
    parsed = _parse(SendBody, body)
    send = SendRequest(
        mailout_id=parsed.mailout_id,
        key=f"key:{idempotency_key}" if idempotency_key else None,
        fingerprint=fingerprint(raw),
        by=caller.by,
        confirm_audience=parsed.confirm_audience,
    )
    if parsed.dry_run or services.settings.dry_run_send:
        return await dry_run(services, send)
    if parsed.test:
        return JsonAnswer(await services.start_mailout.test(send), 202)
    return await _start(services, send)


async def _body_of_caller(request: Request, services: Services) -> tuple[Caller, bytes, Any]:
    """A caller, and the body as it came and as JSON (None when it isn't).

    A caller without a credential in a header may present it in a small body; a larger one isn't
    parsed. Raises Unauthorized, ScopeMissing, PayloadTooLarge.
    """
    if caller := await find_caller(request, services):
        require_scope(caller, "send")
        raw = await request.body()
        return caller, raw, _json(raw)
    body, detail = (
        None,
        (
            "Present the shared secret or an API key as `Authorization: Bearer …`, "
            "`X-Auth-Token: …` or `auth_token` in the body."
        ),
    )
    with suppress(PayloadTooLarge):
        raw = await limited_body(request, MAX_TOKEN_BODY_BYTES)
        body = _json(raw)
    if isinstance(body, dict):
        if caller := await find_caller(request, services, body.get("auth_token")):
            require_scope(caller, "send")
            return caller, raw, body
        if is_integration_webhook(body):
            log.info("notion_webhook_misdirected", remedy=_INTEGRATION_WEBHOOK)
            detail = _INTEGRATION_WEBHOOK
    raise Unauthorized(detail)


def _check_outside(request: Request, key: str | None) -> None:
    """What isn't in the body."""
    refuse_unknown_parameters(request)
    check_key(key)


def check_key(key: str | None) -> None:
    if key is not None and ("\0" in key or not 1 <= len(key) <= MAX_KEY_CHARS):
        raise InvalidRequest(f"Idempotency-Key: use 1 to {MAX_KEY_CHARS} characters.")


def _notion_request(body: dict[str, Any], caller: Caller) -> SendRequest:
    notion = _parse(NotionBody, body)
    page = notion.data.id.hex
    event = notion.source.event_id
    return SendRequest(
        notion_page=page,
        key=f"notion:{event}:{page}" if event else None,
        fingerprint=page,  # a repeat differs in `attempt` and times, so the page alone counts
        by=caller.by,
    )


async def _ask_row(
    services: Services, body: dict[str, Any], send: SendRequest
) -> JsonAnswer | None:
    """None: it is about a mailout that was made by hand."""
    assert send.notion_page is not None
    event = _parse(NotionBody, body).source.event_id
    asked = await services.ask_row(UUID(send.notion_page), body["data"], event=event)
    if asked is None:
        return None
    return JsonAnswer(asked, 202, headers={"Location": f"/mailouts/{asked['mailout_id']}"})


async def _start(services: ServicesDep, send: SendRequest) -> JsonAnswer:
    if services.settings.dry_run_send:
        return await dry_run(services, send)
    accepted = await services.start_mailout(send)
    return JsonAnswer(accepted, 202, headers={"Location": f"/mailouts/{accepted['mailout_id']}"})


async def dry_run(services: ServicesDep, send: SendRequest) -> JsonAnswer:
    started = await services.dry_runs.start(send)
    return JsonAnswer(
        started, 202, headers={"Location": f"/mailouts/{started['mailout_id']}/dry-run"}
    )


def _json(raw: bytes) -> Any:
    """The body as JSON; None when it isn't (authentication comes before any complaint)."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return None


def _parse(model: type[_Model], body: Any) -> _Model:
    try:
        return model.model_validate(body)
    except ValidationError as exc:
        raise invalid_request(exc.errors()) from exc
