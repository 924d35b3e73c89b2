"""Reads a CSV file of any origin and size: row by row, in little memory, believing nothing.

The grammar is RFC 4180's as Python's `csv` reads it strictly, with spaces allowed after a
delimiter; lines may end in CR LF, LF or CR.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from app.domain.addresses import trimmed
from app.errors import AppError

DELIMITERS = (",", ";", "\t")
MAX_ROW_CHARS = 100_000
MAX_COLUMNS = 200
MAX_COLUMN_NAME_CHARS = 200
_NAMED_IN_ERRORS = 10  # columns of a header that doesn't fit

# How files that are no text begin, and what they are.
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or another zip archive",
    b"PK\x05\x06": "an empty zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed with gzip",
    b"%PDF": "a PDF",
}
_SAVE_AS_CSV = "open it in the program it comes from and save it as CSV (UTF-8)"


class CsvRefused(AppError):
    """The file as a whole can't be read."""

    status, code, title = 422, "csv_refused", "The CSV file can't be read"


@dataclass(frozen=True, slots=True)
class Record:
    """A row and the line it begins on. problem: why its cells couldn't be told apart."""

    line: int
    cells: list[str]
    problem: str | None = None


class CsvFile:
    """A file with a header that names the column `key`, in upper or lower case.

    A context manager. header: the columns' names without surrounding spaces. The delimiter is
    the one of `DELIMITERS` that makes `key` a column. Raises CsvRefused.
    """

    def __init__(self, path: Path, *, key: str) -> None:
        self._key = key
        self._text = _open(path)
        try:
            self._delimiter, self.header = self._read_header()
            self._check_header()
        except BaseException:
            self._text.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._text.close()

    def check(self) -> None:
        """Read all of it. Raises CsvRefused for what spoils more than a row: bytes that are no
        text, a quote that never closes.
        """
        for _ in self.records():
            pass

    def records(self) -> Iterator[Record]:
        """The rows after the header, blank ones left out. Only one such iterator at a time."""
        records = self._records(self._delimiter)
        next(records)  # the header
        return records

    def _records(self, delimiter: str) -> Iterator[Record]:
        self._text.seek(0)
        lines = _Lines(self._text)
        rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
        while True:
            lines.begin_row()
            try:
                cells = next(rows)
            except StopIteration:
                return
            except _RowTooLong:
                problem = f"the row is longer than {MAX_ROW_CHARS:,} characters"
                yield Record(lines.first, [], problem)
            except csv.Error as exc:
                if lines.exhausted:
                    raise _unclosed_quote(lines.first) from exc
                yield Record(lines.first, [], "something follows the closing quote of a cell")
            else:
                if any(cell and not cell.isspace() for cell in cells):
                    yield Record(lines.first, cells)

    def _read_header(self) -> tuple[str, list[str]]:
        """The delimiter and what it makes of the first row: with the key if possible, else most
        columns.
        """
        readings: list[tuple[bool, int, str, list[str]]] = []
        refusal = CsvRefused("The first line must name the columns, but its quotes don't fit.")
        for delimiter in DELIMITERS:
            try:
                first = next(self._records(delimiter), None)
            except CsvRefused as exc:
                refusal = exc
                continue
            if first is None:
                raise CsvRefused(f"The file is empty: it needs a first line with {self._key}.")
            if first.problem is None:
                names = [trimmed(name) for name in first.cells]
                has_key = self._key in (name.lower() for name in names)
                readings.append((has_key, len(names), delimiter, names))
        if not readings:
            raise refusal
        _, _, delimiter, header = max(readings, key=lambda reading: reading[:2])
        return delimiter, header

    def _check_header(self) -> None:
        names = [name.lower() for name in self.header]
        if any("\0" in name for name in names):
            raise CsvRefused(f"The file is no text: {_SAVE_AS_CSV}.")
        if self._key not in names:
            if any("@" in name for name in names):  # not named: it may be somebody's address
                raise CsvRefused(
                    "The file has no header: put a line with the columns' names first, "
                    f"such as {self._key},name."
                )
            shown = ", ".join(repr(name[:40]) for name in self.header[:_NAMED_IN_ERRORS])
            more = ", …" if len(names) > _NAMED_IN_ERRORS else ""
            raise CsvRefused(f"There is no column {self._key}. The first line has: {shown}{more}.")
        if len(names) > MAX_COLUMNS:
            raise CsvRefused(f"There are {len(names)} columns; {MAX_COLUMNS} are the most.")
        if any(len(name) > MAX_COLUMN_NAME_CHARS for name in names):
            raise CsvRefused(f"A column's name has more than {MAX_COLUMN_NAME_CHARS} characters.")


class _RowTooLong(Exception):
    """All of the row's lines are behind us."""


class _Lines:
    """Feeds `csv.reader`; knows where a row begins, and bounds what it may take.

    number: of the line read last, from 1. first: of the present row's first line.
    exhausted: the file ended while a row wanted more.
    """

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._room = 0
        self.number = 0
        self.first = 0
        self.exhausted = False

    def begin_row(self) -> None:
        self.first = self.number + 1
        self._room = MAX_ROW_CHARS

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._read(self._room + 1)
        if not line:
            self.exhausted = True
            raise StopIteration
        if len(line) > self._room:
            self._skip_row(line)
            raise _RowTooLong
        self._room -= len(line)
        self.number += 1
        return line

    def _skip_row(self, piece: str) -> None:
        """Pass the row that `piece` belongs to: up to a line's end where no quote is open."""
        continued = self.number >= self.first  # only within quotes does a row go on on a new line
        quotes = piece.count('"') + continued
        while piece:
            if piece.endswith(("\n", "\r")):
                self.number += 1
                if quotes % 2 == 0:
                    return
            piece = self._read(MAX_ROW_CHARS)
            quotes += piece.count('"')
        if quotes % 2:
            raise _unclosed_quote(self.first)

    def _read(self, limit: int) -> str:
        try:
            line = self._text.readline(limit)
            if not line.isascii():
                line.encode()  # fails for what `surrogateescape` kept of undecodable bytes
        except UnicodeError as exc:
            raise CsvRefused(
                f"Line {self.number + 1} is not valid {_ENCODING_NAMES[self._text.encoding]}: "
                'save the file as "CSV UTF-8".'
            ) from exc
        return line


_ENCODING_NAMES = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16"}


def _open(path: Path) -> TextIO:
    """The file as text, lines as they are, undecodable bytes as lone surrogates."""
    try:
        if not path.is_file():  # a pipe can't be read twice
            raise CsvRefused(f"{path} is not a file.")
        file = path.open("rb")
    except OSError as exc:
        raise CsvRefused(f"{path} can't be read: {exc.strerror}.") from exc
    beginning = file.peek(4)[:4]
    for magic, what in _NOT_TEXT.items():
        if beginning.startswith(magic):
            file.close()
            raise CsvRefused(f"The file is {what}, not CSV: {_SAVE_AS_CSV}.")
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        return io.TextIOWrapper(file, "utf-16", newline="")
    return io.TextIOWrapper(file, "utf-8-sig", errors="surrogateescape", newline="")


def _unclosed_quote(line: int) -> CsvRefused:
    return CsvRefused(f"A quote that begins on line {line} is never closed: close or remove it.")
