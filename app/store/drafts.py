"""Writing mailouts before they are sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from app.domain.mailouts import Created, Edited, Transition
from app.errors import DatabaseError, InvalidRequest, MailoutNotFound, NotionPageTaken
from app.store.calls import Calls


class DraftCalls(Calls):
    """version: the one that was read; None: whatever it is now. by: as in mailouts.py. What is
    asked of a mailout that there isn't raises MailoutNotFound."""

    async def add_mailout(self, mailout: Mapping[str, Any], *, by: str | None = None) -> Created:
        """Store a draft; mailout: its columns. Raises NotionPageTaken, InvalidRequest for a
        template that there isn't."""
        with _known_parts():
            row = await self._call("add_mailout", p_mailout=dict(mailout), p_by=by)
        _require_free_page(row)
        return Created(UUID(row["id"]), row["version"])

    async def edit_mailout(
        self, mailout_id: UUID, version: int, change: Mapping[str, Any], *, by: str | None = None
    ) -> Edited:
        """change: columns; None clears one. Nothing is changed unless it is a draft or ready, of
        this version. Raises as above."""
        with _known_parts():
            row = await self._call(
                "edit_mailout",
                p_mailout=str(mailout_id),
                p_version=version,
                p_change=dict(change),
                p_by=by,
            )
        _require_there(mailout_id, row)
        _require_free_page(row)
        return Edited(row["changed"], row["status"], row["version"])

    async def release_mailout(
        self, mailout_id: UUID, version: int | None = None, *, by: str | None = None
    ) -> Transition:
        """draft → ready."""
        return await self._move("release_mailout", mailout_id, p_version=version, p_by=by)

    async def unready_mailout(
        self,
        mailout_id: UUID,
        version: int | None = None,
        *,
        reason: str | None = None,
        by: str | None = None,
    ) -> Transition:
        """ready → draft. reason: for people, if it isn't their wish."""
        return await self._move(
            "unready_mailout", mailout_id, p_version=version, p_reason=reason, p_by=by
        )

    async def duplicate_mailout(self, mailout_id: UUID, *, by: str | None = None) -> UUID:
        """Raises InvalidRequest when its template was deleted."""
        with _known_parts():
            row = await self._call("duplicate_mailout", p_mailout=str(mailout_id), p_by=by)
        _require_there(mailout_id, row)
        return UUID(row)

    async def delete_mailout(
        self, mailout_id: UUID, version: int | None = None, *, by: str | None = None
    ) -> Edited:
        row = await self._call(
            "delete_mailout", p_mailout=str(mailout_id), p_version=version, p_by=by
        )
        _require_there(mailout_id, row)
        return Edited(row["changed"], row["status"], row["version"])

    async def _move(self, function: str, mailout_id: UUID, **arguments: Any) -> Transition:
        row = await self._call(function, p_mailout=str(mailout_id), **arguments)
        _require_there(mailout_id, row)
        return Transition(row["changed"], row["status"], row["status_reason"])


@contextmanager
def _known_parts() -> Iterator[None]:
    try:
        yield
    except DatabaseError as exc:
        if exc.sqlstate == "P0002":  # resolve.sql
            raise InvalidRequest(
                "audience: it names a segment that there isn't (any more). Choose another."
            ) from exc
        if exc.sqlstate == "23503":  # a foreign key's; the template is the only one
            raise InvalidRequest(
                "template_id: there is no such template (any more). Choose another, or null."
            ) from exc
        raise


def _require_there(mailout_id: UUID, row: object) -> None:
    if row is None:
        raise MailoutNotFound(f"There is no mailout {mailout_id}.")


def _require_free_page(row: Mapping[str, Any]) -> None:
    if taken := row.get("taken"):
        raise NotionPageTaken(
            f"notion_page_id: mailout {taken} has this page already. Change that one, or take its "
            "page away first.",
            mailout_id=taken,
        )
