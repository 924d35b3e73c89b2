"""Reads CSV of any origin and size, in little memory, believing nothing: row by row, or many at
once where each is a line.

The grammar is RFC 4180's as Python's `csv` reads it strictly, with blanks allowed around a quoted
cell; lines may end in CR LF, LF or CR.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import BinaryIO, Self, TextIO

from app.services.lists.encoding import CsvRefused, Encoding

MAX_ROW_CHARS = 100_000
BLOCK_CHARS = 1 << 16
"""Of the lines that are read at once, which together are no longer than a row may be."""

_ADDRESS = re.compile(r"\s*[^\s@<>\"]+@[^\s@<>\"]+\.[^\s@<>\"]+\s*")
_SEP = re.compile(r"\ufeff*\"?sep=([^\w\s\"]|\t)\"?[\r\n]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A row and the line it begins on. problem: why its cells couldn't be told apart; then `cells`
    is its text, if that is short."""

    line: int
    cells: list[str]
    problem: str | None = None


@dataclass(slots=True)
class Batch:
    """Records that follow each other, of one that has a problem, or of several that have none.
    lines: where each begins. chars: about as many as they have in the file."""

    lines: Sequence[int]
    rows: Sequence[list[str]]
    chars: int
    problem: str | None = None

    def parts(self, most: int) -> Iterator[Batch]:
        """The same with no more rows than that in each."""
        if len(self.rows) <= most:
            yield self
            return
        for at in range(0, len(self.rows), most):
            rows = self.rows[at : at + most]
            chars = self.chars * len(rows) // len(self.rows)
            yield Batch(self.lines[at : at + most], rows, chars, self.problem)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a row looks like: how many cells, and which one is the address."""

    width: int
    address: int


def separator_line(file: BinaryIO, encoding: Encoding) -> str | None:
    """The delimiter that Excel's first line `sep=;` names; None: there is no such line."""
    try:
        found = _SEP.fullmatch(encoding.open(file).readline(20))
    except UnicodeError:
        return None  # told with its line when rows are read
    return found[1] if found else None


def read_records(
    file: BinaryIO,
    encoding: Encoding,
    delimiter: str,
    *,
    skip_lines: int = 0,
    shape: Shape | None = None,
) -> Iterator[Record]:
    """The rows, the header too; blank ones left out.

    skip_lines: at the beginning. shape: of a row, to recognise those that a quote swallowed, which
    was opened by mistake: a line within quotes that is a whole row by itself, with its address.
    Raises CsvRefused: a quote that never closes or swallows rows; bytes that are no text.
    """
    lines = _Lines(_Text(encoding.open(file)), encoding.name)
    return _records(lines, delimiter, skip_lines, shape)


def read_batches(
    file: BinaryIO,
    encoding: Encoding,
    delimiter: str,
    *,
    skip_lines: int = 0,
    shape: Shape | None = None,
) -> Iterator[Batch]:
    """The records of `read_records` in batches, the header by itself, in half the time. Where a row
    isn't a line, or anything may be wrong, they are read one by one."""
    text = _Text(encoding.open(file))
    lines = _Lines(text, encoding.name)
    records = _records(lines, delimiter, skip_lines, shape)
    header = next(records, None)
    if header is None:
        return
    yield Batch([header.line], [header.cells], sum(map(len, header.cells)), header.problem)
    if "16" in encoding.codec:  # reading many lines would fail before the wrong one
        yield from _batches(records)
        return
    while block := text.read_lines():
        rows = _rows_of_lines(block, delimiter)
        if rows is None:
            text.put_back(block)
            yield from _batches(records, text)
            continue
        numbers: Sequence[int] = range(lines.number + 1, lines.number + 1 + len(rows))
        lines.number += len(rows)
        beginnings = [cells[0] if cells else "" for cells in rows]
        if not all(beginnings) or any(map(str.isspace, beginnings)):
            kept = list(map(_says, rows))
            numbers, rows = list(compress(numbers, kept)), list(compress(rows, kept))
        if rows:
            yield Batch(numbers, rows, len(block))


def _batches(records: Iterator[Record], text: _Text | None = None) -> Iterator[Batch]:
    """The records; text: until what was put back of it is read."""
    lines: list[int] = []
    rows: list[list[str]] = []
    chars = 0
    for record in records:
        if record.problem is None:
            lines.append(record.line)
            rows.append(record.cells)
            chars += sum(map(len, record.cells))
        is_over = text is not None and text.is_read_on
        if rows and (record.problem is not None or is_over or chars > BLOCK_CHARS):
            yield Batch(lines, rows, chars)
            lines, rows, chars = [], [], 0
        if record.problem is not None:
            size = sum(map(len, record.cells))
            yield Batch([record.line], [record.cells], size, record.problem)
        if is_over:
            return
    if rows:
        yield Batch(lines, rows, chars)


def _rows_of_lines(block: str, delimiter: str) -> list[list[str]] | None:
    """The cells of each line. None: some row isn't a line, or something is wrong."""
    if len(block) >= MAX_ROW_CHARS or block.count("\r") != block.count("\r\n"):
        return None
    lines = block.split("\n")
    if not lines[-1]:
        lines.pop()
    try:
        if not block.isascii():
            block.encode()  # fails for what `surrogateescape` kept of undecodable bytes
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True))
    except (csv.Error, UnicodeError):
        return None
    return rows if len(rows) == len(lines) else None


def _says(cells: list[str]) -> bool:
    """Whether a row isn't blank."""
    return bool(cells and cells[0] and not cells[0].isspace()) or any(
        cell and not cell.isspace() for cell in cells
    )


def _records(
    lines: _Lines, delimiter: str, skip_lines: int, shape: Shape | None
) -> Iterator[Record]:
    for _ in range(skip_lines):
        lines.begin_row()
        next(lines, None)
    if shape is not None:
        lines.is_row = _RowTest(delimiter, shape)
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        lines.begin_row()
        try:
            try:
                cells = next(rows)
            except csv.Error:
                cells = _without_blanks(lines, delimiter)
        except StopIteration:
            return
        except _RowTooLong:
            problem = f"the row is longer than {MAX_ROW_CHARS:,} characters"
            yield Record(lines.first, [], problem)
            continue
        except _QuoteAmiss:
            lines.check_swallowed(closed=False)
            text = "".join(lines.pieces).rstrip("\r\n")
            yield Record(lines.first, [text], "something follows the closing quote of a cell")
            continue
        if len(lines.pieces) > 1:
            lines.check_swallowed(closed=True, sound=shape is None or len(cells) == shape.width)
        if _says(cells):
            yield Record(lines.first, cells)


class _RowTooLong(Exception):
    """All of the row's lines are behind us."""


class _QuoteAmiss(Exception):
    """The row's cells can't be told apart. Its lines up to there are behind us."""


class _Text:
    """A text from which lines are read one by one or many at once. is_read_on: whether nothing is
    left of what was put back."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = io.StringIO()
        self.is_read_on = True

    def read_lines(self) -> str:
        """Whole lines, the last one perhaps cut off: then it is longer than a row may be."""
        block = self._text.read(BLOCK_CHARS)
        if block and not block.endswith("\n"):
            block += self._text.readline(MAX_ROW_CHARS - BLOCK_CHARS)
        return block

    def put_back(self, block: str) -> None:
        """All that was read last."""
        self._held, self.is_read_on = io.StringIO(block, newline=""), False
        self._left = len(block)

    def readline(self, limit: int) -> str:
        if self.is_read_on:
            return self._text.readline(limit)
        line = self._held.readline(limit)
        self._left -= len(line)
        if not self._left:
            self.is_read_on = True
            if len(line) < limit and not line.endswith("\n"):
                line += self._end_of(line, limit - len(line))
        return line

    def _end_of(self, line: str, limit: int) -> str:
        if not line.endswith("\r"):
            return self._text.readline(limit)
        following = self._text.read(1)
        if following not in {"", "\n"}:
            self.put_back(following)
            return ""
        return following


class _Lines:
    """Feeds `csv.reader`; knows where a row begins, and bounds what it may take.

    number: of the line read last, from 1. first: of the present row's first line. pieces: the
    present row's lines. exhausted: the file ended while a row wanted more. is_row: see _RowTest.
    """

    def __init__(self, text: _Text, encoding: str) -> None:
        self._text = text
        self._encoding = encoding
        self._room = 0
        self.number = 0
        self.first = 0
        self.pieces: list[str] = []
        self.exhausted = False
        self.is_row: _RowTest | None = None

    def begin_row(self) -> None:
        self.first = self.number + 1
        self._room = MAX_ROW_CHARS
        self.pieces = []

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
        self.pieces.append(line)
        return line

    def check_swallowed(self, *, closed: bool, sound: bool = False) -> None:
        """Raises CsvRefused when a line within the present row's quotes is a row by itself.

        closed: whether the quote on its last line closes a cell as it should. sound: whether the
        row has as many cells as it should.
        """
        if self.is_row is None:
            return
        last = len(self.pieces) - 1
        for at, piece in enumerate(self.pieces[1:], 1):
            if self.is_row(piece, closed=closed and at == last, sound=sound):
                raise swallowing_quote(self.first, self.first + at)

    def _skip_row(self, piece: str) -> None:
        """Pass the row that `piece` belongs to: up to a line's end where no quote is open."""
        self.check_swallowed(closed=False)
        continued = self.number >= self.first  # only within quotes does a row go on on a new line
        quotes = piece.count('"') + continued
        begins = continued
        while piece:
            ends = piece.endswith(("\n", "\r"))
            if ends:
                self.number += 1
                if self.is_row and begins and self.is_row(piece, closed=False, sound=False):
                    raise swallowing_quote(self.first, self.number)
                if quotes % 2 == 0:
                    return
            begins = ends
            piece = self._read(MAX_ROW_CHARS)
            quotes += piece.count('"')
        if quotes % 2:
            raise _unclosed_quote(self.first)

    def _read(self, limit: int) -> str:
        try:
            line = self._text.readline(limit)
            if not self.number and line.startswith("\ufeff"):  # some files have two of them
                line = line.lstrip("\ufeff")
            if not line.isascii():
                line.encode()  # fails for what `surrogateescape` kept of undecodable bytes
        except UnicodeError as exc:
            raise CsvRefused(
                f"Line {self.number + 1} is not valid {self._encoding}: "
                'save the file as "CSV UTF-8".'
            ) from exc
        return line


def _without_blanks(lines: _Lines, delimiter: str) -> list[str]:
    """The present row's cells when blanks after closing quotes are all that is wrong with it.

    Raises _QuoteAmiss when there is more, CsvRefused for a quote that never closes.
    """
    mark = re.escape(delimiter)
    after_quote = re.compile(
        rf'((?:^|{mark})[ \t]*"(?:[^"]|"")*+")[ \t\xa0]+(?={mark}|[\r\n]|$)'
        if delimiter != "\t"
        else r'((?:^|\t) *"(?:[^"]|"")*+")[ \xa0]+(?=\t|[\r\n]|$)'
    )
    seen = 0
    while len(lines.pieces) > seen and not lines.exhausted:
        seen = len(lines.pieces)
        text = after_quote.sub(r"\1", "".join(lines.pieces))
        try:
            return next(
                csv.reader(
                    chain([text], lines),
                    delimiter=delimiter,
                    strict=True,
                    skipinitialspace=True,
                )
            )
        except (csv.Error, StopIteration):
            continue
    if lines.exhausted:
        raise _unclosed_quote(lines.first)
    raise _QuoteAmiss


class _RowTest:
    """Whether a line is a row by itself, with an address where it belongs.

    closed: only what stands before its first quote can be seen, which ends the cell. sound: the
    row that it stands in is like the others, so this one must have all cells to be believed.
    """

    def __init__(self, delimiter: str, shape: Shape) -> None:
        self._delimiter, self._shape = delimiter, shape

    def __call__(self, line: str, *, closed: bool, sound: bool) -> bool:
        width, address = self._shape.width, self._shape.address
        if "@" not in line or (self._delimiter not in line and width > 1):
            return False
        text = line.partition('"')[0] if closed else line
        cells = next(csv.reader([text.rstrip("\r\n")], delimiter=self._delimiter), [])
        least = min(2, width) if closed or not sound else width
        return least <= len(cells) <= width and (
            len(cells) > address and bool(_ADDRESS.fullmatch(cells[address]))
        )


def _unclosed_quote(line: int) -> CsvRefused:
    return CsvRefused(f"A quote that begins on line {line} is never closed: close or remove it.")


def swallowing_quote(line: int, swallowed: int) -> CsvRefused:
    return CsvRefused(
        f"A quote that begins on line {line} swallows the rows after it, line {swallowed} for one: "
        "close or remove it."
    )
