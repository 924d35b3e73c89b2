"""Reads CSV of any origin and size: row by row, in little memory, believing nothing.

The grammar is RFC 4180's as Python's `csv` reads it strictly, with blanks allowed around a quoted
cell; lines may end in CR LF, LF or CR.
"""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Self, TextIO

from app.services.lists.encoding import CsvRefused, Encoding

MAX_ROW_CHARS = 100_000

_ADDRESS = re.compile(r"\s*[^\s@<>\"]+@[^\s@<>\"]+\.[^\s@<>\"]+\s*")
_SEP = re.compile(r"\ufeff*\"?sep=([^\w\s\"]|\t)\"?[\r\n]*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Record:
    """A row and the line it begins on. problem: why its cells couldn't be told apart; then `cells`
    is its text, if that is short."""

    line: int
    cells: list[str]
    problem: str | None = None


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
    lines = _Lines(encoding.open(file), encoding.name)
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
        if (cells and cells[0] and not cells[0].isspace()) or any(
            cell and not cell.isspace() for cell in cells
        ):
            yield Record(lines.first, cells)


class _RowTooLong(Exception):
    """All of the row's lines are behind us."""


class _QuoteAmiss(Exception):
    """The row's cells can't be told apart. Its lines up to there are behind us."""


class _Lines:
    """Feeds `csv.reader`; knows where a row begins, and bounds what it may take.

    number: of the line read last, from 1. first: of the present row's first line. pieces: the
    present row's lines. exhausted: the file ended while a row wanted more. is_row: see _RowTest.
    """

    def __init__(self, text: TextIO, encoding: str) -> None:
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
                    itertools.chain([text], lines),
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
