"""Subscribers, one by one and many at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import (
    TypeAdapter,
)
from starlette.convertors import StringConvertor, register_url_convertor

from app.api.answers.people import Count, History, ManyBegun, ManyChanged, PersonalData, Subscriber
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, Services, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.paging import Page, decode_cursor, encode_cursor
from app.api.http.problems import problems
from app.api.subscriber_bodies import (
    ChangedSubscriber,
    ManyBody,
    NewSubscriber,
    Search,
    StatusOfMany,
    Tag,
    TagsOfMany,
)
from app.domain import people
from app.domain.audience.words import why_mailed
from app.domain.people import Change, Filter
from app.domain.states import SubscriberStatus
from app.errors import (
    CountDiffers,
    DetailsDropped,
    InvalidRequest,
    StatusProtected,
    SubscriberErased,
    SubscriberExists,
    SubscriberNotFound,
    Unauthorized,
)
from app.services.people.many import Bulk, job_id
from app.services.people.refusals import accepted


class _AddressConvertor(StringConvertor):
    """An address in a path, which may have slashes before its @. What has no @ is something else,
    such as `/subscribers/import`."""

    regex = ".+@[^/]+"


register_url_convertor("address", _AddressConvertor())


class Filtered(Protected):
    """A list that takes `field.NAME=VALUE`, too."""

    more_known = "field."


router = APIRouter(tags=["subscribers"], route_class=Protected)
filtered = APIRouter(tags=["subscribers"], route_class=Filtered)

_Road = Literal[
    "all", "status", "rest", "tags", "address", "domain", "name1", "name2", "name3", "name4"
]
_PLACE = TypeAdapter(tuple[_Road, Text | None, Text | None])
"""Where the page before ended: see people_reached in migrations/functions/people."""
MAX_CALLS = 20
"""How often the database is asked for one page, when few of the people it looks at fit."""
MAX_CURSOR_CHARS = 4_000


def list_filter(
    status: SubscriberStatus | None,
    tags: Sequence[str],
    q: str | None,
    fields: Mapping[str, str] | None = None,
) -> Filter:
    """What is given, as a filter; what is blank filters nothing."""
    wanted = Filter()
    if status is not None:
        wanted["status"] = status
    if tags:
        wanted["tags"] = list(tags)
    if q is not None and q.strip("@ "):
        wanted["q"] = q
    if fields:
        wanted["fields"] = dict(fields)
    return wanted


async def read_filter(
    request: Request,
    services: ServicesDep,
    status: Annotated[SubscriberStatus | None, Query()] = None,
    tag: Annotated[list[Tag], Query(max_length=people.MAX_TAGS)] = [],  # noqa: B006  it is copied
    q: Annotated[Search | None, Query()] = None,
    segment: UUID | None = None,
) -> Filter:
    """The filter of a list's query. Raises InvalidRequest."""
    fields = {
        name.removeprefix("field."): value
        for name, value in request.query_params.items()
        if name.startswith("field.")
    }
    if "" in fields or any("\0" in text for pair in fields.items() for text in pair):
        raise InvalidRequest("field: write field.NAME=VALUE.")
    wanted = list_filter(status, tag, q, fields)
    if segment is not None:
        wanted["rule"] = await in_segment(services, segment)
    return wanted


async def in_segment(services: Services, segment: UUID) -> dict[str, Any]:
    """Raises InvalidRequest when there is no such segment."""
    try:
        return await services.segments.resolved({"segment": str(segment)}) or {}
    except InvalidRequest as exc:
        raise InvalidRequest("segment: there is no such segment (any more).") from exc


FilterDep = Annotated[Filter, Depends(read_filter)]


# Looking


@filtered.get(
    "/subscribers",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, InvalidRequest, DetailsDropped) | answers(ListOf[Subscriber]),
)
async def list_subscribers(
    services: ServicesDep,
    wanted: FilterDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR_CHARS)] = None,
) -> Page:
    """In the order of their addresses, or of what is looked for.

    tag: any of them, where it is repeated. q: what the address, its domain or a word of the name
    begins with; `@example.com`: the domain alone. `field.NAME=VALUE`: a field's text. segment: its
    id. A page may have fewer than `limit` items and yet a `next_cursor`: only so many people are
    looked at.
    """
    return await read_page(services, wanted, limit, cursor)


async def read_page(services: Services, wanted: Filter, limit: int, cursor: str | None) -> Page:
    """Raises InvalidRequest for a cursor that isn't one."""
    start = decode_cursor(cursor, _PLACE)
    place = list(start) if start else None
    for _ in range(MAX_CALLS):
        found = await services.store.subscribers_page(wanted, limit, place)
        place = found.next
        if found.items or place is None:
            break
    # parts of the cursor may be null, which stands for the beginning
    after = encode_cursor(*place) if place is not None else None  # type: ignore[arg-type]
    return Page(items=found.items, next_cursor=after)


@filtered.get(
    "/subscribers/count",
    dependencies=[needs("read")],
    responses=problems(Unauthorized, InvalidRequest) | answers(Count),
)
async def count_subscribers(
    services: ServicesDep,
    wanted: FilterDep,
) -> dict[str, int]:
    """How many the list of these filters has."""
    return {"count": await services.many_people.count(wanted)}


_about_one = problems(Unauthorized, SubscriberNotFound, InvalidRequest)


@router.get(
    "/subscribers/{email:address}/history",
    dependencies=[needs("read")],
    responses=_about_one | answers(History),
)
async def show_history(
    email: Text, services: ServicesDep, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> dict[str, Any]:
    """Newest first: every mailout with its outcome, every event, every change and who made it."""
    found = await find(services, email)
    return {"items": await services.store.subscriber_history(found["id"], limit)}


@router.get(
    "/subscribers/{email:address}/export",
    dependencies=[needs("read")],
    responses=_about_one | answers(PersonalData),
)
async def export_subscriber(email: Text, services: ServicesDep) -> Response:
    """All that is known of a person, to give to them (GDPR, article 15)."""
    return await personal_export(services, email)


async def personal_export(services: Services, email: str) -> Response:
    found = await services.store.export_person(email)
    if found is None:
        raise SubscriberNotFound
    for mail in found["mails"]:
        mail["why"] = why_mailed(mail.pop("audience"))
    about = (
        "All that this mailing list knows of you: your entry, the mails you got and why, and every "
        "event and change."
    )
    consent = found["subscriber"].get("consent") or "Not known: it was before this was recorded."
    answer = {"about": about, "exported_at": _now(), "consent": consent} | found
    return Response(
        orjson.dumps(answer, option=orjson.OPT_INDENT_2),
        media_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="personal-data.json"'},
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@router.get(
    "/subscribers/{email:address}",
    dependencies=[needs("read", "manage")],
    responses=_about_one | answers(Subscriber),
)
async def show_subscriber(email: Text, services: ServicesDep) -> dict[str, Any]:
    """One subscriber, by any spelling of the address."""
    return await find(services, email)


async def find(services: Services, email: str) -> dict[str, Any]:
    found = await services.store.find_subscriber(email=email)
    if found is None:
        raise SubscriberNotFound
    return found


# Changing


@router.post(
    "/subscribers",
    status_code=201,
    dependencies=[needs("manage")],
    responses=problems(Unauthorized, SubscriberExists, SubscriberErased, InvalidRequest)
    | answers(Subscriber, 201),
)
async def add_subscriber(
    body: NewSubscriber, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """Add one person. Whoever was erased at their own request isn't added again."""
    return await add(services, body, caller.by, source="api")


async def add(services: Services, body: NewSubscriber, by: str, source: str) -> dict[str, Any]:
    person = body.model_dump()
    person["consent"] = {"source": source, "at": _now()} | (body.consent or {})
    return accepted(await services.store.add_subscriber(person, by))


@router.patch(
    "/subscribers/{email:address}",
    dependencies=[needs("manage")],
    responses=_about_one
    | problems(SubscriberExists, SubscriberErased, StatusProtected)
    | answers(Subscriber),
)
async def change_subscriber(
    email: Text, body: ChangedSubscriber, services: ServicesDep, caller: CallerDep
) -> dict[str, Any]:
    """Change what is given. A status needs a reason; somebody who left gets mail again only when
    the reason says that they asked for it; a complaint or a permanent bounce also needs force."""
    return await change(services, email, body, caller.by)


async def change(
    services: Services, email: str, body: ChangedSubscriber, by: str
) -> dict[str, Any]:
    done = await services.store.change_subscriber(
        email,
        body.change(),
        by,
        reason=body.reason,
        asked=body.has_asked,
        force=body.force,
    )
    return accepted(done)


@router.delete(
    "/subscribers/{email:address}",
    status_code=204,
    dependencies=[needs("manage")],
    responses=_about_one,
)
async def erase_subscriber(email: Text, services: ServicesDep, caller: CallerDep) -> Response:
    """Erase a person (GDPR, article 17). Counts stay; no import brings them back."""
    if await services.store.erase_subscriber(email, caller.by) is None:
        raise SubscriberNotFound
    return Response(status_code=204)


_many = problems(Unauthorized, CountDiffers, InvalidRequest, DetailsDropped)


@router.post(
    "/subscribers/status",
    dependencies=[needs("manage")],
    responses=_many | answers(ManyChanged) | answers(ManyBegun, 202, headers=("Location",)),
)
async def change_status_of_many(
    body: StatusOfMany, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """Give all who fit a status: exactly the `expected` number, or nobody. Answers how many were
    `changed`, and not, for want of `asked` or `force`. More than 5,000: 202 with `job_id`."""
    return await change_many(services, body, Change(status=body.status), caller.by, response)


@router.post(
    "/subscribers/tags",
    dependencies=[needs("manage")],
    responses=_many | answers(ManyChanged) | answers(ManyBegun, 202, headers=("Location",)),
)
async def change_tags_of_many(
    body: TagsOfMany, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """Add tags to all who fit, and take tags away; as for a status."""
    if not body.add and not body.remove:
        raise InvalidRequest("add, remove: name a tag.")
    wanted = Change(add_tags=body.add, remove_tags=body.remove)
    return await change_many(services, body, wanted, caller.by, response)


async def change_many(
    services: Services, body: ManyBody, wanted: Change, by: str, response: Response
) -> dict[str, Any]:
    bulk = Bulk(
        await body.audience.filter(services),
        wanted,
        by,
        body.reason,
        asked=body.has_asked,
        force=body.force,
    )
    done = await services.many_people.change(bulk, body.expected)
    if (job := job_id(done)) is not None:
        response.status_code = 202
        response.headers["Location"] = f"/jobs/{job}"
    return done
