"""`/subscribe`: a page with a form, and what that form, or one on another site, sends."""

from __future__ import annotations

import time
from asyncio import sleep
from typing import Annotated, Any
from urllib.parse import parse_qs

import structlog
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import ConfigDict, Field, ValidationError

from app.api.answers.service import SignUpAsked
from app.api.http.deps import (
    Services,
    ServicesDep,
    find_caller,
    limited_body,
    presents_credential,
)
from app.api.http.description import a_page, answers
from app.api.http.problems import problems
from app.api.pages import page, unavailable_page
from app.api.signup.where_on import WhereOn
from app.domain.given.bodies import StrictBody
from app.domain.given.strict_json import NotStrictJson, read_strict
from app.domain.given.validation import described
from app.errors import (
    AppError,
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from app.services.signup.sign_up import SignUpForm
from app.services.signup.texts import consent_text

log = structlog.get_logger(__name__)
router = APIRouter(tags=["sign-up"], dependencies=[WhereOn])

MAX_FORM_BYTES = 10_000
ANSWER_SECONDS = 0.25
"""No answer to a sign-up comes sooner. What is done for a known and for an unknown address differs
by well under a millisecond; this hides it."""
TRAP = "leave_empty"
"""The field that people don't see, and programs fill in."""


class SignUpBody(StrictBody):
    """The same as JSON."""

    model_config = ConfigDict(hide_input_in_errors=True)

    email: str
    name: str | None = None
    tags: list[str] = Field(default_factory=list, max_length=20)
    leave_empty: str = ""
    page: str | None = None

    def to_form(self, source: str | None) -> SignUpForm:
        page = self.page or source
        return SignUpForm(self.email, self.name or "", tuple(self.tags), self.leave_empty, page)


_FORM = {
    "type": "object",
    "required": ["email"],
    "properties": {
        "email": {"type": "string"},
        "name": {"type": "string"},
        "tag": {"type": "array", "items": {"type": "string"}},
    },
}


@router.get(
    "/subscribe",
    response_class=HTMLResponse,
    responses=problems(NotFound) | a_page(503, "Try again later"),
)
async def show(
    services: ServicesDep, tag: Annotated[list[str] | None, Query(max_length=20)] = None
) -> HTMLResponse:
    """The form. `tag`: asked for with the sign-up, if SIGNUP_TAGS has it."""
    known = [one for one in tag or () if one in services.settings.signup_tags]
    try:
        services.sign_up.require_mail()
    except Unavailable:
        return unavailable_page(services.settings)
    return _form_page(services, SignUpForm("", tags=tuple(known)))


@router.post(
    "/subscribe",
    response_class=HTMLResponse,
    responses=a_page(200, "Open the mail")
    | a_page(422, "The form, and what is wrong with it")
    | a_page(429, "Try again later")
    | a_page(503, "Try again later")
    | answers(SignUpAsked, 202)
    | problems(NotFound, Unauthorized, PayloadTooLarge),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {"schema": _FORM},
                "application/json": {"schema": SignUpBody.model_json_schema()},
            },
        }
    },
)
async def ask(request: Request, services: ServicesDep) -> Response:
    """Take a sign-up, as a form or JSON. The answer is the same for every address: a mail to it is
    on its way."""
    until = time.monotonic() + ANSWER_SECONDS
    json = _media_type(request) == "application/json"
    body = await limited_body(request, MAX_FORM_BYTES)
    form = SignUpForm("")
    try:
        form = (_read_json if json else _read_form)(request, body)
        await services.sign_up(form, await _client(request, services))
    except AppError as error:
        if json:
            raise
        return _refusal(services, form, error)
    await sleep(until - time.monotonic())
    if json:
        return JSONResponse({"status": "confirmation_sent"}, 202)
    return page("signup/asked.html", services.settings, email=form.email.strip())


async def _client(request: Request, services: Services) -> str | None:
    """Whose sign-ups are counted. None: nobody's, since a program that presents a credential of
    ours (which one doesn't matter here) speaks for many visitors. Raises Unauthorized."""
    if presents_credential(request):
        if await find_caller(request, services) is None:
            raise Unauthorized("Present a valid credential, or none.")
        return None
    return request.client.host if request.client else ""


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _read_json(request: Request, body: bytes) -> SignUpForm:
    try:
        return SignUpBody.model_validate(read_strict(body)).to_form(_source(request))
    except NotStrictJson as exc:
        raise InvalidRequest(exc.named("body"), field="body") from None
    except ValidationError as exc:
        first = exc.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise InvalidRequest(described(exc.errors()), field=where) from None


def _read_form(request: Request, body: bytes) -> SignUpForm:
    if _media_type(request) not in {"application/x-www-form-urlencoded", ""}:
        raise InvalidRequest(
            "Send the form as application/x-www-form-urlencoded (which forms do by themselves), or "
            "as application/json."
        )
    try:
        fields = parse_qs(body.decode(), max_num_fields=50, errors="strict")
    except ValueError:
        raise InvalidRequest('The form is damaged. Give it accept-charset="utf-8".') from None
    return SignUpForm(
        email=fields.get("email", [""])[0],
        name=fields.get("name", [""])[0],
        tags=tuple(fields.get("tag", [])),
        trap=fields.get(TRAP, [""])[0],
        page=_source(request),
    )


def _source(request: Request) -> str | None:
    """Where the form was: the site alone, where the browser doesn't tell more."""
    return request.headers.get("referer") or request.headers.get("origin")


def _refusal(services: Services, form: SignUpForm, error: AppError) -> Response:
    if isinstance(error, TooManyRequests):
        answer = page("signup/too_many.html", services.settings, status=error.status)
        answer.headers["Retry-After"] = str(error.extra["retry_after"])
        return answer
    if isinstance(error, InvalidRequest):
        return _form_page(services, form, error)
    if error.status == 503:
        log.warning("signup_unavailable", code=error.code, error=error.detail)
        return unavailable_page(services.settings)
    raise error


def _form_page(services: Services, form: SignUpForm, error: AppError | None = None) -> HTMLResponse:
    settings = services.settings
    known = [tag for tag in form.tags if tag in settings.signup_tags]
    context: dict[str, Any] = {
        "form": form,
        "tags": known,
        "text": consent_text(settings),
        "trap": TRAP,
        "url": f"{settings.app_base_url}/subscribe",
        "error": error.detail if error else None,
        "field": error.extra.get("field") if error else None,
    }
    answer = page(
        "signup/subscribe.html", settings, status=error.status if error else 200, **context
    )
    # So that the form says where it was; nothing in this address is secret.
    answer.headers["Referrer-Policy"] = "same-origin"
    return answer
