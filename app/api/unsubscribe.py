"""`/unsubscribe`: for people (a page with one button) and for mail clients (RFC 8058)."""

from __future__ import annotations

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app.api.http.body_limit import announced_size
from app.api.http.deps import LinkToken, Services, ServicesDep
from app.api.http.description import a_page
from app.api.pages import page, unavailable_page
from app.domain.addresses import mask_address
from app.domain.timed_tokens import Mistake, ResubscribeTokens
from app.domain.tokens import InvalidToken, UnsubscribeTarget
from app.errors import AppError, Unavailable

log = structlog.get_logger(__name__)
router = APIRouter(tags=["unsubscribe"])

_responses = a_page(400, "The link is not valid") | a_page(503, "Try again later")


@router.head("/unsubscribe", include_in_schema=False)
@router.get("/unsubscribe", response_class=HTMLResponse, responses=_responses)
async def show(request: Request, services: ServicesDep, token: LinkToken) -> HTMLResponse:
    """One button. Scanners and previews open links, so looking changes nothing (unless
    UNSUBSCRIBE_CONFIRM is false)."""
    try:
        target = _verify(services, token)
        if request.method == "GET" and not services.settings.unsubscribe_confirm:
            return await _unsubscribe(services, target, page_used=True)
        found = None
        if not target.test:
            found = await services.store.find_subscriber(target.subscriber_id)
    except AppError as error:
        return _error_page(services, error)
    return page(
        "unsubscribe.html",
        services.settings,
        token=token,
        test=target.test,
        address=mask_address(found["email"]) if found else None,
        done=found is not None and found["status"] in {"unsubscribed", "complained"},
    )


@router.post("/unsubscribe", response_class=HTMLResponse, responses=_responses)
async def act(request: Request, services: ServicesDep, token: LinkToken) -> HTMLResponse:
    """Unsubscribe now. The token says all, so the body (`List-Unsubscribe=One-Click`, or the
    button's, which is empty) isn't read: no cookie, no login, no redirect, any number of times."""
    try:
        target = _verify(services, token)
        return await _unsubscribe(services, target, page_used=not _has_body(request))
    except AppError as error:
        return _error_page(services, error)


@router.post("/resubscribe", response_class=HTMLResponse, responses=_responses)
async def take_back(services: ServicesDep, token: LinkToken) -> HTMLResponse:
    """ "I clicked by mistake": give the status back that the unsubscribing took, within an hour and
    unless anything else has happened to it."""
    found = None
    try:
        if services.settings.unsubscribe_secrets:
            mistake = ResubscribeTokens(services.settings.unsubscribe_secrets).verify(token)
            found = await services.store.resubscribe(mistake.subscriber_id, mistake.change)
    except InvalidToken:
        pass
    except AppError as error:
        return _error_page(services, error)
    restored = found is not None and bool(found["restored"])
    log.info("resubscribed", restored=restored)
    return page(
        "resubscribed.html",
        services.settings,
        status=200 if restored else 400,
        restored=restored,
        address=mask_address(found["email"]) if found else None,
    )


def _verify(services: Services, token: str) -> UnsubscribeTarget:
    if services.tokens is None:
        raise Unavailable("UNSUBSCRIBE_SECRET is not set.")
    return services.tokens.verify(token)


def _has_body(request: Request) -> bool:
    """A mail client's request has one, our button's hasn't."""
    return bool(announced_size(request.headers)) or "transfer-encoding" in request.headers


async def _unsubscribe(
    services: Services, target: UnsubscribeTarget, *, page_used: bool
) -> HTMLResponse:
    """page_used: a person sees the answer, so it offers the way back."""
    found, back = None, None
    if not target.test:
        found = await services.store.unsubscribe(
            target.subscriber_id, target.mailout_id, "link" if page_used else "mail client"
        )
        if found and found["change"] and page_used:
            tokens = ResubscribeTokens(services.settings.unsubscribe_secrets)
            back = tokens.sign(Mistake(target.subscriber_id, found["change"]))
        log.info("unsubscribed", mailout_id=str(target.mailout_id), known=found is not None)
    return page(
        "unsubscribed.html",
        services.settings,
        test=target.test,
        address=mask_address(found["email"]) if found else None,
        back=back,
    )


def _error_page(services: Services, error: AppError) -> HTMLResponse:
    if isinstance(error, InvalidToken):
        return page("invalid.html", services.settings, status=400)
    if error.status == 503:
        log.warning("unsubscribe_unavailable", code=error.code, error=error.detail)
        return unavailable_page(services.settings)
    raise error
