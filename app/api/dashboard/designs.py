"""`/dashboard/templates`: what mailouts are written into, for people.

A template is shown in a frame that has no origin and runs nothing: the mail is somebody's HTML.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field

from app.api.dashboard.access import HOME, OwnForm, Page, SignedIn, own_form
from app.api.dashboard.pages import page
from app.api.dashboard.session import Session, log_action
from app.api.http.deps import Services, ServicesDep
from app.api.mail_templates import MAX_BODY_CHARS, MAX_SUBJECT_CHARS, SANDBOXED
from app.domain.access import DASHBOARD
from app.domain.templates.lights import Light, in_light
from app.domain.templates.names import MAX_NAME_CHARS, check_name
from app.errors import (
    AppError,
    InvalidRequest,
    NotFound,
    PreconditionFailed,
    TemplateBroken,
    TemplateExists,
    TemplateInUse,
)
from app.services.templates.starters import Starter, find_starter, starters

router = APIRouter(prefix=f"{HOME}/templates", route_class=Page, include_in_schema=False)

MAX_FORM_BYTES = 8_000_000
"""As sent, in which a character takes up to twelve bytes (http/body_limit.py lets it through)."""
PICTURES = 12
"""Templates on the list that are shown small; of further ones the names."""
MAX_LISTED = 500
_Version = Annotated[int, Field(ge=1, lt=2**31)]

_FRAME = SANDBOXED | {
    "Content-Security-Policy": SANDBOXED["Content-Security-Policy"] + "; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_NOTICES = {
    "made": "Made. Change the words to yours.",
    "saved": "Saved.",
    "same": "Nothing had changed, so there is no new version.",
    "restored": "The earlier version is the newest one again.",
    "deleted": "Deleted. Mailouts that were sent with it keep it.",
}
_BLANK = "# {{ mailout.subject }}\n\n{{ content }}\n"
_FIELDS = ("name", "subject", "format", "body", "layout_id")

Form = dict[str, list[str]]


async def _large_form(request: Request, services: ServicesDep, session: SignedIn) -> Form:
    return await own_form(request, services, session, MAX_FORM_BYTES)


LargeForm = Annotated[Form, Depends(_large_form)]


@router.get("")
async def show_templates(services: ServicesDep, session: SignedIn, notice: str = "") -> Response:
    rows = await services.store.list_templates(MAX_LISTED)
    names = {row["id"]: row["name"] for row in rows}
    return _page(
        services,
        session,
        "list.html",
        templates=rows,
        names=names,
        pictures=PICTURES,
        notice=_NOTICES.get(notice),
    )


@router.get("/new")
async def choose(services: ServicesDep, session: SignedIn) -> Response:
    return _page(services, session, "new.html", starters=starters())


@router.post("/new")
async def make(services: ServicesDep, session: SignedIn, form: OwnForm) -> Response:
    """Store what was chosen under a name that is free, to be changed then."""
    starter = find_starter(_one(form, "from"))
    columns = {"body_markdown": _BLANK} if starter is None else _columns_of(starter)
    name = starter.name if starter else "My template"
    for number in range(1, MAX_LISTED):
        try:
            made = await services.templates.create(
                {**columns, "name": name if number == 1 else f"{name} {number}"}, by=DASHBOARD.by
            )
        except TemplateExists:
            continue
        log_action(session, "template_create")
        return RedirectResponse(f"{HOME}/templates/{made.template['id']}?notice=made", 303)
    raise InvalidRequest("There are too many templates of this name: rename some.")


def _columns_of(starter: Starter) -> dict[str, Any]:
    return {"subject": starter.subject, "body_html": starter.body_html}


@router.get("/starters/{key}/preview")
async def show_starter(key: str, services: ServicesDep, session: SignedIn) -> Response:
    starter = find_starter(key)
    if starter is None:
        raise NotFound
    template = {"name": starter.name, **_columns_of(starter)}
    shown = await services.templates.preview(template, sample=starter.sample)
    return HTMLResponse(
        in_light(shown.html, "light"), headers=_FRAME | {"Cache-Control": "private, max-age=600"}
    )


@router.get("/{template_id}")
async def edit(
    template_id: UUID, services: ServicesDep, session: SignedIn, notice: str = ""
) -> Response:
    template = await services.templates.show(template_id)
    return await _editor(
        services, session, template, _written(template), notice=_NOTICES.get(notice)
    )


@router.post("/{template_id}")
async def save(
    template_id: UUID, services: ServicesDep, session: SignedIn, form: LargeForm
) -> Response:
    written = {name: _one(form, name).replace("\r\n", "\n") for name in _FIELDS}
    seen = _one(form, "version")
    version = int(seen) if seen.isascii() and seen.isdigit() and len(seen) < 9 else 0
    try:
        saved = await services.templates.change(
            template_id, _columns(written), version, by=DASHBOARD.by
        )
    except (
        InvalidRequest,
        PreconditionFailed,
        TemplateBroken,
        TemplateExists,
        TemplateInUse,
    ) as refusal:
        template = await services.templates.show(template_id)
        return await _editor(services, session, template, written, refusal)
    log_action(session, "template_save")
    notice = "same" if saved.template["version"] == version else "saved"
    return RedirectResponse(f"{HOME}/templates/{template_id}?notice={notice}", 303)


@router.get("/{template_id}/preview")
async def frame(
    template_id: UUID,
    services: ServicesDep,
    session: SignedIn,
    version: _Version | None = None,
    light: Light = "light",
) -> Response:
    template = await services.templates.show(template_id, version)
    return await _frame(services, template, {}, light)


@router.post("/{template_id}/preview")
async def frame_unsaved(
    template_id: UUID, services: ServicesDep, session: SignedIn, form: LargeForm
) -> Response:
    """What stands in the form, in the frame beside it."""
    written = {name: _one(form, name).replace("\r\n", "\n") for name in _FIELDS}
    template = await services.templates.show(template_id)
    try:
        changes = _columns(written)
    except InvalidRequest as refusal:
        return _not_shown(refusal)
    light: Light = "dark" if _one(form, "light") == "dark" else "light"
    return await _frame(services, template, changes, light)


async def _frame(
    services: Services, template: dict[str, Any], changes: dict[str, Any], light: Light
) -> Response:
    try:
        shown = await services.templates.preview(template, changes)
    except (TemplateBroken, InvalidRequest) as refusal:
        return _not_shown(refusal)
    return HTMLResponse(in_light(shown.html, light), headers=_FRAME)


def _not_shown(refusal: AppError) -> Response:
    answer = page("designs/broken.html", problem=refusal.detail)
    answer.headers["Content-Security-Policy"] = _FRAME["Content-Security-Policy"]
    return answer


@router.get("/{template_id}/versions/{version}")
async def show_version(
    template_id: UUID, version: _Version, services: ServicesDep, session: SignedIn
) -> Response:
    present = await services.templates.show(template_id)
    return _page(
        services,
        session,
        "version.html",
        design=present,
        version=await services.templates.show(template_id, version),
    )


@router.post("/{template_id}/versions/{version}")
async def restore(
    template_id: UUID, version: _Version, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    await services.templates.restore(template_id, version, None, by=DASHBOARD.by)
    log_action(session, "template_restore")
    return RedirectResponse(f"{HOME}/templates/{template_id}?notice=restored", 303)


@router.get("/{template_id}/delete")
async def ask(template_id: UUID, services: ServicesDep, session: SignedIn) -> Response:
    template = await services.templates.show(template_id)
    return _page(services, session, "delete.html", design=template, refusal=None)


@router.post("/{template_id}/delete")
async def delete(
    template_id: UUID, services: ServicesDep, session: SignedIn, _form: OwnForm
) -> Response:
    template = await services.templates.show(template_id)
    try:
        await services.templates.delete(template_id, by=DASHBOARD.by)
    except TemplateInUse as refusal:
        return _page(
            services, session, "delete.html", refusal.status, design=template, refusal=refusal
        )
    log_action(session, "template_delete")
    return RedirectResponse(f"{HOME}/templates?notice=deleted", 303)


def _one(form: Form, name: str) -> str:
    return form.get(name, [""])[0]


def _written(template: dict[str, Any]) -> dict[str, str]:
    """As the form has it."""
    return {
        "name": template["name"],
        "subject": template["subject"] or "",
        "format": "markdown" if template["body_html"] is None else "html",
        "body": template["body_html"] or template["body_markdown"],
        "layout_id": template["layout_id"] or "",
    }


def _columns(written: dict[str, str]) -> dict[str, Any]:
    """Raises InvalidRequest."""
    if not written["body"].strip():
        raise InvalidRequest("body: write something; {{ content }} is where a mailout's text goes.")
    if len(written["body"]) > MAX_BODY_CHARS:
        raise InvalidRequest(f"body: use at most {MAX_BODY_CHARS:,} characters.")
    if len(written["subject"]) > MAX_SUBJECT_CHARS:
        raise InvalidRequest(f"subject: use at most {MAX_SUBJECT_CHARS:,} characters.")
    try:
        name = check_name(written["name"])
        layout = UUID(written["layout_id"]) if written["layout_id"] else None
    except ValueError as exc:
        raise InvalidRequest(f"The name doesn't fit: {exc}.") from exc
    body = "body_html" if written["format"] == "html" else "body_markdown"
    subject = written["subject"].strip() or None
    return {"name": name, "subject": subject, body: written["body"], "layout_id": layout}


async def _editor(
    services: Services,
    session: Session,
    template: dict[str, Any],
    written: dict[str, str],
    refusal: AppError | None = None,
    notice: str | None = None,
) -> Response:
    """refusal: why `written` isn't saved."""
    findings = []
    if refusal is None:
        try:
            findings = await services.templates.check(template)
        except TemplateBroken as broken:  # what it uses was changed
            refusal = broken
    others = await services.store.list_templates(MAX_LISTED)
    versions = await services.store.list_template_versions(UUID(template["id"]), 20)
    return _page(
        services,
        session,
        "edit.html",
        refusal.status if refusal else 200,
        design=template,
        written=written,
        refusal=refusal,
        conflict=isinstance(refusal, PreconditionFailed),
        findings=findings,
        layouts=[other for other in others if other["id"] != template["id"]],
        versions=versions or [],
        max_name=MAX_NAME_CHARS,
        max_subject=MAX_SUBJECT_CHARS,
        notice=notice,
    )


def _page(
    services: Services, session: Session, name: str, status: int = 200, **context: Any
) -> Response:
    return page(
        f"designs/{name}",
        status,
        org_name=services.settings.org_name,
        session=session,
        section="templates",
        **context,
    )
