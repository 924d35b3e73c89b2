"""Warm-ups, and mailbox providers that are slowed down."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field, model_validator

from app.api.answers.service import SlowedProvider, Warmup
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.paging import Page
from app.api.http.problems import problems
from app.domain.given.bodies import StrictBody
from app.domain.pacing.plan import MAX_CAP, STANDARD_FIRST, STANDARD_TARGET
from app.errors import InvalidRequest, ScopeMissing, Unauthorized, WarmupNotRunning, WarmupRunning
from app.services.pacing.warmups import Warmups, asked_plan

router = APIRouter(tags=["pacing"], route_class=Protected)

Target = Annotated[int, Field(ge=STANDARD_FIRST, le=MAX_CAP)]


class PlanDay(StrictBody):
    """total: mails to everybody together. providers: of them at most, by a provider's name or one
    of its domains."""

    total: int
    providers: dict[str, int] = Field(default_factory=dict)


class WarmupBody(StrictBody):
    """plan: a day each; or target: the standard plan up to so many mails a day."""

    plan: Annotated[list[PlanDay | int], Field(max_length=1_000)] | None = None
    target: Target | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> WarmupBody:
        if self.plan is not None and self.target is not None:
            raise ValueError("give plan or target, not both")
        return self

    def rows(self) -> list[Any] | None:
        if self.plan is None:
            return None
        return [day if isinstance(day, int) else day.model_dump() for day in self.plan]


class PlanShown(BaseModel):
    days: list[PlanDay]


@router.get(
    "/pacing",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, ScopeMissing) | answers(ListOf[SlowedProvider]),
)
async def show_pacing(services: ServicesDep) -> Page:
    """Mailbox providers that are slowed down because they defer, by route (`region`): `key`, `rate`
    (mails a second), `since`, and for which answers (`deferred` of `answered`)."""
    overview = await services.store.pacing_overview()
    kept = ("region", "key", "rate", "ceiling", "since", "slowed_at", "deferred", "answered")
    items = [{name: pace[name] for name in kept} for pace in overview["paces"]]
    return Page(items=items, next_cursor=None)


@router.get(
    "/warmup",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, ScopeMissing) | answers(ListOf[Warmup]),
)
async def list_warmups(services: ServicesDep) -> Page:
    """Of each route the latest, on one page: `region`, `state`, `plan`, `day_number`, `today`
    (`cap`, `used`, `caps` and `used_by` by provider, `ends_at`), `remains`, `held` (why a day is
    repeated), `ends_on`, and its `days`, the newest first."""
    warmups = await Warmups(services.store, services.settings).all()
    return Page(items=warmups, next_cursor=None)


@router.get(
    "/warmup/plan",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, ScopeMissing, InvalidRequest),
)
async def show_plan(
    target: Annotated[int, Query(ge=STANDARD_FIRST, le=MAX_CAP)] = STANDARD_TARGET,
) -> PlanShown:
    """The standard plan, up to `target` mails a day."""
    return PlanShown.model_validate({"days": [day.to_row() for day in asked_plan(target=target)]})


@router.post(
    "/warmup/{route}",
    status_code=201,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, ScopeMissing, InvalidRequest, WarmupRunning)
    | answers(Warmup, 201),
)
async def start_warmup(
    route: Text, body: WarmupBody, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """Cap each day's mails by a route (an SES region, a fallback provider) from now on."""
    plan = asked_plan(target=body.target, rows=body.rows())
    warmups = Warmups(services.store, services.settings)
    started = await warmups.start(route, plan, by=caller.by)
    services.wake()
    return started


@router.delete(
    "/warmup/{route}",
    status_code=204,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, ScopeMissing, InvalidRequest, WarmupNotRunning),
)
async def stop_warmup(route: Text, services: ServicesDep, caller: CallerDep) -> Response:
    """No caps from now on."""
    await Warmups(services.store, services.settings).stop(route, by=caller.by)
    services.wake()
    return Response(status_code=204)
