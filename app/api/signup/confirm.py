"""`/confirm`: the page behind the link of a confirmation mail."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from app.api.http.deps import LinkToken, Services, ServicesDep
from app.api.http.description import a_page
from app.api.http.problems import problems
from app.api.pages import page, unavailable_page
from app.api.signup.where_on import WhereOn
from app.domain.timed_tokens import SIGNUP_DAYS, SignupTokens
from app.domain.tokens import InvalidToken
from app.errors import AppError, NotFound, Unavailable
from app.services.signup.texts import consent_text

log = structlog.get_logger(__name__)
router = APIRouter(tags=["sign-up"], dependencies=[WhereOn])

_responses = (
    a_page(400, "The link is not valid, or too old")
    | a_page(503, "Try again later")
    | problems(NotFound)
)


@router.head("/confirm", include_in_schema=False)
@router.get("/confirm", response_class=HTMLResponse, responses=_responses)
async def show(services: ServicesDep, token: LinkToken) -> HTMLResponse:
    """One button. Scanners and previews open links, so looking changes nothing."""
    try:
        found = await services.store.find_signup(_verify(services, token))
    except AppError as error:
        return _error_page(services, error)
    if found is None or found["used"]:
        return _result(services, found)
    return page(
        "signup/confirm.html",
        services.settings,
        token=token,
        email=found["email"],
        text=consent_text(services.settings),
        button=services.settings.signup_button,
    )


@router.post("/confirm", response_class=HTMLResponse, responses=_responses)
async def act(services: ServicesDep, token: LinkToken) -> HTMLResponse:
    """Put the person on the list. It has an effect once; afterwards it tells how things are."""
    try:
        signup = _verify(services, token)
        found = await services.store.confirm_signup(signup, consent_text(services.settings))
    except AppError as error:
        return _error_page(services, error)
    log.info("signup_confirmed", known=found is not None)
    return _result(services, found)


def _verify(services: Services, token: str) -> UUID:
    if not services.settings.unsubscribe_secrets:
        raise Unavailable("UNSUBSCRIBE_SECRET is not set.")
    return SignupTokens(services.settings.unsubscribe_secrets).verify(token)


def _result(services: Services, found: dict[str, Any] | None) -> HTMLResponse:
    if found is None:
        return page("signup/invalid.html", services.settings, status=400, days=SIGNUP_DAYS)
    active = found["status"] == "active"
    return page("signup/confirmed.html", services.settings, email=found["email"], active=active)


def _error_page(services: Services, error: AppError) -> HTMLResponse:
    if isinstance(error, InvalidToken):
        return _result(services, None)
    if error.status == 503:
        log.warning("confirm_unavailable", code=error.code, error=error.detail)
        return unavailable_page(services.settings)
    raise error
