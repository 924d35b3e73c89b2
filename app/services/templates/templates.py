"""Templates: made and changed only when a mailout could be sent with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from app.domain.content.render import Footer
from app.domain.reports.findings import Finding
from app.domain.templates.checking import Preview, preview_template
from app.errors import (
    InvalidRequest,
    PreconditionFailed,
    SubscriberNotFound,
    TemplateBroken,
    TemplateExists,
    TemplateInUse,
    TemplateInvalid,
    TemplateNotFound,
)
from app.services.rendering.limits import limits_for
from app.services.rendering.renderer import RENDERER, Renderer
from app.services.templates import tasks
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

COLUMNS = ("name", "subject", "body_html", "body_markdown", "layout_id")
NEW = "new"
"""The id of a template that is not stored yet."""


@dataclass(frozen=True)
class Saved:
    """template: as it is now, with its text. findings: what speaks against sending with it."""

    template: dict[str, Any]
    findings: list[Finding]


@dataclass(frozen=True)
class Templates:
    """renderer: does what an author wrote in a process of its own, under limits."""

    store: Store
    settings: Settings
    renderer: Renderer = RENDERER

    async def create(self, template: Mapping[str, Any], *, by: str) -> Saved:
        """template: its columns. by: here and below, who asks, for the audit log.

        Raises TemplateBroken, TemplateExists and InvalidRequest; then nothing is stored.
        """
        row = _row(NEW, template)
        findings = await self._checked(row)
        made = await self.store.create_template(_columns(row), by=by)
        _refuse(made, row)
        log.info("template_created", template_id=made["template"]["id"])
        return Saved(made["template"], findings)

    async def change(
        self, template_id: UUID, changes: Mapping[str, Any], version: int | None, *, by: str
    ) -> Saved:
        """Save a new version. changes: columns; a body of one kind replaces that of the other.
        version: the one that the caller saw; None: whichever it is.

        Raises TemplateNotFound, PreconditionFailed, TemplateBroken, TemplateExists, TemplateInUse
        (for a partial's name) and InvalidRequest; then nothing is stored.
        """
        present = await self.show(template_id)
        if version is not None and version != present["version"]:
            raise _stale(present)
        changes = _whole(changes)
        row = _row(str(template_id), present | changes)
        findings = await self._checked(row)
        changed = await self.store.change_template(template_id, version, changes, by=by)
        _refuse(changed, row)
        return Saved(changed["template"], findings)

    async def restore(
        self, template_id: UUID, number: int, version: int | None, *, by: str
    ) -> Saved:
        """Save an earlier version again, as the newest one. Its name stays the present one, as
        others know the template by it. Raises what `change` does."""
        earlier = await self.show(template_id, number)
        changes = {column: earlier[column] for column in COLUMNS if column != "name"}
        return await self.change(template_id, changes, version, by=by)

    async def show(self, template_id: UUID, version: int | None = None) -> dict[str, Any]:
        """Raises TemplateNotFound."""
        found = await self.store.show_template(template_id, version)
        if found is None:
            which = "" if version is None else f" with a version {version}"
            raise TemplateNotFound(f"There is no template {template_id}{which}.")
        return found

    async def find(self, name: str) -> dict[str, Any]:
        """By its id or its name. Raises TemplateNotFound."""
        try:
            return await self.show(UUID(name))
        except ValueError:
            found = await self.store.find_template(name)
        if found is None:
            raise TemplateNotFound(f"There is no template “{name}”.")
        return found

    async def delete(self, template_id: UUID, version: int | None = None, *, by: str) -> None:
        """Raises TemplateNotFound, PreconditionFailed, TemplateInUse."""
        if version is not None and (found := await self.show(template_id))["version"] != version:
            raise _stale(found)
        gone = await self.store.delete_template(template_id, by=by)
        if gone["outcome"] == "not_found":
            raise TemplateNotFound(f"There is no template {template_id}.")
        if gone["outcome"] == "in_use":
            raise _in_use("It can't be deleted: it is used by", gone["users"])
        log.info("template_deleted", template_id=str(template_id))

    async def preview(
        self,
        template: Mapping[str, Any],
        changes: Mapping[str, Any] | None = None,
        *,
        email: str | None = None,
        sample: str | None = None,
    ) -> Preview:
        """As a mailout with a sample text would look in it. template: its columns, stored or not.
        changes: of them. sample: another text, Markdown. email: of the subscriber to show it for;
        None: a made-up one.

        Raises TemplateBroken and SubscriberNotFound.
        """
        person = None
        if email is not None:
            person = await self.store.find_subscriber(email=email)
            if person is None:
                raise SubscriberNotFound("There is no subscriber with this address.")
        row = _row(str(template.get("id") or NEW), {**template, **_whole(changes or {})})
        others = await self._others(row)
        shown = await self._rendered(
            preview_template, row, others, person, *([sample] if sample else [])
        )
        return Preview(**shown)

    async def check(self, template: Mapping[str, Any]) -> list[Finding]:
        """What speaks against sending with it, stored or not. Raises TemplateBroken."""
        return await self._checked(_row(str(template.get("id") or NEW), template))

    async def _checked(self, row: dict[str, Any]) -> list[Finding]:
        others = await self._others(row)
        if row["layout_id"] is not None and row["layout_id"] not in {
            row["id"],
            *(other["id"] for other in others),
        }:
            raise InvalidRequest("layout_id: there is no such template.")
        found = await self._rendered(tasks.check, row, others)
        return [Finding(**finding) for finding in found]

    async def _rendered(
        self,
        task: Callable[..., Any],
        row: dict[str, Any],
        others: Sequence[dict[str, Any]],
        *arguments: Any,
    ) -> Any:
        """What a function of a template, of what it uses and of the footer gives, as JSON.

        Raises TemplateBroken.
        """
        texts = [each["body_html"] or each["body_markdown"] for each in (row, *others)]
        # Twice: a partial may stand in it several times.
        limits = limits_for(
            2 * sum(map(len, texts)), 2 * sum(t.count("{%") + t.count("{{") for t in texts)
        )
        try:
            return await self.renderer.run(limits, task, row, others, self._footer(), *arguments)
        except TemplateInvalid as exc:
            raise _broken(exc) from exc

    async def _others(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        layout = row["layout_id"]
        sources = await self.store.template_sources(
            layout and UUID(layout), row["body_html"] or row["body_markdown"] or ""
        )
        return list(sources["templates"]) if sources else []

    def _footer(self) -> Footer:
        return Footer(
            org_name=self.settings.org_name or "",
            org_address=self.settings.org_address or "",
            html=self.settings.footer_html,
            text=self.settings.footer_text,
        )


def _row(template_id: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    """All columns. An empty body or subject is none. Raises InvalidRequest."""
    row = {column: columns.get(column) or None for column in COLUMNS}
    row["layout_id"] = row["layout_id"] and str(row["layout_id"])
    if (row["body_html"] is None) == (row["body_markdown"] is None):
        raise InvalidRequest("Give either body_html or body_markdown.")
    return row | {"id": template_id, "version": columns.get("version", 1)}


def _columns(row: dict[str, Any]) -> dict[str, Any]:
    return {column: row[column] for column in COLUMNS}


def _whole(changes: Mapping[str, Any]) -> dict[str, Any]:
    """A body of one kind replaces that of the other."""
    changes = {name: value or None for name, value in changes.items()}
    if changes.get("layout_id"):
        changes["layout_id"] = str(changes["layout_id"])
    for given, other in (("body_html", "body_markdown"), ("body_markdown", "body_html")):
        if changes.get(given):
            changes.setdefault(other, None)
    return changes


def _refuse(done: dict[str, Any], row: dict[str, Any]) -> None:
    """Raise what an outcome of saving means."""
    match done["outcome"]:
        case "name_taken":
            raise TemplateExists(
                f"A template is called “{row['name']}” already: choose another name."
            )
        case "named":
            raise _in_use("Its name can't change: it is named by", done["users"])
        case "not_found":
            raise TemplateNotFound("The template was deleted meanwhile.")
        case "stale":
            raise _stale(done["template"])
        case "layout_missing":
            raise InvalidRequest("layout_id: there is no such template.")
        case "layout_cycle":
            raise TemplateBroken("layout_id: it would be a layout of itself.", field="layout_id")
        case "layout_depth":
            raise TemplateBroken(
                "layout_id: layouts stand around each other at most five deep.", field="layout_id"
            )


def _stale(present: dict[str, Any]) -> PreconditionFailed:
    return PreconditionFailed(
        f"Somebody saved version {present['version']} since you read it. Nothing was changed: "
        "read it again.",
        etag=f'"{present["version"]}"',
    )


def _in_use(what: str, users: list[dict[str, Any]]) -> TemplateInUse:
    named = [
        f"the mailout “{user['subject']}” ({user['mailout_id']})"
        if "mailout_id" in user
        else f"the template “{user['name']}”"
        for user in users
    ]
    more = f" and {len(named) - 5} more" if len(named) > 5 else ""
    return TemplateInUse(f"{what} {', '.join(named[:5])}{more}.", users=users)


def _broken(invalid: TemplateInvalid) -> TemplateBroken:
    return TemplateBroken(invalid.detail, field=invalid.field, line=invalid.line)
