"""Imports of subscribers."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from app.domain.jobs import Job
from app.store.calls import Calls, require, text


class ImportCalls(Calls):
    async def begin_import(
        self,
        *,
        by: str,
        mode: str,
        dry_run: bool,
        tags: Sequence[str],
        mapping: dict[str, str],
        file_name: str | None,
    ) -> UUID:
        """The file comes next, by `store_import_chunk`; then `start_import`."""
        found = await self._call(
            "begin_import",
            p_by=by,
            p_mode=mode,
            p_dry_run=dry_run,
            p_tags=list(tags),
            p_mapping=mapping,
            p_file_name=file_name,
        )
        return UUID(found)

    async def store_import_chunk(self, import_id: UUID, n: int, data: bytes, size: int) -> bool:
        """data: compressed. size: bytes of the file so far. False: the upload was given up."""
        stored: bool = await self._call(
            "store_import_chunk",
            p_import=str(import_id),
            p_n=n,
            p_data=base64.b64encode(data).decode(),
            p_size=size,
        )
        return stored

    async def drop_upload(self, import_id: UUID) -> None:
        """It broke off. Nothing happens to an import that has begun."""
        await self._call("drop_upload", p_import=str(import_id))

    async def read_import_chunk(self, import_id: UUID, n: int) -> bytes | None:
        """As it was stored; None: there is no such piece."""
        found = await self._call("read_import_chunk", p_import=str(import_id), p_n=n)
        return None if found is None else base64.b64decode(found)

    async def start_import(
        self,
        import_id: UUID,
        *,
        by: str,
        mapping: dict[str, str] | None = None,
        mode: str | None = None,
        tags: Sequence[str] | None = None,
        dry_run: bool | None = None,
    ) -> dict[str, Any] | None:
        """None: its state doesn't allow that, or its file is gone."""
        row: dict[str, Any] | None = await self._call(
            "start_import",
            p_import=str(import_id),
            p_by=by,
            p_mapping=mapping,
            p_mode=mode,
            p_tags=None if tags is None else list(tags),
            p_dry_run=dry_run,
        )
        return row

    async def import_order(self, import_id: UUID) -> dict[str, Any] | None:
        """What its job has to do, and how many `rows` are done; None: nothing."""
        row: dict[str, Any] | None = await self._call("import_order", p_import=str(import_id))
        if row is not None:
            require(row, "size", "mapping", "rows")
        return row

    async def note_import(self, import_id: UUID, found: dict[str, Any]) -> None:
        await self._call("note_import", p_import=str(import_id), p_found=found)

    async def import_chunk(
        self,
        import_id: UUID,
        job: Job,
        *,
        done: int,
        before: int | None = None,
        rows: Sequence[dict[str, Any]],
        repeated: Sequence[dict[str, Any]],
        refused: Sequence[dict[str, Any]],
        progress: dict[str, Any],
    ) -> int | None:
        """Write the rows that follow the first `done`; give how many are done now. before: `done`
        of the chunk before, when that may be under way; its end is awaited. None: the job is no
        longer ours. Raises Unavailable when the chunk before wasn't written: then nothing was."""
        row = await self._call(
            "import_chunk",
            p_import=str(import_id),
            p_job=str(job.id),
            p_claim=job.claim,
            p_from=done,
            p_before=before,
            p_rows=list(rows),
            p_repeated=list(repeated),
            p_refused=list(refused),
            p_progress=progress,
        )
        return None if row is None else row["rows"]

    async def end_import(
        self,
        import_id: UUID,
        *,
        question: list[dict[str, Any]] | None = None,
        error: str | None = None,
    ) -> None:
        await self._call("end_import", p_import=str(import_id), p_question=question, p_error=error)

    async def show_import(self, import_id: UUID) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call("show_import", p_import=str(import_id))
        return row

    async def list_imports(
        self, limit: int, *, before: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Newest first; before: (created_at, id) of the last row of the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "list_imports",
            p_limit=limit,
            p_before=before[0] if before else None,
            p_before_id=before[1] if before else None,
        )
        return rows

    async def list_import_refusals(
        self, import_id: UUID, after: int, limit: int
    ) -> tuple[list[str] | None, list[dict[str, Any]]]:
        """The file's header, and the refused rows after the line `after`."""
        row = await self._call(
            "list_import_refusals", p_import=str(import_id), p_after=after, p_limit=limit
        )
        return row["header"], row["rows"]

    async def begin_undo_import(self, import_id: UUID, by: str) -> dict[str, Any] | None:
        """None: its state doesn't allow that."""
        row: dict[str, Any] | None = await self._call(
            "begin_undo_import", p_import=str(import_id), p_by=by
        )
        return row

    async def undo_import_slice(self, import_id: UUID, job: Job, limit: int) -> bool | None:
        """Whether it is done; None: the job is no longer ours."""
        row = await self._call(
            "undo_import_slice",
            p_import=str(import_id),
            p_job=str(job.id),
            p_claim=job.claim,
            p_limit=limit,
        )
        return None if row is None else row["done"]

    async def unread_emails(self, after: UUID | None, limit: int) -> list[dict[str, str]]:
        """`id` and `email` of subscribers whose email the database couldn't read, by id."""
        rows: list[dict[str, str]] = await self._call(
            "unread_emails", p_after=text(after or UUID(int=0)), p_limit=limit
        )
        return rows

    async def settle_email(self, subscriber_id: str, email: str, address: str) -> None:
        """The email is this address: it becomes that, or joins the subscriber who has it."""
        await self._call(
            "settle_email", p_subscriber=subscriber_id, p_email=email, p_address=address
        )
