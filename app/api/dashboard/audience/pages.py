"""`/dashboard/segments`: rules with a name, for people; and what keeps the builder fresh."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError

from app.api.audience.segments import SegmentName
from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn
from app.api.dashboard.audience.builder import Builder, Choices, Line, reach
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.domain.access import DASHBOARD
from app.domain.audience.rule import parse_rule
from app.domain.audience.words import in_words
from app.domain.given.strict_json import read_strict
from app.errors import AppError, InvalidRequest, SegmentInUse, SegmentNotFound

router = APIRouter(prefix=HOME, route_class=Page, include_in_schema=False)

LIST = f"{HOME}/segments"
SHOWN = 200
"""Segments on the list."""
_NOTICES = {"saved": "Saved.", "deleted": "Deleted.", "late": "It was deleted before."}
_NAME: TypeAdapter[str] = TypeAdapter(SegmentName)


@router.post("/audience")
async def refresh_builder(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    """The builder of a form as it is, for the page's script. Nothing is saved. audience-all: more
    people are looked at than for the first answer."""
    builder = Builder.of_form(form)
    return page(
        "audience/fragment.html",
        builder=builder,
        choices=await Choices.load(services),
        reach=await reach(services, builder, quick="audience-all" not in form),
    )


@router.get("/segments")
async def show_segments(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    segments = await services.store.list_segments(SHOWN)
    names = {segment["id"]: segment["name"] for segment in segments}
    return _page(
        services,
        session,
        "list",
        segments=segments,
        words={s["id"]: in_words(s["audience"], names) for s in segments},
        notice=_NOTICES.get(notice),
    )


@router.get("/segments/new")
async def new_segment(
    services: ServicesDep,
    session: SignedIn,
    name: Annotated[str, Query(max_length=100)] = "",
    rule: Annotated[str, Query(max_length=4_000)] = "",
) -> Response:
    """name, rule (JSON): to begin with, as other pages propose it."""
    builder = Builder(lines=(Line(),))
    if rule:
        try:
            builder = Builder.of_rule(parse_rule(read_strict(rule)))
        except ValueError as exc:
            raise InvalidRequest("The rule in the page's address is none.") from exc
    return await _edit(services, session, None, name.replace("\0", ""), builder)


@router.post("/segments/new")
async def create_segment(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    return await _save(services, session, None, form)


@router.get("/segments/{segment_id}")
async def edit_segment(
    segment_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    found = await services.segments.show(segment_id)
    builder = Builder.of_rule(found["audience"])
    return await _edit(services, session, found, found["name"], builder, notice=notice)


@router.post("/segments/{segment_id}")
async def change_segment(
    segment_id: UUID, services: ServicesDep, session: SignedIn, form: OwnForm
) -> Response:
    return await _save(services, session, await services.segments.show(segment_id), form)


async def _save(
    services: Services, session: Session, segment: dict[str, Any] | None, form: dict[str, list[str]]
) -> Response:
    builder, name = Builder.of_form(form), form.get("name", [""])[0]
    if builder.pressed:
        return await _edit(services, session, segment, name, builder)
    try:
        rule = builder.rule()
        if rule is None:
            raise InvalidRequest("A segment needs a condition: everybody needs no segment.")
        name = _checked(name)
        if segment is None:
            saved = await services.segments.create(name, rule, by=DASHBOARD.by)
        else:
            saved = await services.segments.change(UUID(segment["id"]), name, rule, by=DASHBOARD.by)
    except AppError as refusal:
        return await _edit(services, session, segment, name, builder, refusal)
    log_action(session, "segment_save", segment_id=saved["id"])
    return RedirectResponse(f"{LIST}?notice=saved", 303)


def _checked(name: str) -> str:
    try:
        return _NAME.validate_python(name)
    except ValidationError as exc:
        raise InvalidRequest("Name: write one, of at most 100 letters, digits and signs.") from exc


async def _edit(
    services: Services,
    session: Session,
    segment: dict[str, Any] | None,
    name: str,
    builder: Builder,
    refusal: AppError | None = None,
    notice: str = "",
) -> Response:
    """segment: None for a new one. refusal: what is wrong with the form."""
    if refusal is not None and refusal.status >= 500:
        raise refusal
    return _page(
        services,
        session,
        "edit",
        refusal,
        segment=segment,
        name=name,
        builder=builder,
        choices=await Choices.load(services, but=segment["id"] if segment else None),
        reach=await reach(services, builder, quick=builder.pressed != "count"),
        notice=_NOTICES.get(notice),
    )


@router.get("/segments/{segment_id}/delete")
async def ask_to_delete(segment_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    try:
        found = await services.segments.show(segment_id)
    except SegmentNotFound:
        return RedirectResponse(f"{LIST}?notice=late", 303)
    return _page(services, session, "delete", segment=found)


@router.post("/segments/{segment_id}/delete")
async def delete_segment(
    segment_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    try:
        await services.segments.delete(segment_id, by=DASHBOARD.by)
    except SegmentNotFound:
        return RedirectResponse(f"{LIST}?notice=late", 303)
    except SegmentInUse as refusal:
        found = await services.segments.show(segment_id)
        return _page(services, session, "delete", refusal, segment=found)
    log_action(session, "segment_delete", segment_id=segment_id)
    return RedirectResponse(f"{LIST}?notice=deleted", 303)


def _page(
    services: Services,
    session: Session,
    template: str,
    refusal: AppError | None = None,
    **context: Any,
) -> Response:
    return page(
        f"audience/{template}.html",
        refusal.status if refusal else 200,
        org_name=services.settings.org_name,
        session=session,
        section="segments",
        problem=refusal.detail if refusal else None,
        **context,
    )
