"""`/dashboard/warmup`: warm-ups of routes, and providers that are slowed down, for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep, Text
from app.domain.access import DASHBOARD
from app.domain.pacing.plan import (
    MAX_CAP,
    MAX_CSV_CHARS,
    STANDARD_FIRST,
    STANDARD_TARGET,
    Plan,
    to_csv,
)
from app.domain.pacing.words import (
    count_in_words,
    held_in_words,
    on_day,
    rate_in_words,
    slowed_because,
)
from app.errors import AppError, InvalidRequest, WarmupNotRunning, WarmupRunning
from app.services.pacing.files import read_plan_file
from app.services.pacing.warmups import Warmups, asked_plan

WARMUP = f"{HOME}/warmup"
PAST_SHOWN = 60

router = APIRouter(prefix=WARMUP, route_class=Page, include_in_schema=False)

_NOTICES = {
    "started": "It is warmed up from now on. A sender opens the first day in a moment.",
    "stopped": "Stopped: it sends without caps from now on.",
    "late": "Nothing was changed: it was stopped before.",
}


@router.get("")
async def show_warmups(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    return await _page(services, session, notice=_NOTICES.get(notice))


@router.post("")
async def start(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    given = {name: form.get(name, [""])[0] for name in ("route", "target", "plan")}
    try:
        plan = _plan(given)
        warmups = Warmups(services.store, services.settings)
        await warmups.start(given["route"], plan, by=DASHBOARD.by)
    except (InvalidRequest, WarmupRunning) as refusal:
        return await _page(services, session, refusal, given=given)
    log_action(session, "warmup_start", route=given["route"])
    services.wake()
    return RedirectResponse(f"{WARMUP}?notice=started", 303)


def _plan(given: dict[str, str]) -> Plan:
    """What is written in the field for a plan of one's own goes before the target."""
    if given["plan"].strip():
        return read_plan_file(given["plan"].encode())
    target = given["target"].strip().replace(",", "")
    if not (target.isascii() and target.isdigit()) or len(target) > len(str(MAX_CAP)):
        raise InvalidRequest("Mails a day at the end: write a whole number, like 50000.")
    return asked_plan(target=int(target))


@router.get("/{route}/stop")
async def ask_to_stop(route: Text, services: ServicesDep, session: SignedIn) -> Response:
    found = [w for w in await _running(services) if w["region"] == route]
    if not found:
        return RedirectResponse(f"{WARMUP}?notice=late", 303)
    return page(
        "pacing/stop.html",
        org_name=services.settings.org_name,
        session=session,
        section="account",
        warmup=found[0],
    )


@router.post("/{route}/stop")
async def stop(route: Text, services: ServicesDep, session: SignedIn, _form: OwnForm) -> Response:
    try:
        await Warmups(services.store, services.settings).stop(route, by=DASHBOARD.by)
    except WarmupNotRunning:
        return RedirectResponse(f"{WARMUP}?notice=late", 303)
    log_action(session, "warmup_stop", route=route)
    services.wake()
    return RedirectResponse(f"{WARMUP}?notice=stopped", 303)


async def _running(services: Services) -> list[dict[str, Any]]:
    warmups = await Warmups(services.store, services.settings).all()
    return [one for one in warmups if one["state"] == "running"]


async def _page(
    services: Services,
    session: Session,
    refusal: AppError | None = None,
    *,
    given: dict[str, str] | None = None,
    notice: str | None = None,
) -> Response:
    warmups = Warmups(services.store, services.settings)
    rows = await warmups.all()
    running = {one["region"] for one in rows if one["state"] == "running"}
    overview = await services.store.pacing_overview()
    return page(
        "pacing/warmup.html",
        refusal.status if refusal else 200,
        org_name=services.settings.org_name,
        session=session,
        section="account",
        warmups=sorted(rows, key=lambda one: one["state"] != "running"),
        free=[route for route in warmups.routes if route not in running],
        paces=slowed(overview),
        is_pacing=services.settings.provider_pacing,
        given=given or {"route": "", "target": str(STANDARD_TARGET), "plan": ""},
        example=to_csv(asked_plan(target=STANDARD_TARGET)),
        least=STANDARD_FIRST,
        most=MAX_CAP,
        max_plan=MAX_CSV_CHARS,
        past_shown=PAST_SHOWN,
        on_day=on_day,
        problem=refusal.detail if refusal else None,
        notice=notice,
    )


@dataclass(frozen=True)
class Slowed:
    """A provider that is slowed down, in words."""

    provider: str
    region: str
    rate: str
    since: str
    because: str


def slowed(overview: dict[str, Any]) -> list[Slowed]:
    return [
        Slowed(
            pace["key"], pace["region"], rate_in_words(pace["rate"]), pace["since"],
            slowed_because(pace),
        )
        for pace in overview["paces"]
    ]  # fmt: skip


async def pacing_of(services: Services, mailout_id: UUID, status: str) -> dict[str, Any]:
    """For a mailout's page: `slowed`, and `waiting` for what."""
    if status not in {"sending", "paused"}:
        return {"slowed": [], "waiting": []}
    overview = await services.store.pacing_overview(mailout_id)
    paced = {pace["key"] for pace in overview["paces"]}
    capped = {
        key
        for warmup in overview["warmups"]
        if warmup["state"] == "running" and warmup["today"]
        for key in warmup["today"]["caps"]
    }
    return {
        "slowed": [
            one
            for one in slowed(overview)
            if one.provider in {waiting["key"] for waiting in overview["waiting"]}
        ],
        "waiting": [
            (
                one["key"],
                count_in_words(one["recipients"]),
                held_in_words(slowed=one["key"] in paced, capped=one["key"] in capped),
            )
            for one in overview["waiting"]
        ],
    }
