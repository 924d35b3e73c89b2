"""`/dashboard/keys`: API keys, for people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD, MAX_NAME_CHARS, SCOPES, Scope, check_name
from app.errors import AppError, InvalidRequest, KeyExists, KeyNotFound

router = APIRouter(prefix=f"{HOME}/keys", route_class=Page, include_in_schema=False)

ALLOWS: dict[Scope, str] = {
    "send": "start, test, pause, resume, cancel and resend mailouts",
    "read": "look at everything but keys and the audit log",
    "manage": "change everything else, keys and webhooks too",
}
_NOTICES = {
    "revoked": "Revoked. Whoever presents it is refused from now on.",
    "late": "Nothing was changed: it was revoked before.",
}


@router.get("")
async def show_keys(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    return await _page(services, session, notice=_NOTICES.get(notice))


@router.post("")
async def make_key(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    """Show the key, this once: so there is no redirect, and the page is kept in no cache."""
    name = form.get("name", [""])[0]
    scopes = [scope for scope in SCOPES if scope in form.get("scopes", [])]
    try:
        made = await services.keys.create(_checked(name), _chosen(scopes), DASHBOARD)
    except (InvalidRequest, KeyExists) as refusal:
        return await _page(services, session, refusal, name=name, chosen=scopes)
    log_action(session, "key_create", key_id=made["id"])
    return await _page(services, session, made=made)


def _checked(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as exc:
        raise InvalidRequest(f"The name doesn't fit: {exc}.") from exc


def _chosen(scopes: list[Scope]) -> list[Scope]:
    if not scopes:
        raise InvalidRequest("Choose what the key may do.")
    return scopes


@router.get("/{key_id}/revoke")
async def ask(key_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    found = [key for key in await services.store.list_keys() if key["id"] == str(key_id)]
    if not found:
        return RedirectResponse(f"{HOME}/keys?notice=late", 303)
    return page(
        "revoke.html",
        org_name=services.settings.org_name,
        session=session,
        section="access",
        key=found[0],
    )


@router.post("/{key_id}/revoke")
async def revoke(
    key_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.keys.revoke(key_id, DASHBOARD)
    except KeyNotFound:
        return RedirectResponse(f"{HOME}/keys?notice=late", 303)
    log_action(session, "key_revoke", key_id=key_id)
    return RedirectResponse(f"{HOME}/keys?notice=revoked", 303)


async def _page(
    services: Services,
    session: Session,
    refusal: AppError | None = None,
    *,
    name: str = "",
    chosen: list[Scope] | None = None,
    made: dict[str, Any] | None = None,
    notice: str | None = None,
) -> Response:
    """made: a key that was just made, with the key itself."""
    return page(
        "keys.html",
        refusal.status if refusal else 200,
        org_name=services.settings.org_name,
        session=session,
        section="access",
        keys=await services.store.list_keys(),
        allows=ALLOWS,
        max_name=MAX_NAME_CHARS,
        problem=refusal.detail if refusal else None,
        name=name,
        chosen=chosen or [],
        made=made,
        notice=notice,
    )
