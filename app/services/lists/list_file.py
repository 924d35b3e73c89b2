"""A list's file as a tool exported it: what it is, what its columns mean, and its people.

    listed = ListFile(file, mapped=[("Newsletter", "opted_in")])
    listed.questions      # not empty: nothing may be imported before they are answered
    for row in listed.rows(skip=10_000):
        match row: Person | Refused

Opening reads all of the file twice, in flat memory and without keeping a row: it finds out the
encoding and the delimiter, checks what would spoil more than a row, counts the rows and collects
the questions. So whatever can be said against a file as a whole is said before anything changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

from app.domain.lists.columns import (
    Column,
    Columns,
    ColumnsRefused,
    listed,
    read_columns,
    title_key,
)
from app.domain.lists.people import Person, Question, Refused, Row
from app.domain.lists.presets import COMMON
from app.domain.lists.questions import Survey
from app.domain.lists.rows import RowReader, kept
from app.services.lists.csv_reader import (
    Batch,
    Record,
    Shape,
    read_batches,
    read_records,
    separator_line,
    swallowing_quote,
)
from app.services.lists.encoding import SAVE_AS_CSV, WINDOWS, CsvRefused, find_encoding

_ADDRESS_BELOW = re.compile(r"[\r\n].*[^\s@]@[^\s@]+\.[^\s@]", re.DOTALL)
"""An address on a later line of a title: rows that a quote swallowed."""
MOST_CELLS = 100_000
"""Of the rows that are looked at or made at once: short rows may stand for many columns."""
DELIMITERS = (",", ";", "\t")
NOT_UTF_8 = (
    "The file isn't UTF-8, so it is read as Windows-1252: look whether names with accents are "
    'right, else save it as "CSV UTF-8".'
)


@dataclass(frozen=True, slots=True)
class People:
    """Rows that follow each other in the file, and about how many characters they have there."""

    made: list[Row | Refused]
    chars: int


class ListFile:
    """file: seekable, open for reading; it stays the caller's to close, and open as long as rows
    are read. mapped: (COLUMN, MEANING) as a person said, see `app.domain.lists.columns`.

    encoding: `UTF-8`, `UTF-16` or `Windows-1252`. delimiter: `,`, `;`, a tab, or what a line
    `sep=` says. preset: the tool's name, None: no known one. header: the titles. row_count:
    without blank ones. questions: to be answered by `mapped`. warnings: sentences for the report.
    Raises CsvRefused and ColumnsRefused (422 both). Blocking: to be used in a thread.
    """

    def __init__(self, file: BinaryIO, mapped: Iterable[tuple[str, str]] = ()) -> None:
        self._file = file
        self._encoding = find_encoding(file)
        self.encoding = self._encoding.name
        self._mapped = tuple(mapped)
        self.delimiter, self._skipped, record = self._find_header()
        self.columns = self._read_columns(record)
        self.preset = self.columns.preset
        self.header = [column.title for column in self.columns.columns]
        survey = Survey(self.columns)
        self.row_count = 0
        for each in self._batches():
            self.row_count += len(each.rows)
            if each.problem is None:
                survey.look_at(each.rows)
        if not self.row_count:
            raise CsvRefused(
                "The file has no rows: after the first line, which names the columns, nothing "
                "comes. Nothing was imported."
            )
        self._require_address(survey)
        self.questions: tuple[Question, ...] = survey.questions()
        self.warnings: tuple[str, ...] = (
            *((NOT_UTF_8,) if self._encoding == WINDOWS else ()),
            *self.columns.warnings,
            *survey.warnings(),
        )
        self._day_first = survey.day_first(self.delimiter)

    def rows(self, skip: int = 0) -> Iterator[Person | Refused]:
        """The rows in the file's order, without the first `skip` (blank ones don't count).

        One such iterator at a time. Raises ColumnsRefused while there are questions.
        """
        made = (each for people in self.people() for each in people.made)
        for each in islice(made, skip, None):
            yield each if isinstance(each, Refused) else Person(**each)

    def people(self) -> Iterator[People]:
        """All of `rows`, many at once, as the database takes them. Raises the same."""
        if self.questions:
            raise ColumnsRefused(self.questions[0].in_full(), field="map")
        reader = RowReader(self.columns, day_first=self._day_first)
        for batch in self._batches():
            made: list[Row | Refused]
            if batch.problem is None:
                made = reader.read(batch.lines, batch.rows)
            else:
                made = [Refused(batch.lines[0], batch.problem, kept(batch.rows[0]))]
            yield People(made, batch.chars)

    def _batches(self) -> Iterator[Batch]:
        """The rows after the header."""
        email = self.columns.one("email")
        batches = read_batches(
            self._file,
            self._encoding,
            self.delimiter,
            skip_lines=self._skipped,
            shape=Shape(len(self.columns.columns), email.index) if email else None,
        )
        next(batches, None)
        most = max(1, MOST_CELLS // len(self.columns.columns))
        return (part for batch in batches for part in batch.parts(most))

    def _find_header(self) -> tuple[str, int, Record]:
        """The delimiter, how many lines come before the header, and the header: as it is with the
        delimiter that makes the address a column if possible, else most columns."""
        said = separator_line(self._file, self._encoding)
        skipped = 0 if said is None else 1
        wanted = {title_key(title) for title, meaning in self._mapped if meaning == "email"}
        readings: list[tuple[bool, int, str, Record]] = []
        refusal = CsvRefused("The first line must name the columns, but its quotes don't fit.")
        for delimiter in dict.fromkeys((*(said or ""), *DELIMITERS)):
            records = read_records(self._file, self._encoding, delimiter, skip_lines=skipped)
            try:
                record = next(records, None)
            except CsvRefused as exc:
                refusal = exc
                continue
            if record is None:
                raise CsvRefused("The file is empty: it needs a first line with email.")
            if record.problem is not None:
                refusal = CsvRefused(
                    f"The first line (line {record.line}) must name the columns, but "
                    f"{record.problem}."
                )
            else:
                titles = {title_key(title) for title in record.cells}
                known = any(title in wanted or COMMON.get(title) == "email" for title in titles)
                readings.append((known, len(record.cells), delimiter, record))
        if not readings:
            raise refusal
        _, _, delimiter, record = max(readings, key=lambda reading: reading[:2])
        return delimiter, skipped, record

    def _read_columns(self, record: Record) -> Columns:
        if any("\0" in title for title in record.cells):
            raise CsvRefused(f"The file is no text: {SAVE_AS_CSV}.")
        if any(_ADDRESS_BELOW.search(title) for title in record.cells):
            raise swallowing_quote(record.line, record.line + 1)
        if len(record.cells) == 1 and any(
            COMMON.get(title_key(title)) == "email"
            for delimiter in DELIMITERS
            if delimiter in record.cells[0]
            for title in record.cells[0].split(delimiter)
        ):
            raise CsvRefused(
                "Each line of the file stands in quotes as a whole, so that there is one column "
                f"only: {SAVE_AS_CSV}."
            )
        columns = read_columns(record.cells, self._mapped)
        has_addresses = any("@" in title for title in record.cells)
        if columns.one("email") is None and has_addresses:  # not named: it may be somebody's
            raise CsvRefused(
                "The file has no header: put a line with the columns' names first, such as "
                "email,name."
            )
        return columns

    def _require_address(self, survey: Survey) -> None:
        if self.columns.one("email") is None and not survey.columns_of_addresses():
            raise ColumnsRefused(
                f"There is no column email, and no other one holds addresses. The first line has: "
                f"{listed(self.header)}. Export the list again with its addresses.",
                field="map",
            )


def read_mapping(text: str, separator: str) -> tuple[str, str]:
    """`COLUMN=MEANING` (command, separator `=`) or `COLUMN:MEANING` (HTTP, `:`) as a pair.

    The last separator counts: a column's title may hold one. Raises ColumnsRefused.
    """
    column, found, meaning = text.rpartition(separator)
    if not found or not column.strip() or not meaning.strip():
        raise ColumnsRefused(
            f"map: {text[:80]!r} isn't COLUMN{separator}MEANING, such as "
            f"Newsletter{separator}opted_in.",
            field="map",
        )
    return column.strip(), meaning.strip()


__all__ = ["Column", "ColumnsRefused", "CsvRefused", "ListFile", "read_mapping"]
