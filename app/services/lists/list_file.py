"""A list's file as a tool exported it: what it is, what its columns mean, and its people.

    with ListFile(file, mapped=[("Newsletter", "opted_in")]) as listed:
        listed.questions      # not empty: nothing may be imported before they are answered
        for row in listed.rows(skip=10_000):
            match row: Person | Refused

Opening reads all of the file twice, in flat memory and without keeping a row: it finds out the
encoding and the delimiter, checks what would spoil more than a row, counts the rows and collects
the questions. So whatever can be said against a file as a whole is said before anything changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO

from app.domain.lists.people import Person, Question, Refused


class ListFile:
    """file: seekable, open for reading, stays the caller's to close. mapped: (COLUMN, MEANING) as a
    person said, see `app.domain.lists.columns`.

    encoding: such as `UTF-8`, `UTF-16`, `Windows-1252`. delimiter: `,`, `;` or a tab. preset: the
    tool's name, None: no known one. header: the titles. row_count: without blank ones.
    questions: to be answered by `mapped`. warnings: sentences for the report.
    Raises CsvRefused and ColumnsRefused (422 both).
    """

    encoding: str
    delimiter: str
    preset: str | None
    header: list[str]
    row_count: int
    questions: tuple[Question, ...]
    warnings: tuple[str, ...]

    def __init__(self, file: BinaryIO, mapped: Iterable[tuple[str, str]] = ()) -> None:
        raise NotImplementedError

    def rows(self, skip: int = 0) -> Iterator[Person | Refused]:
        """The rows in the file's order, without the first `skip` (blank ones don't count).

        Blocking: to be run in a thread. One such iterator at a time.
        """
        raise NotImplementedError


def read_mapping(text: str, separator: str) -> tuple[str, str]:
    """`COLUMN=MEANING` (CLI, separator `=`) or `COLUMN:MEANING` (HTTP, `:`) as a pair.

    The last separator counts: a column's title may hold one. Raises ColumnsRefused.
    """
    raise NotImplementedError
