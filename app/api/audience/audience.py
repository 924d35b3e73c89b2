"""Whom a rule would reach, before anything is sent."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query

from app.api.answers.people import Reached
from app.api.http.deps import Protected, ServicesDep, Text, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.domain.audience.rule import AudienceRule, parse_rule
from app.domain.given.bodies import StrictBody
from app.domain.given.strict_json import NotStrictJson, read_strict
from app.domain.people import MAX_TAG_CHARS, MAX_TAGS
from app.errors import DetailsDropped, InvalidRequest, Unauthorized

router = APIRouter(tags=["segments"], route_class=Protected)

_counting = problems(Unauthorized, InvalidRequest, DetailsDropped)


class CountBody(StrictBody):
    """audience: a rule; null or left out: everybody."""

    audience: AudienceRule = None


@router.post(
    "/audience/count", dependencies=[needs("read")], responses=_counting | answers(Reached)
)
async def count_audience(body: CountBody, services: ServicesDep) -> dict[str, Any]:
    """How many active subscribers a rule reaches, five of them (masked), and who is left out and
    why: `excluded` has their number by status, `no_address` and `rule`. `estimated`: of a list of
    more than a million, by a sample; `between`: at least and at most so many, where that is known
    (two standard deviations). `notes`: what a person should know of the rule."""
    return await services.segments.count(body.audience)


@router.get("/audience", dependencies=[needs("read")], responses=_counting | answers(Reached))
async def show_audience(
    services: ServicesDep,
    audience: Annotated[Text | None, Query(max_length=65_536, description="A rule as JSON")] = None,
    tag: Annotated[
        list[Annotated[Text, Query(min_length=1, max_length=MAX_TAG_CHARS)]],
        Query(max_length=MAX_TAGS),
    ] = [],  # noqa: B006  it isn't changed
    segment: UUID | None = None,
) -> dict[str, Any]:
    """The same for a rule in the address: `tag` (any of them), `segment`, and a whole rule as JSON
    in `audience`; those given must all fit."""
    rules: list[Any] = []
    if audience is not None:
        try:
            rules.append(read_strict(audience))
        except NotStrictJson as exc:
            raise InvalidRequest(f"audience: {exc}.") from exc
    if tag:
        rules.append({"tags": list(tag)})
    if segment is not None:
        rules.append({"segment": str(segment)})
    rules = [rule for rule in rules if rule not in (None, {})]
    try:
        rule = parse_rule(rules[0] if len(rules) == 1 else {"all": rules} if rules else None)
    except ValueError as exc:
        raise InvalidRequest(f"audience: {exc}") from exc
    return await services.segments.count(rule)
