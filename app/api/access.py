"""API keys: `/keys`."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.paging import Page
from app.api.http.problems import problems
from app.domain.access import Scope
from app.errors import InvalidRequest, KeyExists, KeyNotFound, ScopeMissing, Unauthorized

router = APIRouter(tags=["access"], route_class=Protected, dependencies=[needs("manage")])


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("use letters, digits, signs and spaces")
    return name


class KeyBody(BaseModel):
    """name: by which the audit log knows the key; no other living key may have it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[
        Text,
        StringConstraints(strip_whitespace=True, min_length=1, max_length=80),
        AfterValidator(_printable),
    ]
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


@router.get("/keys", responses=problems(Unauthorized))
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
