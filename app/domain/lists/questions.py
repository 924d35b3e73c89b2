"""What a file leaves open: found in one pass over its rows, asked in plain words. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.lists.columns import BLANK, Column, Columns
from app.domain.lists.dates import has_order, order_of, read_time
from app.domain.lists.people import Answer, Question
from app.domain.lists.rows import columns_of, read_state, zone_name
from app.domain.lists.words import HINTS, Hint, are_flags, read_flag, title_says_out

SAMPLES = 5
_MAX_WORDS = 8  # unknown words asked about one by one; a column with more holds no states
_LOOKED_AT = 200  # rows in which a column of addresses is looked for
_SAMPLE_CHARS = 40
_ISO_DATE = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])(?!\d)")
_DAY_CHARS = 11
"""So many of a cell tell whether it is an _ISO_DATE. Lists have many times of a day."""
_ADDRESS = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")

_HINTING = frozenset(HINTS)
_STATES = (
    ("active", "gets mail"),
    ("unsubscribed", "has left"),
    ("bounced", "can't be reached"),
    ("complained", "reported spam"),
    ("pending", "hasn't confirmed"),
)


@dataclass(slots=True)
class _Doubtful:
    """A column that may say who has left. hints: what its values told."""

    column: Column
    samples: dict[str, None] = field(default_factory=dict)
    hints: set[Hint] = field(default_factory=set)

    @property
    def told(self) -> bool:
        return "told" in self.hints or {"ambiguous", "active"} <= self.hints


@dataclass(slots=True)
class _States:
    """A column that says who may be mailed. known: its words that were looked up, so that each is
    once. unknown: those that nobody knows."""

    column: Column
    known: set[str] = field(default_factory=set)
    unknown: dict[str, None] = field(default_factory=dict)
    blanks: int = 0


class Survey:
    """Shown every row once; then it knows the questions and warnings."""

    def __init__(self, columns: Columns) -> None:
        self._by_title = [_Doubtful(each) for each in columns.columns if each.doubt == "title"]
        self._by_values = [_Doubtful(each) for each in columns.columns if each.doubt == "values"]
        self._states = [_States(each) for each in columns.of("status", "opted_in", "opted_out")]
        self._dates = columns.one("created_at")
        # `Subscribed` may hold dates or yes and no.
        self._no_dates = _Doubtful(self._dates) if self._dates else None
        self._day_first: bool | None = None
        self._slashes = False
        self._unread_dates = 0
        self._zones = columns.one("timezone")
        self._unknown_zones: dict[str, None] = {}
        self._addresses = [0] * len(columns.columns) if columns.one("email") is None else None
        self._titles = [column.title for column in columns.columns]
        self._rows = 0

    def look_at(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows that follow each other: mostly, one look at a column tells that it says nothing
        new, and looking through a file takes half the time."""
        columns = columns_of(rows, len(self._titles))
        for each in self._by_values:
            column = columns[each.column.index]
            if not _HINTING.isdisjoint(column):
                for cell in filter(HINTS.get, column):
                    each.hints.add(HINTS[cell])
                    _sample(each, cell)
        for each in self._by_title:
            for cell in filter(None, columns[each.column.index]):
                if len(each.samples) == SAMPLES:
                    break
                _sample(each, cell)
        for state in self._states:
            self._look_at_states(state, columns[state.column.index])
        if self._dates is not None:
            self._look_at_dates(columns[self._dates.index])
        if self._zones is not None:
            column = columns[self._zones.index]
            if not all(zone_name(zone) for zone in set(column) if zone):
                self._look_at_zones(column)
        if self._addresses is not None and self._rows < _LOOKED_AT:
            for cells in rows[: _LOOKED_AT - self._rows]:
                self._rows += 1
                for index, cell in enumerate(cells[: len(self._addresses)]):
                    self._addresses[index] += bool("@" in cell and _ADDRESS.fullmatch(cell.strip()))

    def columns_of_addresses(self) -> list[str]:
        """Titles of the columns that hold addresses in most rows, when none is known to."""
        counts = self._addresses or []
        return [self._titles[at] for at, n in enumerate(counts) if n and n * 2 >= self._rows]

    def day_first(self, delimiter: str) -> bool:
        """The order in dates with slashes. Where no date tells: lists with semicolons come from
        countries where the day is first."""
        return delimiter == ";" if self._day_first is None else self._day_first

    def warnings(self) -> list[str]:
        found = [
            f"{state.blanks:,} of the rows say nothing in {state.column.title!r}: new people among "
            "them become active."
            for state in self._states
            if state.blanks and state.column.meaning == "status" and "" not in state.column.words
        ]
        if self._slashes and self._day_first is None and self._dates is not None:
            found.append(
                f"The dates in {self._dates.title!r} don't tell whether the day or the month comes "
                "first."
            )
        if self._unread_dates and self._dates is not None:
            found.append(
                f"{self._unread_dates:,} of the dates in {self._dates.title!r} can't be read: they "
                f"are kept as the field {self._dates.name!r}."
            )
        if self._unknown_zones and self._zones is not None:
            shown = ", ".join(zone[:_SAMPLE_CHARS] for zone in self._unknown_zones)
            found.append(
                f"{self._zones.title!r} has time zones that nobody knows ({shown}): they are kept "
                f"as the field {self._zones.name!r}. Known ones are such as Europe/Berlin."
            )
        return found

    def questions(self) -> tuple[Question, ...]:
        found = self.columns_of_addresses()
        asked = [_about_addresses(found)] if found else []
        asked += [_about_column(each) for each in self._by_title if each.samples]
        asked += [_about_column(each) for each in self._by_values if each.told]
        if self._no_dates and self._no_dates.told:
            asked.append(_about_column(self._no_dates))
        for state in self._states:
            if len(state.unknown) > _MAX_WORDS:
                asked.append(_about_column(_Doubtful(state.column, _first(state.unknown))))
            else:
                asked += [_about_word(state.column, word) for word in state.unknown]
        return tuple(asked)

    def _look_at_states(self, state: _States, column: Sequence[str]) -> None:
        if state.known.issuperset(column):
            state.blanks += column.count("")
            return
        for cell in column:
            if cell not in state.known:
                self._look_up(state, cell)
            elif not cell:
                state.blanks += 1

    def _look_at_zones(self, column: Sequence[str]) -> None:
        for zone in map(str.strip, column):
            if zone and zone_name(zone) is None:
                self._unknown_zones[zone if len(self._unknown_zones) < SAMPLES else "…"] = None

    @staticmethod
    def _look_up(state: _States, cell: str) -> None:
        if len(state.known) < 10_000:
            state.known.add(cell)
        if not cell.strip():
            state.blanks += 1
        if read_state(state.column, cell) is None and len(state.unknown) <= _MAX_WORDS:
            state.unknown[" ".join(cell.split())] = None

    def _look_at_dates(self, column: Sequence[str]) -> None:
        days = {cell[:_DAY_CHARS] for cell in column if cell}
        if not all(map(_ISO_DATE.match, days)):
            for cell in column:
                self._look_at_date(cell.strip())

    def _look_at_date(self, text: str) -> None:
        if _ISO_DATE.match(text):
            return
        if has_order(text):
            self._slashes = True
            if self._day_first is None:
                self._day_first = order_of(text)
        elif text and read_time(text) is None:
            self._unread_dates += 1
            if self._no_dates and (read_flag(text) is not None or text in HINTS):
                self._no_dates.hints.add("told")
                _sample(self._no_dates, text)


def _about_addresses(columns: Sequence[str]) -> Question:
    return Question(
        column=columns[0],
        text="No column is called email. Which one holds the addresses?",
        samples=(),
        answers=tuple(Answer(title, "email", f"{title!r} does") for title in columns[:SAMPLES]),
    )


def _first(words: dict[str, None]) -> dict[str, None]:
    return dict.fromkeys(word[:_SAMPLE_CHARS] for word in list(words)[:SAMPLES] if "@" not in word)


def _sample(doubtful: _Doubtful, cell: str) -> None:
    text = " ".join(cell.split())[:_SAMPLE_CHARS]
    if text and "@" not in text and len(doubtful.samples) < SAMPLES:
        doubtful.samples[text] = None
    elif text and not doubtful.samples:
        doubtful.samples["(addresses)"] = None


def _about_column(doubtful: _Doubtful) -> Question:
    title, values = doubtful.column.title, tuple(doubtful.samples)
    out = title_says_out(title)
    possible: list[tuple[str, str]] = []
    if are_flags(values):
        possible = [
            ("opted_in", "yes: gets mail; no or blank: has left"),
            ("opted_out", "yes: has left; no or blank: gets mail"),
        ]
        possible = possible[::-1] if out else possible
    elif out and all(read_time(value) for value in values):
        possible = [("left_at", "whoever has a date here has left")]
    else:
        possible = [
            ("status", "a word for each person's state"),
            ("left_at", "whoever has anything here has left"),
        ]
    possible += [
        ("field", "it says nothing about who gets mail: keep it as a field"),
        ("ignore", "leave it out"),
    ]
    shown = ", ".join(repr(value) for value in values)
    return Question(
        column=title,
        text=f"The column {title!r} may say who is not to be mailed (values: {shown}). What does "
        "it mean?",
        samples=values,
        answers=tuple(Answer(title, meaning, words) for meaning, words in possible),
    )


def _about_word(column: Column, word: str) -> Question:
    name = word or BLANK
    shown = "(an address)" if "@" in name else name[:_SAMPLE_CHARS]
    answers = [Answer(f"{column.title}:{name}", status, words) for status, words in _STATES]
    if column.meaning == "status" and are_flags([word]):
        answers[:0] = [
            Answer(column.title, "opted_in", "yes: gets mail; no or blank: has left"),
            Answer(column.title, "opted_out", "yes: has left; no or blank: gets mail"),
        ]
    answers.append(Answer(column.title, "field", "the column isn't about who gets mail"))
    return Question(
        column=column.title,
        text=f"In the column {column.title!r} stands {shown!r}, and nobody here knows what that "
        "means for a person's mail.",
        samples=(shown,),
        answers=tuple(answers),
    )
