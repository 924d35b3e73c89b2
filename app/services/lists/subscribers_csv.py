"""Subscribers from CSV files.

Import: the columns `email` (required), `name` and `tags`; every other one becomes a field of its
name. `status` is ignored, so that an exported file brings nobody back. Empty cells change nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.domain.addresses import InvalidAddress, trimmed, typed_address
from app.domain.csv_cells import read_tags, restore
from app.services.lists.csv_file import CsvFile, CsvRefused, Record
from app.store import Store

COLUMNS = ("email", "name", "status", "tags")
FIELD_PREFIX = "fields."
MAX_CELL_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_REFUSED_ROWS = 1_000
"""Refused rows listed one by one; all are counted."""

CHUNK_ROWS = 1_000
CHUNK_CHARS = 1_000_000  # rows of a chunk may be long; what is in memory must not be
# Of an address already seen in a file: a million take about 90 MB, and at 96 bits two addresses
# with one digest are less likely than a fault of the machine.
_DIGEST_BYTES = 12

_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """line: where the row begins in the file. reason: in plain words, without the address."""

    line: int
    reason: str


@dataclass
class ImportReport:
    """rows = added + updated + unchanged + duplicates_in_file + refused; blank rows aside.

    refused_rows: the first `MAX_REFUSED_ROWS` of them.
    """

    rows: int = 0
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    duplicates_in_file: int = 0
    refused: int = 0
    refused_rows: list[RefusedRow] = field(default_factory=list)

    def refuse(self, line: int, reason: str) -> None:
        self.refused += 1
        if len(self.refused_rows) < MAX_REFUSED_ROWS:
            self.refused_rows.append(RefusedRow(line, reason))

    def summary(self) -> str:
        """All counts in one line."""
        return (
            f"{self.rows} rows: {self.added} added, {self.updated} updated, "
            f"{self.unchanged} unchanged, {self.duplicates_in_file} repeated in the file, "
            f"{self.refused} refused"
        )


async def import_csv(
    store: Store, path: Path, *, on_progress: Callable[[int], None] | None = None
) -> ImportReport:
    """Add and update the subscribers of a file; nobody's status changes.

    on_progress: told how many rows are done. What is wrong with a row refuses that row; of an
    address that stands there twice the first row counts. A second import of a file changes
    nothing, so one that was interrupted is repeated.
    Raises CsvRefused, before anything is changed, for a file that can't be read as a whole.
    """
    report = ImportReport()
    with CsvFile(path, key="email") as file:
        columns = _Columns(file.header)
        await asyncio.to_thread(file.check)
        chunks = _chunks(file, columns, report)
        while chunk := await asyncio.to_thread(next, chunks, None):
            counts = await store.import_subscribers(chunk)
            report.added += counts["added"]
            report.updated += counts["updated"]
            report.unchanged += counts["unchanged"]
            if on_progress is not None:
                on_progress(report.rows)
    return report


class _RowRefused(Exception):
    pass


class _Columns:
    """Which column is what. Raises CsvRefused when two are the same."""

    def __init__(self, header: list[str]) -> None:
        self._known: dict[str, int] = {}
        self._fields: dict[str, int] = {}
        self._count = len(header)
        self._unnamed = [index for index, name in enumerate(header) if not name]
        names = [restore(name) for name in header]
        for index, name in enumerate(names):
            if name.lower() in COLUMNS:
                self._add(self._known, name.lower(), index)
            elif name.lower().startswith(FIELD_PREFIX):
                self._add(self._fields, name[len(FIELD_PREFIX) :], index)
            elif name:
                self._add(self._fields, name, index)

    @staticmethod
    def _add(columns: dict[str, int], name: str, index: int) -> None:
        if name in columns:
            raise CsvRefused(
                f"The column {name[:40]!r} is there twice (columns {columns[name] + 1} and "
                f"{index + 1}): rename or remove one."
            )
        columns[name] = index

    def subscriber(self, record: Record) -> dict[str, Any]:
        """A row as `Store.import_subscribers` takes it. Raises _RowRefused."""
        if record.problem is not None:
            raise _RowRefused(record.problem)
        cells = self._checked(record.cells)
        known = {name: cells[index] for name, index in self._known.items()}
        try:
            email = typed_address(known["email"])
        except InvalidAddress as exc:
            raise _RowRefused(
                f"the address can't be used: {exc}" if trimmed(known["email"]) else "no address"
            ) from exc
        return {
            "email": email,
            "name": _name(known.get("name", "")),
            "tags": read_tags(known.get("tags", "")),
            "fields": {name: cells[index] for name, index in self._fields.items() if cells[index]},
        }

    def _checked(self, cells: list[str]) -> list[str]:
        """As many texts as the header has names."""
        if any("\0" in cell for cell in cells):
            raise _RowRefused("a cell holds a NUL character")
        if any(len(cell) > MAX_CELL_CHARS for cell in cells):
            raise _RowRefused(f"a cell is longer than {MAX_CELL_CHARS:,} characters")
        if any(cell.strip() for cell in cells[self._count :]):
            raise _RowRefused("there are more cells than columns in the first line")
        missing = self._count - len(cells)  # spreadsheets leave out empty cells at the end
        texts = [restore(cell) for cell in cells[: self._count]] + [""] * missing
        if any(texts[index].strip() for index in self._unnamed):
            raise _RowRefused("a cell is in a column without a name")
        return texts


def _name(cell: str) -> str | None:
    name = cell.strip()
    if len(name) > MAX_NAME_CHARS:
        raise _RowRefused(f"the name is longer than {MAX_NAME_CHARS} characters")
    if any(unicodedata.category(char) in _CONTROL_CATEGORIES for char in name):
        raise _RowRefused("the name holds a line break or another control character")
    return name or None


def _chunks(
    file: CsvFile, columns: _Columns, report: ImportReport
) -> Iterator[list[dict[str, Any]]]:
    """The rows to import, each address once; the report counts what is left out."""
    seen: set[bytes] = set()
    chunk: list[dict[str, Any]] = []
    chars = 0
    for record in file.records():
        report.rows += 1
        try:
            subscriber = columns.subscriber(record)
        except _RowRefused as exc:
            report.refuse(record.line, str(exc))
            continue
        # ASCII by now, so this is the canonical form, of which the database has one.
        address = subscriber["email"].lower().encode("ascii")
        digest = hashlib.blake2b(address, digest_size=_DIGEST_BYTES).digest()
        if digest in seen:
            report.duplicates_in_file += 1
            continue
        seen.add(digest)
        chunk.append(subscriber)
        chars += sum(map(len, record.cells))
        if len(chunk) == CHUNK_ROWS or chars >= CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk
