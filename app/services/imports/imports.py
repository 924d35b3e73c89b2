"""What people do with imports: upload a file, answer a question, look, take it back.

The rows are done by a job (`run_import.py`).
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID

from app.domain.csv_cells import protect
from app.errors import AppError, ImportNotFound, InvalidRequest, TransitionNotAllowed
from app.services.imports.stored_file import Upload
from app.services.starting.start_mailout import nobody_to_wake
from app.store import Store

Mode = Literal["upsert", "insert", "skip"]
MODES: tuple[Mode, ...] = ("upsert", "insert", "skip")
"""What happens to people who are known. upsert: what the file says is added, and nothing is taken
away. insert: they stay as they are, but a stricter status counts. skip: they stay as they are."""

MAX_TAGS, MAX_TAG_CHARS = 50, 100
REFUSALS = 200
"""Of a page; a row may have 100 KB."""
EMPTY = "The file is empty: send it as the request's body, or as the part `file` of a form."


@dataclass(frozen=True)
class Options:
    """tags: for everybody in the file. mapping: {column: meaning}, overrules what is recognised."""

    mode: Mode = "upsert"
    dry_run: bool = False
    tags: tuple[str, ...] = ()
    mapping: dict[str, str] = field(default_factory=dict)


def checked_tags(tags: list[str]) -> tuple[str, ...]:
    """Each once, trimmed. Raises InvalidRequest."""
    found = tuple(dict.fromkeys(tag.strip() for tag in tags if tag.strip()))
    if len(found) > MAX_TAGS:
        raise InvalidRequest(f"tag: {MAX_TAGS} are the most.")
    if any(len(tag) > MAX_TAG_CHARS or not tag.isprintable() for tag in found):
        raise InvalidRequest(
            f"tag: at most {MAX_TAG_CHARS} characters, without line breaks or control characters."
        )
    return found


class Imports:
    """wake: tells a runner of jobs in this process that there is one."""

    def __init__(self, store: Store, wake: Callable[[], None] = nobody_to_wake) -> None:
        self._store = store
        self._wake = wake

    async def upload(
        self,
        parts: AsyncIterator[bytes],
        options: Options,
        *,
        by: str,
        file_name: str | None = None,
    ) -> dict[str, Any]:
        """Store a file and have it imported; gives the import as `show` does.

        Raises InvalidRequest for an empty file, Unavailable; then nothing is imported.
        """
        import_id = await self._store.begin_import(
            by=by,
            mode=options.mode,
            dry_run=options.dry_run,
            tags=options.tags,
            mapping=options.mapping,
            file_name=file_name,
        )
        upload = Upload(self._store, import_id)
        started: dict[str, Any] | None = None
        try:
            async for part in parts:
                await upload.write(part)
            await upload.close()
            if upload.size:
                started = await self._store.start_import(import_id, by=by)
        except BaseException:
            with suppress(AppError):  # else it is dropped by a later upload
                await asyncio.shield(self._store.drop_upload(import_id))
            raise
        if not upload.size:
            await self._store.drop_upload(import_id)
            raise InvalidRequest(EMPTY)
        if started is None:
            raise InvalidRequest("The upload took longer than a day. Send the file again.")
        self._wake()
        return started

    async def answer(
        self,
        import_id: UUID,
        *,
        by: str,
        mapping: dict[str, str] | None = None,
        mode: Mode | None = None,
        tags: tuple[str, ...] | None = None,
        dry_run: bool | None = None,
    ) -> dict[str, Any]:
        """Go on with a file that raised a question, or do for good what was a dry run; None: as it
        was. Raises ImportNotFound, TransitionNotAllowed."""
        started = await self._store.start_import(
            import_id, by=by, mapping=mapping, mode=mode, tags=tags, dry_run=dry_run
        )
        if started is None:
            state = (await self.show(import_id))["state"]
            raise TransitionNotAllowed(
                f"The import is {state}: only one with a question, or a dry run whose file is "
                "still there (7 days), can be gone on with. Upload the file again.",
                import_state=state,
            )
        self._wake()
        return started

    async def undo(self, import_id: UUID, *, by: str) -> dict[str, Any]:
        """Have it taken back. Raises ImportNotFound, TransitionNotAllowed."""
        begun = await self._store.begin_undo_import(import_id, by)
        if begun is None:
            found = await self.show(import_id)
            what = "a dry run, which changed nothing" if found["dry_run"] else found["state"]
            raise TransitionNotAllowed(
                f"The import is {what}: only one that is done or failed can be taken back.",
                import_state=found["state"],
            )
        self._wake()
        return begun

    async def show(self, import_id: UUID) -> dict[str, Any]:
        """Raises ImportNotFound."""
        found = await self._store.show_import(import_id)
        if found is None:
            raise ImportNotFound(f"There is no import {import_id}.")
        return found

    async def rejected(self, import_id: UUID) -> AsyncIterator[str]:
        """The refused rows as CSV: the line each begins on, the reason, and its cells, which no
        spreadsheet takes for formulas."""
        after = -1
        first = True
        while True:
            header, rows = await self._store.list_import_refusals(import_id, after, REFUSALS)
            lines = [["line", "reason", *(header or [])]] if first else []
            lines += [[str(row["line"]), row["reason"], *(row["cells"] or [])] for row in rows]
            if lines:
                yield _csv(lines)
            if len(rows) < REFUSALS:
                return
            first, after = False, rows[-1]["line"]


def _csv(rows: list[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(map(protect, row) for row in rows)
    return out.getvalue()
