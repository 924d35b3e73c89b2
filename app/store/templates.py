"""Templates and their versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from app.domain.mailouts import MailoutContent
from app.store.calls import Calls, text


class TemplateCalls(Calls):
    async def create_template(self, template: Mapping[str, Any], *, by: str) -> dict[str, Any]:
        """template: its columns. Gives `outcome`, and `template` where it was created. by: here
        and below, who asks, for the audit log."""
        row: dict[str, Any] = await self._call(
            "create_template", p_template=dict(template), p_by=by
        )
        return row

    async def change_template(
        self, template_id: UUID, version: int | None, changes: Mapping[str, Any], *, by: str
    ) -> dict[str, Any]:
        """version: the one that the caller saw; None: whichever it is. Gives `outcome` and, but for
        a refusal, `template`."""
        row: dict[str, Any] = await self._call(
            "change_template",
            p_template=str(template_id),
            p_version=version,
            p_changes=dict(changes),
            p_by=by,
        )
        return row

    async def show_template(
        self, template_id: UUID, version: int | None = None
    ) -> dict[str, Any] | None:
        """With its text, the newest version or this one; None: there is none."""
        row: dict[str, Any] | None = await self._call(
            "show_template", p_template=str(template_id), p_version=version
        )
        return row

    async def find_template(self, name: str) -> dict[str, Any] | None:
        """With its text; None: none has this name, in whatever case."""
        row: dict[str, Any] | None = await self._call("find_template", p_name=name)
        return row

    async def list_templates(self, limit: int, *, after: str | None = None) -> list[dict[str, Any]]:
        """By name; after: the name of the last one on the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "list_templates", p_limit=limit, p_after=after
        )
        return rows

    async def list_template_versions(
        self, template_id: UUID, limit: int, *, before: int | None = None
    ) -> list[dict[str, Any]] | None:
        """Newest first, without their text; None: there is no such template. before: the version
        of the last row on the page before."""
        rows: list[dict[str, Any]] | None = await self._call(
            "list_template_versions", p_template=str(template_id), p_limit=limit, p_before=before
        )
        return rows

    async def delete_template(self, template_id: UUID, *, by: str) -> dict[str, Any]:
        """Gives `outcome`: deleted, not_found, or in_use with `users`."""
        row: dict[str, Any] = await self._call(
            "delete_template", p_template=str(template_id), p_by=by
        )
        return row

    async def template_sources(self, template_id: UUID | None, body: str) -> dict[str, Any] | None:
        """What a body in this template would be made of besides itself (`MailoutContent.sources`);
        None: nothing."""
        row: dict[str, Any] | None = await self._call(
            "template_sources", p_template=text(template_id), p_text=body
        )
        return row

    async def content_of(self, mailout: Mapping[str, Any]) -> MailoutContent:
        """The content that a mailout with these columns would have, its template included."""
        return MailoutContent(**await self._call("content_of", p_mailout=dict(mailout)))
