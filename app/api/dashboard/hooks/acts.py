"""What people do with outgoing webhooks on the dashboard."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import OwnForm, Page, SignedIn
from app.api.dashboard.hooks.pages import HOOKS
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.hooks.words import EVENT_WORDS, event_words
from app.errors import AppError, HookNotActive, HookNotFound, HookRefused, NotFound
from app.services.hooks.trying import try_hook

new = APIRouter(prefix=HOOKS, route_class=Page, include_in_schema=False)
"""Before `/{hook_id}`, which would take `/new` for an id."""
router = APIRouter(prefix=HOOKS, route_class=Page, include_in_schema=False)

MAX_NOTE_CHARS = 500
MAX_URL_CHARS = 2000


@new.get("/new")
async def write_hook(services: ServicesDep, session: SignedIn) -> Response:
    return _sheet(services, session, typed={"url": "", "events": [], "description": ""})


@new.post("")
async def make_hook(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    """Show the secret, this once: so there is no redirect, and the page is kept in no cache."""
    typed = _typed(form)
    try:
        await _refuse_second(services, typed)
        made = await services.hooks.create(
            typed["url"], typed["events"], DASHBOARD, description=typed["description"]
        )
    except HookRefused as refusal:
        return _sheet(services, session, typed=typed, refusal=refusal)
    log_action(session, "hook_create", hook_id=made["id"])
    return _secret(services, session, made, is_new=True)


async def _refuse_second(services: Services, typed: dict[str, Any]) -> None:
    """Raises HookRefused for an address that is told these events already: a program that asks for
    them again gets the same hook, but a person hardly means that."""
    for hook in await services.hooks.list_all():
        if hook["url"] == typed["url"] and set(hook["events"]) & set(typed["events"]):
            raise HookRefused(
                "A webhook sends some of these events to this address already. Change that one, or "
                "use another address.",
                field="url",
            )


@router.get("/{hook_id}/change")
async def ask_changes(hook_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    hook = await services.hooks.show(hook_id)
    return _sheet(services, session, typed=hook, hook=hook)


@router.post("/{hook_id}/change")
async def change(
    hook_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    typed = _typed(form)
    try:
        typed["rate_per_second"] = _rate(form.get("rate_per_second", [""])[0])
        await services.hooks.change(hook_id, dict(typed), DASHBOARD)
    except HookRefused as refusal:
        hook = await services.hooks.show(hook_id)
        return _sheet(services, session, typed=hook | typed, hook=hook, refusal=refusal)
    log_action(session, "hook_change", hook_id=hook_id)
    return _back(hook_id, "changed")


def _typed(form: dict[str, list[str]]) -> dict[str, Any]:
    return {
        "url": form.get("url", [""])[0].strip(),
        "events": form.get("events", []),
        "description": form.get("description", [""])[0].strip()[:MAX_NOTE_CHARS],
    }


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0.01 <= rate <= 1000:
        raise HookRefused("rate: use a number from 0.01 to 1,000.", field="rate_per_second")
    return rate


@router.get("/{hook_id}/test")
async def choose_sample(hook_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    hook = await services.hooks.show(hook_id)
    return _ask(services, session, "hooks/test.html", hook)


@router.post("/{hook_id}/test")
async def send_sample(
    hook_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    try:
        sent = await try_hook(services.hooks, hook_id, DASHBOARD, form.get("event", [None])[0])
    except HookNotActive:
        return RedirectResponse(f"{HOOKS}/{hook_id}", 303)
    log_action(session, "hook_test", hook_id=hook_id)
    return RedirectResponse(f"{HOOKS}/{hook_id}?test={sent['id']}", 303)


@router.post("/{hook_id}/replay")
async def replay(
    hook_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    """One delivery, or all that were given up."""
    given = form.get("delivery", [""])[0]
    ids = [int(given)] if given.isascii() and given.isdigit() and len(given) < 19 else None
    if given and ids is None:
        raise NotFound
    try:
        count = await services.hooks.replay(hook_id, DASHBOARD, ids)
    except HookNotActive:
        return RedirectResponse(f"{HOOKS}/{hook_id}", 303)
    log_action(session, "hook_replay", hook_id=hook_id, deliveries=count)
    return _back(hook_id, "again" if count else "none")


@router.get("/{hook_id}/{question}")
async def ask(hook_id: UUID, question: str, services: ServicesDep, session: SignedIn) -> Response:
    if question not in {"rotate", "off", "delete"}:
        raise NotFound
    hook = await services.hooks.show(hook_id)
    return _ask(services, session, f"hooks/{question}.html", hook)


@router.post("/{hook_id}/rotate")
async def rotate(
    hook_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    made = await services.hooks.rotate(hook_id, DASHBOARD)
    log_action(session, "hook_rotate", hook_id=hook_id)
    return _secret(services, session, made, is_new=False)


@router.post("/{hook_id}/off")
async def switch_off(
    hook_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    await services.hooks.disable(hook_id, DASHBOARD)
    log_action(session, "hook_disable", hook_id=hook_id)
    return _back(hook_id, "off")


@router.post("/{hook_id}/on")
async def switch_on(
    hook_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    await services.hooks.enable(hook_id, DASHBOARD)
    log_action(session, "hook_enable", hook_id=hook_id)
    return _back(hook_id, "on")


@router.post("/{hook_id}/delete")
async def delete(
    hook_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.hooks.delete(hook_id, DASHBOARD)
    except HookNotFound:
        return RedirectResponse(f"{HOOKS}?notice=gone", 303)
    log_action(session, "hook_delete", hook_id=hook_id)
    return RedirectResponse(f"{HOOKS}?notice=deleted", 303)


def _back(hook_id: UUID, notice: str) -> Response:
    return RedirectResponse(f"{HOOKS}/{hook_id}?notice={notice}", 303)


def _sheet(
    services: Services,
    session: Session,
    *,
    typed: dict[str, Any],
    hook: dict[str, Any] | None = None,
    refusal: AppError | None = None,
) -> Response:
    """hook: the one to be changed; None: a new one."""
    return page(
        "hooks/form.html",
        refusal.status if refusal else 200,
        org_name=services.settings.org_name,
        session=session,
        section="access",
        hook=hook,
        typed=typed,
        groups=EVENT_WORDS,
        max_note=MAX_NOTE_CHARS,
        max_url=MAX_URL_CHARS,
        problem=_in_words(refusal) if refusal else None,
        field=refusal.extra.get("field") if refusal else None,
    )


def _in_words(refusal: AppError) -> str:
    """Without the name of the field, which stands beside it."""
    if refusal.extra.get("field") == "events":
        return "Choose what it shall be told."
    return refusal.detail.partition(": ")[2] or refusal.detail


def _secret(
    services: Services, session: Session, made: dict[str, Any], *, is_new: bool
) -> Response:
    return page(
        "hooks/secret.html",
        org_name=services.settings.org_name,
        session=session,
        section="access",
        hook=made,
        is_new=is_new,
    )


def _ask(services: Services, session: Session, template: str, hook: dict[str, Any]) -> Response:
    return page(
        template,
        org_name=services.settings.org_name,
        session=session,
        section="access",
        hook=hook,
        names={event: event_words(event) for event in hook["events"]},
    )
