"""API keys, and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    TypeAdapter,
)

from app.api.answers.people import AuditEntry, Key
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.paging import Page, decode_cursor, moment, page
from app.api.http.problems import problems
from app.domain.access import Scope, check_name
from app.domain.given.bodies import StrictBody
from app.errors import InvalidRequest, KeyExists, KeyNotFound, ScopeMissing, Unauthorized

router = APIRouter(tags=["access"], route_class=Protected, dependencies=[needs("manage")])


class KeyBody(StrictBody):
    """name: by which the audit log knows the key; no other living key may have it."""

    name: Annotated[str, AfterValidator(check_name)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=10)]


class KeyMade(BaseModel):
    """key: shown here and never again; only its hash is kept."""

    id: UUID
    key: str
    name: str
    scopes: list[Scope]
    hint: str


@router.post(
    "/keys",
    status_code=201,
    responses=problems(Unauthorized, ScopeMissing, KeyExists, InvalidRequest),
)
async def create_key(body: KeyBody, services: ServicesDep, caller: CallerDep) -> KeyMade:
    """Make a key. A key can't make one with a scope that it lacks itself."""
    made = await services.keys.create(body.name, body.scopes, caller)
    return KeyMade.model_validate(made)


@router.get("/keys", responses=problems(Unauthorized) | answers(ListOf[Key]))
async def list_keys(services: ServicesDep) -> Page:
    """The living ones, by name, all on one page. hint: the key's beginning and end. last_used_at:
    to the minute."""
    rows: list[dict[str, Any]] = await services.store.list_keys()
    return Page(items=rows, next_cursor=None)


@router.delete("/keys/{key_id}", status_code=204, responses=problems(Unauthorized, KeyNotFound))
async def revoke_key(key_id: UUID, services: ServicesDep, caller: CallerDep) -> Response:
    """Refuse a key from now on: here at once, by other processes within two seconds."""
    await services.keys.revoke(key_id, caller)
    return Response(status_code=204)


_BEFORE = TypeAdapter(tuple[Annotated[int, Field(ge=1, lt=2**63)]])
"""The id of the last entry on the page before."""


_Filter = Annotated[Text | None, Query(min_length=1, max_length=300)]


@router.get(
    "/audit", responses=problems(Unauthorized, InvalidRequest) | answers(ListOf[AuditEntry])
)
async def list_audit(
    services: ServicesDep,
    target: _Filter = None,
    action: _Filter = None,
    by: _Filter = None,
    since: Annotated[datetime | None, AfterValidator(moment)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """What persons and keys changed, newest first: `at`, `by`, `action`, `target`, `before`,
    `after`. action: such as `mailout.pause`, or `mailout` for all of its kind. since: a day or a
    moment, in UTC unless it says otherwise."""
    before = decode_cursor(cursor, _BEFORE)
    rows = await services.store.list_audit(
        limit + 1,
        before=before[0] if before else None,
        target=target,
        action=action,
        by=by,
        since=since,
    )
    return page(rows, limit, "id")
