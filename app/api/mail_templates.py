"""Templates: what mailouts are written into."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse
from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from app.api.answers.mailouts import TemplatePreview
from app.api.answers.shared import ListOf
from app.api.answers.templates import Starter, Template, TemplateRow, TemplateVersion
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import answers, answers_or_text
from app.api.http.paging import Page, decode_cursor, page
from app.api.http.problems import problems
from app.api.http.responses import JsonAnswer
from app.domain.given.bodies import Id, StrictBody
from app.domain.templates.names import check_name
from app.errors import (
    InvalidRequest,
    PreconditionFailed,
    PreconditionRequired,
    ScopeMissing,
    SubscriberNotFound,
    TemplateBroken,
    TemplateExists,
    TemplateInUse,
    TemplateNotFound,
    Unauthorized,
)
from app.services.templates.starters import starters
from app.services.templates.templates import Saved

router = APIRouter(tags=["templates"], route_class=Protected)
_reading = [needs("read", "manage")]
_changing = [needs("manage")]

MAX_BODY_CHARS = 1_000_000
MAX_SUBJECT_CHARS = 1_000

_Name = Annotated[str, AfterValidator(check_name)]
_Subject = Annotated[Text, Field(max_length=MAX_SUBJECT_CHARS)]
_Body = Annotated[Text, Field(max_length=MAX_BODY_CHARS)]


class TemplateBody(StrictBody):
    """subject: proposed to new mailouts. layout_id: the template whose content block this one
    fills. One of the two bodies; a mailout's own text stands where it has `{{ content }}`."""

    name: _Name
    subject: _Subject | None = None
    body_html: _Body | None = None
    body_markdown: _Body | None = None
    layout_id: Id | None = None


class TemplateChange(StrictBody):
    """What changes; a body of one kind replaces that of the other."""

    name: _Name | None = None
    subject: _Subject | None = None
    body_html: _Body | None = None
    body_markdown: _Body | None = None
    layout_id: Id | None = None

    @model_validator(mode="after")
    def _has_changes(self) -> Self:
        if "name" in self.model_fields_set and self.name is None:
            raise ValueError("name: a template needs one")
        return self


class TemplatePreviewBody(TemplateChange):
    """email: of the subscriber to show it for. version: an earlier one. The rest: as it would look
    with these changes, which aren't saved."""

    email: Annotated[Text, Field(max_length=320)] | None = None
    version: Annotated[int, Field(ge=1, lt=2**31)] | None = None


_TAG = re.compile(r'(?:W/)?"(\d{1,9})"')
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", description="The `ETag` of the template as you read it, or `*`."),
]


def _version(if_match: str | None) -> int | None:
    """The version that a header names, the newest of several; None: any; -1: none of ours. Raises
    PreconditionRequired."""
    if if_match is None or not if_match.strip():
        raise PreconditionRequired(
            "Send If-Match with the ETag of the template as you read it, so that nobody's change "
            "is lost; `*` overwrites whatever is there."
        )
    if if_match.strip() == "*":
        return None
    tags = [_TAG.fullmatch(tag.strip()) for tag in if_match.split(",")]
    return max((int(tag[1]) for tag in tags if tag), default=-1)


def _tagged(template: dict[str, Any], response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{template["version"]}"'
    return template


def _saved(saved: Saved, response: Response) -> dict[str, Any]:
    findings = [finding.to_row() for finding in saved.findings]
    return _tagged(saved.template, response) | {"findings": findings}


_errors = problems(Unauthorized, ScopeMissing, InvalidRequest)
_saving = _errors | problems(TemplateBroken, TemplateExists)


@router.post(
    "/templates",
    status_code=201,
    dependencies=_changing,
    responses=_saving
    | answers(
        Template,
        201,
        headers=(
            "ETag",
            "Location",
        ),
    ),
)
async def create_template(
    body: TemplateBody, services: ServicesDep, caller: CallerDep, response: Response
) -> dict[str, Any]:
    """Store a template. findings: what would keep a mailout from being sent with it, such as a
    variable that nobody knows."""
    saved = await services.templates.create(body.model_dump(), by=caller.by)
    response.headers["Location"] = f"/templates/{saved.template['id']}"
    return _saved(saved, response)


_AFTER = TypeAdapter(tuple[Text])


@router.get("/templates", dependencies=_reading, responses=_errors | answers(ListOf[TemplateRow]))
async def list_templates(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=1000)] = None,
) -> Page:
    """By name, without their text."""
    after = decode_cursor(cursor, _AFTER)
    rows = await services.store.list_templates(limit + 1, after=after[0] if after else None)
    return page(rows, limit, "name")


@router.get(
    "/templates/starters", dependencies=_reading, responses=_errors | answers(ListOf[Starter])
)
async def list_starters() -> Page:
    """Templates to begin with: store one, as it is or changed, by `POST /templates`."""
    return Page(items=[starter.to_row() for starter in starters()], next_cursor=None)


_found = _errors | problems(TemplateNotFound)


@router.get(
    "/templates/{template_id}",
    dependencies=_reading,
    responses=_found | answers(Template, headers=("ETag",)),
)
async def show_template(
    template_id: UUID, services: ServicesDep, response: Response
) -> dict[str, Any]:
    """The newest version, with its text. `ETag`: what to send as `If-Match` with a change."""
    return _tagged(await services.templates.show(template_id), response)


@router.patch(
    "/templates/{template_id}",
    dependencies=_changing,
    responses=_saving
    | problems(TemplateNotFound, TemplateInUse, PreconditionFailed, PreconditionRequired)
    | answers(Template, headers=("ETag",)),
)
async def change_template(
    template_id: UUID,
    body: TemplateChange,
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Save a new version. Drafts with this template take it; what has started does not change."""
    version = _version(if_match)
    changes = body.model_dump(exclude_unset=True)
    saved = await services.templates.change(template_id, changes, version, by=caller.by)
    return _saved(saved, response)


@router.delete(
    "/templates/{template_id}",
    status_code=204,
    dependencies=_changing,
    responses=_found | problems(TemplateInUse, PreconditionFailed, PreconditionRequired),
)
async def delete_template(
    template_id: UUID, services: ServicesDep, caller: CallerDep, if_match: IfMatch = None
) -> Response:
    """Take it out of use. A template that a mailout not started yet or another template needs
    stays: `users` names them. What was sent with it keeps its version."""
    version = None if if_match is None else _version(if_match)
    await services.templates.delete(template_id, version, by=caller.by)
    return Response(status_code=204)


_BEFORE = TypeAdapter(tuple[Annotated[int, Field(ge=1, lt=2**31)]])


@router.get(
    "/templates/{template_id}/versions",
    dependencies=_reading,
    responses=_found | answers(ListOf[TemplateVersion]),
)
async def list_versions(
    template_id: UUID,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first, without their text."""
    before = decode_cursor(cursor, _BEFORE)
    rows = await services.store.list_template_versions(
        template_id, limit + 1, before=before[0] if before else None
    )
    if rows is None:
        raise TemplateNotFound(f"There is no template {template_id}.")
    return page(rows, limit, "version")


_Number = Annotated[int, Field(ge=1, lt=2**31)]


@router.get(
    "/templates/{template_id}/versions/{version}",
    dependencies=_reading,
    responses=_found | answers(Template),
)
async def show_version(
    template_id: UUID, version: _Number, services: ServicesDep
) -> dict[str, Any]:
    """One version, with its text."""
    return await services.templates.show(template_id, version)


@router.post(
    "/templates/{template_id}/versions/{version}/restore",
    dependencies=_changing,
    responses=_saving
    | problems(TemplateNotFound, PreconditionFailed, PreconditionRequired)
    | answers(Template, headers=("ETag",)),
)
async def restore_version(
    template_id: UUID,
    version: _Number,
    services: ServicesDep,
    caller: CallerDep,
    response: Response,
    if_match: IfMatch = None,
) -> dict[str, Any]:
    """Save an earlier version again, as the newest one."""
    present = None if if_match is None else _version(if_match)
    saved = await services.templates.restore(template_id, version, present, by=caller.by)
    return _saved(saved, response)


@router.post(
    "/templates/{template_id}/preview",
    dependencies=_reading,
    response_model=None,
    responses=_found
    | problems(TemplateBroken, SubscriberNotFound)
    | answers_or_text(TemplatePreview),
)
async def preview_template(
    template_id: UUID,
    services: ServicesDep,
    request: Request,
    body: TemplatePreviewBody | None = None,
) -> Response:
    """As a mailout with a sample text looks in it: JSON, or what `Accept` asks for of `text/html`
    and `text/plain`."""
    asked = body or TemplatePreviewBody()
    template = await services.templates.show(template_id, asked.version)
    changes = asked.model_dump(exclude_unset=True, exclude={"email", "version"})
    shown = await services.templates.preview(template, changes, email=asked.email)
    accept = request.headers.get("accept", "")
    if "text/html" in accept:
        return HTMLResponse(shown.html, headers=SANDBOXED)
    if "text/plain" in accept:
        return PlainTextResponse(shown.text)
    return JsonAnswer(
        {
            "subject": shown.subject,
            "html": shown.html,
            "text": shown.text,
            "size": len(shown.html.encode()),
            "problems": shown.problems,
        }
    )


SANDBOXED = {
    "Content-Security-Policy": "sandbox; default-src 'none'; img-src https: http: data:; "
    "style-src 'unsafe-inline'; font-src https:"
}
"""For HTML that an author wrote: it runs nothing, and has no origin."""
