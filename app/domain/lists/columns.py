"""What the columns of a list mean: those of known tools, those a person names, and the rest. Pure.

Unknown columns become fields. But one that may say who has left is never taken for a field without
being asked about: it is mapped, or it is a question.

What a person may say (`--map COLUMN=MEANING`): `email`, `name`, `first_name`, `last_name`, `tags`,
`timezone`, `created_at`, `status`, `opted_in`, `opted_out`, `left_at`, `bounced_at`, `attributes`,
`field`, `fields.NAME` or NAME alone, `ignore`; and for a word in a column of states
`COLUMN:WORD=STATUS`.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Literal

from app.domain.csv_cells import restore
from app.domain.lists.presets import (
    COMMON,
    MEANINGS,
    OWN,
    OWN_COLUMNS,
    Meaning,
    Preset,
    fitting,
)
from app.domain.lists.words import plain, title_is_doubtful
from app.domain.states import SUBSCRIBER_STATUSES, SubscriberStatus
from app.errors import AppError

FIELD_PREFIX, JSON_PREFIX = "fields.", "json."
MAX_COLUMNS = 1_000
MAX_TITLE_CHARS = 200
REFUSED_TITLES = ["line", "reason"]
"""How the file of refused rows begins, which is put right and imported again."""
BLANK = "(blank)"
"""Stands for an empty cell in `COLUMN:WORD`."""

# Of the others there may be several: states (the strictest counts), tags (all count), fields.
_ONCE: tuple[Meaning, ...] = (
    "email", "name", "first_name", "last_name", "timezone", "created_at", "consent", "attributes",
)  # fmt: skip
CONSENT: frozenset[Meaning] = frozenset(
    {"status", "opted_in", "opted_out", "left_at", "bounced_at"}
)
_SAID_BY_PERSONS = tuple(each for each in MEANINGS if each not in {"consent", "json"})


class ColumnsRefused(AppError):
    """The header, or what a person said of it, can't be used."""

    status, code, title = 422, "columns_refused", "The columns can't be used"


_NUMBERED = re.compile(r"^Column \d+$| \(\d+\)$")  # titles that are given here

Doubt = Literal["title", "values"]
_Said = dict[int, tuple[Meaning, str]]
_Words = dict[int, dict[str, SubscriberStatus]]
"""What a person said of columns and of words in them, by the columns' places."""


@dataclass(frozen=True, slots=True)
class Column:
    """index: in the row. title: as the header has it. name: the field's, for fields and for
    first and last names, which are kept as fields too. doubt: whether it may say who has left: by
    its `title`; by its `values`, for it isn't known; None: no. words: a person's, each with its
    state."""

    index: int
    title: str
    meaning: Meaning
    name: str = ""
    doubt: Doubt | None = None
    words: Mapping[str, SubscriberStatus] = field(default_factory=dict)


@dataclass(frozen=True)
class Columns:
    """How a file is read. preset: the tool's name; None: everybody's names. everyone: the state of
    all of its people, whatever else it says."""

    preset: str | None
    columns: tuple[Column, ...]
    everyone: SubscriberStatus | None = None
    warnings: tuple[str, ...] = ()

    def of(self, *meanings: Meaning) -> list[Column]:
        return [each for each in self.columns if each.meaning in meanings]

    def one(self, meaning: Meaning) -> Column | None:
        return next(iter(self.of(meaning)), None)


def read_columns(header: Sequence[str], mapped: Iterable[tuple[str, str]] = ()) -> Columns:
    """What each column of a file means; perhaps none is the `email`.

    Raises ColumnsRefused: too many columns, two addresses, a mapping of what isn't there or to
    what doesn't exist.
    """
    if len(header) > MAX_COLUMNS:
        raise ColumnsRefused(f"There are {len(header):,} columns; {MAX_COLUMNS:,} are the most.")
    titles, known_as, warnings = _titles(header)
    said, words = _said(titles, mapped)
    lower = [title_key(title) for title in known_as]
    preset = fitting(lower)
    told: dict[str, Meaning] = dict(preset.columns) if preset else {}
    own = preset is not None and preset.name == OWN and set(OWN_COLUMNS) <= set(lower)
    spoken_for = {meaning for meaning, _ in said.values()}
    of_tool = {told[title] for title in lower if title in told}
    columns: list[Column] = []
    for index, title in enumerate(titles):
        doubt: Doubt | None = None
        key = lower[index]
        if index in said:
            meaning, name = said[index]
        elif index < 2 and lower[:2] == REFUSED_TITLES:
            meaning, name = "ignore", title
        elif key.startswith(FIELD_PREFIX):
            meaning, name = "field", title[len(FIELD_PREFIX) :]
        elif own and key.startswith(JSON_PREFIX):
            meaning, name = "json", title[len(JSON_PREFIX) :]
        else:
            meaning, name = told.get(key) or COMMON.get(key, "field"), title
            taken = spoken_for if key in told else spoken_for | of_tool
            if meaning in _ONCE and (meaning in taken or _is_there(columns, meaning, preset)):
                meaning = "field"
            elif meaning == "field" and key not in told:
                doubt = "title" if title_is_doubtful(title) else None if own else "values"
        columns.append(Column(index, title, meaning, name, doubt, words.get(index, {})))
    columns = _with_names(columns)
    _check(columns)
    return Columns(
        preset=preset.name if preset else None,
        columns=tuple(columns),
        everyone=_everyone(preset, lower, said) if preset else None,
        warnings=tuple(warnings),
    )


def _everyone(preset: Preset, titles: Sequence[str], said: _Said) -> SubscriberStatus | None:
    """The state of all in the file. Where several columns tell states, each row's own count; so
    they do where a person said what the column means."""
    found = [
        preset.everyone[title] if at not in said else None
        for at, title in enumerate(titles)
        if title in preset.everyone
    ]
    return found[0] if len(found) == 1 and "status" not in titles else None


def is_plain_field(name: str) -> bool:
    """Whether the name alone, as a column's title in our own export, is read as this field."""
    key = name.lower()
    return not (
        title_key(name) != key
        or key in COMMON
        or key in OWN_COLUMNS
        or key.startswith((FIELD_PREFIX, JSON_PREFIX))
        or clean_title(name) != name
        or not name
        or "@" in name
        or _NUMBERED.search(name)
        or title_is_doubtful(name)
    )


def clean_title(title: str) -> str:
    """Composed, without invisible characters, single blanks between words."""
    if title.isascii() and title.isprintable():
        return " ".join(title.split())
    text = unicodedata.normalize("NFC", title)
    visible = "".join(
        " " if char.isspace() else char
        for char in text
        if char.isspace() or unicodedata.category(char) not in {"Cf", "Cc"}
    )
    return " ".join(visible.split())


def title_key(title: str) -> str:
    """As titles are looked up: in any case, without the signs that forms put after them."""
    return clean_title(title).lower().rstrip(" :*")


def listed(titles: Iterable[str]) -> str:
    """For a message: the first dozen. What looks like an address isn't shown."""
    shown = [repr(title[:40]) for title in titles if title and "@" not in title]
    return ", ".join(shown[:12]) + (", …" if len(shown) > 12 else "") or "no named columns"


def _titles(header: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Each column's own title, the one by which it is known (several may have the same), and what
    a person should know of them."""
    titles: list[str] = []
    known_as: list[str] = []
    warnings = []
    for number, cell in enumerate(header, 1):
        given = restore(cell)
        is_named = given.lower().startswith((FIELD_PREFIX, JSON_PREFIX))
        title = given if is_named else clean_title(given) or f"Column {number}"
        if len(title) > MAX_TITLE_CHARS + is_named * len(FIELD_PREFIX):
            raise ColumnsRefused(
                f"The title of column {number} has more than {MAX_TITLE_CHARS} characters."
            )
        known_as.append(title)
        if title in titles:
            title = next(
                new for count in range(2, len(header) + 2)
                if (new := f"{title} ({count})") not in titles
            )  # fmt: skip
            warnings.append(f"Column {number} has the same title as another: it is {title!r} here.")
        titles.append(title)
    return titles, known_as, warnings


def _said(titles: Sequence[str], mapped: Iterable[tuple[str, str]]) -> tuple[_Said, _Words]:
    """What a person said of columns and of words in them, by the columns' places."""
    said: _Said = {}
    words: _Words = {}
    for given, target in mapped:
        if (index := _find(titles, given)) is not None:
            said[index] = _target(titles[index], target)
            continue
        column, colon, word = given.rpartition(":")
        index = _find(titles, column) if colon else None
        if index is None:
            raise ColumnsRefused(
                f"map: the file has no column {given[:40]!r}; it has {listed(titles)}.",
                field="map",
            )
        status = target.strip().lower()
        for possible in SUBSCRIBER_STATUSES:
            if status == possible:
                words.setdefault(index, {})["" if word == BLANK else plain(word)] = possible
                break
        else:
            raise ColumnsRefused(
                f"map: {target[:40]!r} is no state; use {', '.join(SUBSCRIBER_STATUSES)}.",
                field="map",
            )
    return said, words


def _find(titles: Sequence[str], given: str) -> int | None:
    """A column by its title, exactly or else in any case."""
    if given in titles:
        return titles.index(given)
    wanted = clean_title(given).lower()
    return next((at for at, title in enumerate(titles) if title.lower() == wanted), None)


def _target(title: str, target: str) -> tuple[Meaning, str]:
    text = target.strip()
    if text.lower().startswith(FIELD_PREFIX) and len(text) > len(FIELD_PREFIX):
        return "field", text[len(FIELD_PREFIX) :]
    word = text.lower().replace("-", "_").replace(" ", "_")
    for meaning in _SAID_BY_PERSONS:
        if meaning == word:
            return meaning, title
    # A field's name alone, where it can't be a slip of the pen, or hide who has left.
    alike = get_close_matches(word, [*MEANINGS, *COMMON, "address"], cutoff=0.8)
    if is_plain_field(text) and not alike and not title_is_doubtful(title):
        return "field", text
    raise ColumnsRefused(
        f"map: {target[:40]!r} is nothing that a column can be; use "
        f"{', '.join(_SAID_BY_PERSONS)} or fields.NAME.",
        field="map",
    )


def _is_there(columns: Sequence[Column], meaning: Meaning, preset: Preset | None) -> bool:
    """Whether an earlier column has it. Of two addresses none is taken for granted."""
    if meaning == "email" and preset is None:
        return False
    return any(column.meaning == meaning for column in columns)


def _with_names(columns: Sequence[Column]) -> list[Column]:
    """First and last names are fields of these names; a `name` beside a last name is the first."""
    meanings = {column.meaning for column in columns}
    is_first = "last_name" in meanings and "first_name" not in meanings
    named = []
    for column in columns:
        meaning: Meaning = column.meaning
        if meaning == "name" and is_first:
            meaning = "first_name"
        name = meaning if meaning in {"first_name", "last_name"} else column.name
        named.append(replace(column, meaning=meaning, name=name))
    return named


def _check(columns: Sequence[Column]) -> None:
    for meaning in _ONCE:
        same = [column.title for column in columns if column.meaning == meaning]
        if len(same) > 1:
            raise ColumnsRefused(
                f"{listed(same)} would both be the {meaning.replace('_', ' ')}: map all but one "
                f"to ignore or to fields.NAME, such as {same[1]}=ignore.",
                field="map",
            )
    fields = Counter(
        column.name for column in columns if column.meaning in {"field", "first_name", "last_name"}
    )
    for name, count in fields.items():
        if count > 1:
            raise ColumnsRefused(
                f"The field {name[:40]!r} would come twice, from different columns: map one to "
                "another fields.NAME or to ignore.",
                field="map",
            )
