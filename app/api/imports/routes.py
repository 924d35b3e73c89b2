"""Importing subscribers from a file, and what became of earlier imports."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.api.answers.people import Import
from app.api.answers.shared import ListOf
from app.api.http.deps import CallerDep, Protected, ServicesDep, Text, needs
from app.api.http.description import CSV, answers
from app.api.http.paging import Page, created_before, page
from app.api.http.problems import problems
from app.api.imports.form import FileForm
from app.errors import (
    BodyTooSlow,
    ImportNotFound,
    InvalidRequest,
    PayloadTooLarge,
    TransitionNotAllowed,
    Unauthorized,
    UnsupportedMedia,
)
from app.services.imports.imports import Mode, Options, checked_tags
from app.services.lists.list_file import read_mapping

router = APIRouter(tags=["imports"], route_class=Protected)

Mapped = Annotated[
    list[Text] | None, Query(alias="map", max_length=200, description="COLUMN:FIELD, repeatable")
]
Tags = Annotated[list[Text] | None, Query(alias="tag", description="for everybody; repeatable")]

_FILE = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
        },
    }
}


@router.post(
    "/subscribers/import",
    status_code=202,
    dependencies=[needs("manage")],
    openapi_extra=_FILE,
    responses=problems(Unauthorized, InvalidRequest, PayloadTooLarge, BodyTooSlow, UnsupportedMedia)
    | answers(Import, 202, headers=("Location",)),
)
async def import_subscribers(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: CallerDep,
    mode: Mode = "upsert",
    dry_run: bool = False,
    tag: Tags = None,
    mapped: Mapped = None,
) -> dict[str, Any]:
    """Import a CSV file: a job does it, whose report is `GET /imports/{id}`.

    What each column means is recognised for the exports of many tools; `map` overrules it. Nobody's
    status is raised, and blank cells change nothing. mode: `upsert` adds what the file says about
    people who are known; `insert` leaves them alone but for a stricter status; `skip` leaves them
    alone. dry_run: count, show 15 rows as they would be stored, and change nothing.
    """
    options = Options(mode, dry_run, checked_tags(tag or []), mapping(mapped or []))
    file_name, parts = await _file(request)
    started = await services.imports.upload(parts, options, by=caller.by, file_name=file_name)
    response.headers["Location"] = f"/imports/{started['id']}"
    return started


def mapping(texts: list[str], separator: str = ":") -> dict[str, str]:
    """Raises ColumnsRefused."""
    return dict(read_mapping(text, separator) for text in texts)


async def _file(request: Request) -> tuple[str | None, AsyncIterator[bytes]]:
    """The file's name, if it has one, and its content."""
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        form = FileForm(content_type, request.stream())
        await form.read_fields()
        if form.file_name is None:
            raise InvalidRequest("file: the form has no such part.")
        return form.file_name or None, form.file()
    if kind in {"application/json", "application/x-www-form-urlencoded"}:
        raise UnsupportedMedia("Send the file as text/csv, or as the part `file` of a form.")
    return None, request.stream()


@router.get(
    "/imports",
    dependencies=[needs("read", "manage")],
    responses=problems(Unauthorized, InvalidRequest) | answers(ListOf[Import]),
)
async def list_imports(
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
) -> Page:
    """Newest first."""
    rows = await services.store.list_imports(limit + 1, before=created_before(cursor))
    return page(rows, limit, "created_at", "id")


@router.get(
    "/imports/{import_id}",
    dependencies=[needs("read", "manage")],
    responses=problems(Unauthorized, ImportNotFound) | answers(Import),
)
async def show_import(import_id: UUID, services: ServicesDep) -> dict[str, Any]:
    """One import. Each row of the file is counted once: `added`, `updated`, `unchanged`, `repeated`
    (its address came before), `lowered` (its status became stricter) or `refused`."""
    return await services.imports.show(import_id)


@router.get(
    "/imports/{import_id}/rejected.csv",
    dependencies=[needs("read", "manage")],
    response_class=StreamingResponse,
    responses=problems(Unauthorized, ImportNotFound) | CSV,
)
async def rejected(import_id: UUID, services: ServicesDep) -> Response:
    """The refused rows with the line each begins on and a plain reason; kept for 30 days."""
    await services.imports.show(import_id)
    return StreamingResponse(
        services.imports.rejected(import_id),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="rejected-{import_id}.csv"'},
    )


_steering = problems(Unauthorized, ImportNotFound, TransitionNotAllowed, InvalidRequest)


@router.post(
    "/imports/{import_id}/answer",
    status_code=202,
    dependencies=[needs("manage")],
    responses=_steering | answers(Import, 202),
)
async def answer(
    import_id: UUID,
    services: ServicesDep,
    caller: CallerDep,
    mapped: Mapped = None,
    mode: Mode | None = None,
    tag: Tags = None,
    dry_run: bool | None = None,
) -> dict[str, Any]:
    """Go on with the file of an import that raised a question, or do for good what was a dry run
    (`dry_run=false`). What isn't given stays as it was."""
    return await services.imports.answer(
        import_id,
        by=caller.by,
        mapping=mapping(mapped or []),
        mode=mode,
        tags=None if tag is None else checked_tags(tag),
        dry_run=dry_run,
    )


@router.post(
    "/imports/{import_id}/undo",
    status_code=202,
    dependencies=[needs("manage")],
    responses=_steering | answers(Import, 202),
)
async def undo(import_id: UUID, services: ServicesDep, caller: CallerDep) -> dict[str, Any]:
    """Take it back: a job does it. What happened to somebody since stays, and is counted in
    `undo.left`."""
    return await services.imports.undo(import_id, by=caller.by)
