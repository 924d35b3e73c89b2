"""Does an import: reads the file and has the database write its rows, some at a time.

What is written, the counts and how far it is are committed together. So a process that is killed,
or a database that goes away, costs nothing: whoever goes on begins with the first row that isn't
done.
"""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, BinaryIO, cast
from uuid import UUID

import structlog

from app.domain.addresses import InvalidAddress, canonical_address
from app.domain.lists.people import Refused, Row
from app.domain.lists.words import STRICTNESS
from app.errors import AppError, Unavailable
from app.services.imports.seen import SeenAddresses
from app.services.imports.stored_file import StoredFile
from app.services.jobs.runner import JobFailed, JobLost, Kind, Running
from app.services.lists.list_file import ListFile, People
from app.store import Store

log = structlog.get_logger(__name__)

CHUNK_ROWS = 4_000
"""A row costs the database 2 µs less than in chunks of 1,000."""
CHUNK_CHARS = 1_000_000
"""Rows may be long, and a chunk is in memory."""
AT_ONCE = 2
"""Chunks that are written at the same time, each by a connection, hence a core, of the database."""
UNDO_CHANGES = 500
AWAY_SECONDS = 0.5
"""How long a chunk waits that the database couldn't take."""
_EMAILS = 1_000
_BUFFER_BYTES = 64 * 1024


@dataclass
class Chunk:
    """Rows that follow each other in the file, sorted by what becomes of them, as
    `Store.import_chunk` takes them. count: how many in the file."""

    count: int = 0
    rows: list[Row] = field(default_factory=list)
    repeated: list[Row] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    _repeated_at: dict[str, int] = field(default_factory=dict)

    def add(self, made: Sequence[Row | Refused], is_new: Sequence[bool]) -> None:
        """is_new: whether its address didn't come before in the file."""
        self.count += len(made)
        for row, new in zip(made, is_new, strict=True):
            if isinstance(row, Refused):
                cells = [writable(cell) for cell in row.cells]
                self.refused.append({"line": row.line, "reason": row.reason, "cells": cells})
            elif new:
                self.rows.append(row)
            else:
                self.repeat(row)

    def repeat(self, row: Row) -> None:
        """A row whose address came before in the file; several of one address become one, which
        does the same as one after the other."""
        at = self._repeated_at.setdefault(row["email"].lower(), len(self.repeated))
        if at == len(self.repeated):
            self.repeated.append(row | {"times": 1})
        else:
            self.repeated[at] = _joined(self.repeated[at], row)


class RunImport:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def as_job(self, running: Running) -> dict[str, Any] | None:
        """Handles jobs of the kind `import`. Raises JobFailed, JobLost, Unavailable."""
        import_id = UUID(running.job.payload["import_id"])
        order = await self._store.import_order(import_id)
        if order is None:
            return None
        if not order["dry_run"]:
            await self._read_left_emails()
        try:
            return await self._run(import_id, order, running)
        except AppError as exc:
            if exc.status >= 500:
                raise
            await self._store.end_import(import_id, error=exc.detail)
            raise JobFailed(exc.detail) from exc

    async def _run(
        self, import_id: UUID, order: dict[str, Any], running: Running
    ) -> dict[str, Any] | None:
        """Raises CsvRefused, ColumnsRefused, JobFailed, JobLost, Unavailable."""
        raw = StoredFile(self._store, import_id, order["size"], asyncio.get_running_loop())
        file = cast("BinaryIO", io.BufferedReader(raw, _BUFFER_BYTES))
        listed = await asyncio.to_thread(ListFile, file, list(order["mapping"].items()))
        await self._store.note_import(
            import_id,
            {
                "preset": listed.preset,
                "encoding": listed.encoding,
                "delimiter": listed.delimiter,
                "header": [writable(title) for title in listed.header],
                "columns": [
                    {"title": writable(one.title), "meaning": one.meaning, "name": one.name}
                    for one in listed.columns.columns
                ],
                "warnings": listed.warnings,
            },
        )
        if listed.questions:
            questions = [asdict(question) for question in listed.questions]
            await self._store.end_import(import_id, question=questions)
            return {"question": True}
        done: int = order["rows"]
        under_way: deque[tuple[int, asyncio.Task[None]]] = deque()
        try:
            async for chunk in _ahead(chunks(listed.people(), skip=done)):
                # Who comes again in the file has to be there before.
                while len(under_way) > (0 if chunk.repeated else AT_ONCE - 1):
                    await under_way[0][1]
                    under_way.popleft()
                before = under_way[-1][0] if under_way else None
                progress = {"done": done + chunk.count, "total": listed.row_count}
                write = self._write(import_id, running, done, before, chunk, progress)
                under_way.append((done, asyncio.create_task(write)))
                done += chunk.count
            for _, task in under_way:
                await task
        finally:
            for _, task in under_way:
                task.cancel()
            await asyncio.gather(*(task for _, task in under_way), return_exceptions=True)
        await self._store.end_import(import_id)
        return {"rows": done}

    async def _write(
        self,
        import_id: UUID,
        running: Running,
        done: int,
        before: int | None,
        chunk: Chunk,
        progress: dict[str, Any],
    ) -> None:
        """Also over an outage, as long as the job is ours: a chunk that was written all the same
        isn't written twice. before: where the chunk before begins, while it is under way.

        Raises JobLost.
        """
        while True:
            try:
                written = await self._store.import_chunk(
                    import_id,
                    running.job,
                    done=done,
                    before=before,
                    rows=chunk.rows,
                    repeated=chunk.repeated,
                    refused=chunk.refused,
                    progress=progress,
                )
            except Unavailable:
                await asyncio.sleep(AWAY_SECONDS)
            else:
                if written is None:
                    raise JobLost
                return

    async def undo_as_job(self, running: Running) -> dict[str, Any] | None:
        """Handles jobs of the kind `undo_import`."""
        import_id = UUID(running.job.payload["import_id"])
        done: bool | None = False
        while done is False:
            done = await self._store.undo_import_slice(import_id, running.job, UNDO_CHANGES)
        found = await self._store.show_import(import_id)
        if done is None and (found is None or found["state"] != "undone"):
            raise JobLost
        assert found is not None
        return {name: found["undo"][name] for name in ("deleted", "restored", "left")}

    async def _read_left_emails(self) -> None:
        """Give an address to subscribers whose email the database can't read, but we can.

        They are from before it refused such emails. A file names them in ASCII, and without this
        they would be somebody else who is new, though they may have left. Raises Unavailable.
        """
        after: UUID | None = None
        while page := await self._store.unread_emails(after, _EMAILS):
            after = UUID(page[-1]["id"])
            for row in page:
                try:
                    address = canonical_address(row["email"])
                except InvalidAddress:
                    continue
                await self._store.settle_email(row["id"], row["email"], address)


def import_kinds(work: RunImport) -> list[Kind]:
    return [Kind("import", work.as_job), Kind("undo_import", work.undo_as_job)]


def chunks(read: Iterator[People], skip: int) -> Iterator[Chunk]:
    """The rows after the first `skip`, which are read all the same: what comes twice in a file is
    known by having been there."""
    seen = SeenAddresses()
    chunk = Chunk()
    size = number = 0
    for people in read:
        made = people.made
        emails = [row["email"].lower() for row in made if not isinstance(row, Refused)]
        is_new = seen.add_all(emails)
        if len(emails) < len(made):
            known = iter(is_new)
            is_new = [not isinstance(row, Refused) and next(known) for row in made]
        at = max(0, skip - number)
        number += len(made)
        if at >= len(made):
            continue
        while at < len(made):
            end = at + CHUNK_ROWS - chunk.count
            chunk.add(made[at:end], is_new[at:end])
            at = end
            if chunk.count == CHUNK_ROWS:
                yield chunk
                chunk, size = Chunk(), 0
        size += people.chars
        if size >= CHUNK_CHARS and chunk.count:
            yield chunk
            chunk, size = Chunk(), 0
    if chunk.count:
        yield chunk


def writable(text: str) -> str:
    """The text as PostgreSQL can keep it: no NUL, no half of a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()


def _joined(row: Row, later: Row) -> Row:
    stricter = max(row, later, key=lambda each: STRICTNESS[each["status"]])
    joined = row | later | {"status": stricter["status"], "times": row["times"] + 1}
    joined["bounce_type"] = stricter.get("bounce_type")
    joined["tags"] = list(dict.fromkeys([*row.get("tags", ()), *later.get("tags", ())]))
    joined["fields"] = row.get("fields", {}) | later.get("fields", {})
    return joined


async def _ahead(made: Iterator[Chunk]) -> AsyncIterator[Chunk]:
    """Make the next chunk in a thread while the present one is written."""
    coming = asyncio.create_task(asyncio.to_thread(next, made, None))
    try:
        while chunk := await coming:
            coming = asyncio.create_task(asyncio.to_thread(next, made, None))
            yield chunk
    finally:
        coming.cancel()
