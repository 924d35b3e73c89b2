"""Outgoing webhooks: who is told of what happens here. Made for people's programs, and for Zapier,
Make and n8n, which subscribe and unsubscribe by themselves."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Query, Response
from pydantic import Field, TypeAdapter

from app.api.answers.service import Delivery, Hook, HookEvent, HookWithSecret, Replayed
from app.api.answers.shared import ListOf
from app.api.hooks import shown as examples
from app.api.hooks.bodies import HookChange, NewHook, Replay, Trial
from app.api.http.deps import CallerDep, Protected, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.paging import Page, decode_cursor, page
from app.api.http.problems import problems
from app.errors import (
    HookEventNotFound,
    HookNotActive,
    HookNotFound,
    HookRefused,
    InvalidRequest,
    Unauthorized,
)
from app.services.hooks.trying import samples, try_hook

router = APIRouter(
    prefix="/hooks", tags=["hooks"], route_class=Protected, dependencies=[needs("manage")]
)

DELIVERY_STATES = ("waiting", "sending", "done", "dead")


@router.post(
    "",
    status_code=201,
    responses=problems(Unauthorized, InvalidRequest, HookRefused)
    | answers(HookWithSecret, 201, headers=("Location",), example=examples.WITH_SECRET),
)
async def create_hook(
    body: NewHook, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """Have events sent to an address. `secret` is in this answer and nowhere else: deliveries are
    signed with it (Standard Webhooks).

    Somebody who subscribes the same address to the same events once more gets the same `id`, so
    that nothing comes twice, switched on, and a new secret; the one before signs, too, for a day.
    """
    made = await services.hooks.create(
        body.url,
        body.events,
        caller,
        description=body.description,
        source=body.source,
        rate_per_second=body.rate_per_second,
    )
    response.headers["Location"] = f"/hooks/{made['id']}"
    return made


@router.get(
    "",
    responses=problems(Unauthorized)
    | answers(ListOf[Hook], example={"items": [examples.HOOK], "next_cursor": None}),
)
async def list_hooks(services: ServicesDep) -> Page:
    """All of them, newest first, without their secrets. state: `active`; `disabled` by a person, or
    because nothing could be delivered for days; `gone`: its endpoint answered 410. waiting, dead:
    deliveries, 10,001 at most. delivered_at: when it took the last one."""
    return Page(items=await services.hooks.list_all(), next_cursor=None)


@router.get(
    "/samples/{event}",
    responses=problems(Unauthorized, HookEventNotFound)
    | answers(list[HookEvent], example=[examples.EVENT]),
)
async def list_samples(event: str, services: ServicesDep) -> list[dict[str, Any]]:
    """Examples of what is delivered, newest first, with made-up people: a plain array, each with an
    `id` of its own, which never changes, and the very keys of a delivery."""
    return await samples(services.store, event)


@router.get(
    "/{hook_id}",
    responses=problems(Unauthorized, HookNotFound) | answers(Hook, example=examples.HOOK),
)
async def show_hook(hook_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """One hook, without its secret. failing_since: nothing was delivered since then. held_until:
    its endpoint is left alone until then. old_secret_until: how long the secret before signs."""
    return await services.hooks.show(hook_id)


_changing = problems(Unauthorized, HookNotFound, InvalidRequest, HookRefused)


@router.patch("/{hook_id}", responses=_changing | answers(Hook, example=examples.HOOK))
async def change_hook(
    hook_id: UUID, body: HookChange, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """What waits is sent to the new address, at the new rate."""
    given = body.model_dump(exclude_unset=True)
    if not given:
        raise InvalidRequest("body: name what is to be changed.")
    for name, value in given.items():
        if value is None:
            raise InvalidRequest(f"{name}: null is none; leave it out.")
    state = given.pop("state", None)
    if given:
        await services.hooks.change(hook_id, given, caller)
    if state == "disabled":
        await services.hooks.disable(hook_id, caller)
    elif state == "active":
        await services.hooks.enable(hook_id, caller)
    return await services.hooks.show(hook_id)


@router.delete("/{hook_id}", status_code=204, responses=problems(Unauthorized, HookNotFound))
async def delete_hook(hook_id: UUID, services: ServicesDep, caller: CallerDep) -> Response:
    """Nothing is delivered any more, also what waits."""
    await services.hooks.delete(hook_id, caller)
    return Response(status_code=204)


@router.post(
    "/{hook_id}/rotate",
    responses=problems(Unauthorized, HookNotFound)
    | answers(HookWithSecret, example=examples.WITH_SECRET),
)
async def rotate_secret(hook_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """A new `secret`, which is in this answer and nowhere else. Deliveries are signed with the old
    one, too, for a day (`old_secret_until`)."""
    return await services.hooks.rotate(hook_id, caller)


@router.post(
    "/{hook_id}/test",
    responses=_changing | problems(HookNotActive) | answers(Delivery, example=examples.DELIVERY),
)
async def send_test(
    hook_id: UUID,
    services: ServicesDep,
    caller: CallerDep,
    body: Annotated[Trial | None, Body()] = None,
) -> dict[str, Any]:
    """Send an example, with `test: true` in its data, and tell what was answered: `state` (`done`;
    `waiting`: to be tried again, or nobody took it up yet), `status`, `error`."""
    return await try_hook(services.hooks, hook_id, caller, body.event if body else None)


_BEFORE = TypeAdapter(tuple[Annotated[int, Field(ge=1, lt=2**63)]])
"""The id of the last delivery on the page before."""


@router.get(
    "/{hook_id}/deliveries",
    responses=problems(Unauthorized, HookNotFound, InvalidRequest)
    | answers(ListOf[Delivery], example={"items": [examples.DELIVERY], "next_cursor": None}),
)
async def list_deliveries(
    hook_id: UUID,
    services: ServicesDep,
    state: Annotated[str | None, Query(pattern=f"^({'|'.join(DELIVERY_STATES)})$")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first. state: `waiting` (due_at: when it is tried), `sending`, `done`, or `dead`:
    given up after days. status, error: of the last try. event_id: the `id` in what is delivered."""
    before = decode_cursor(cursor, _BEFORE)
    rows = await services.hooks.deliveries(
        hook_id, state=state, limit=limit + 1, before=before[0] if before else None
    )
    return page(rows, limit, "id")


@router.post(
    "/{hook_id}/replay",
    responses=_changing | problems(HookNotActive) | answers(Replayed, example={"replayed": 3}),
)
async def replay(
    hook_id: UUID,
    services: ServicesDep,
    caller: CallerDep,
    body: Annotated[Replay | None, Body()] = None,
) -> dict[str, int]:
    """Send deliveries that are over once more, with the same `id`: these, or what was told since
    then, or all dead ones (10,000 at most). Answers how many."""
    asked = body or Replay()
    count = await services.hooks.replay(hook_id, caller, asked.ids, asked.since)
    return {"replayed": count}
