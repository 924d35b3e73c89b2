"""From a row's cells to somebody who can be imported, or to the reason why not. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Iterable, Sequence
from functools import cache, partial
from itertools import chain, repeat
from typing import Any

from app.domain.addresses import InvalidAddress, TypedAddresses, trimmed, typed_address
from app.domain.csv_cells import read_tags, restore
from app.domain.given.strict_json import once_each
from app.domain.lists.columns import CONSENT, Column, Columns
from app.domain.lists.dates import read_time
from app.domain.lists.people import Person, Refused, Row, row_of
from app.domain.lists.presets import OWN
from app.domain.lists.words import STRICTNESS, plain, read_flag, read_status, says_nothing
from app.domain.people import fits_json
from app.domain.states import SubscriberStatus

MAX_CELL_CHARS = 10_000
MAX_NAME_CHARS = 200
MAX_TAGS = 200
MAX_TAG_BYTES = 1_000
"""Far less than what an index of PostgreSQL takes (about 2,700)."""

_CONTROL_CATEGORIES = frozenset({"Cc", "Zl", "Zp"})
_MAILBOX = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>]+)>")
_REMEMBERED = 10_000  # values whose reading is kept; a list has few zones, tags and states
_REMEMBERED_CHARS = 200

State = tuple[SubscriberStatus, str | None]
_ACTIVE: State = ("active", None)


class RowRefused(Exception):
    """The text says why in plain words, without the address."""


class RowReader:
    """Reads the rows of one file, many at once column by column, or one by itself, which does the
    same in three times the time. day_first: the order in dates with slashes."""

    def __init__(self, columns: Columns, *, day_first: bool = False) -> None:
        self._width = max((column.index for column in columns.columns), default=-1) + 1
        self._is_own = columns.preset == OWN and columns.one("consent") is not None
        self._everyone: State | None = (
            None if columns.everyone is None else _as_said(columns.everyone)
        )
        email = columns.one("email")
        self._email = -1 if email is None else email.index
        self._name = columns.one("name")
        self._first, self._last = columns.one("first_name"), columns.one("last_name")
        self._zone, self._created = columns.one("timezone"), columns.one("created_at")
        self._consent = columns.one("consent")
        self._tags = columns.of("tags")
        self._fields = [(each.index, each.name) for each in columns.of("field")]
        self._json = columns.of("json")
        self._attributes = columns.one("attributes")
        self._states = columns.of(*CONSENT)
        self._addresses = TypedAddresses()
        self._state_of = _Remembered(self._state)
        self._tags_of = _Remembered(_tags_or_none)
        self._time_of = _Remembered(partial(read_time, day_first=day_first))
        self._zone_of = _Remembered(zone_name)

    def read(self, lines: Sequence[int], rows: Sequence[Sequence[str]]) -> list[Row | Refused]:
        """Rows that follow each other; lines: where each begins. A column at a time; rows in which
        anything is out of the ordinary are read one by one."""
        columns = columns_of(rows, self._width)
        odd = _odd_rows(columns)
        odd.update(at for at, cells in enumerate(rows) if any(cells[self._width :]))
        columns = [self._texts(column) for column in columns]
        emails = self._addresses.read(columns[self._email])
        fields = self._all_fields(columns)
        found = self._all_states(columns)
        tags = self._all_tags(columns)
        for must in (emails, found, tags):
            if None in must:
                odd.update(at for at, value in enumerate(must) if value is None)
        states = [state or _ACTIVE for state in found]
        names = self._names(columns)
        if not ("".join(names).isprintable() and max(map(len, names), default=0) <= MAX_NAME_CHARS):
            odd.update(at for at, name in enumerate(names) if not _is_plain_name(name))
        times = self._known_or_field(self._created, self._time_of, columns, fields)
        zones = self._known_or_field(self._zone, self._zone_of, columns, fields)
        consents: list[dict[str, Any] | None] = []
        if self._json or self._attributes or self._consent:
            for at, texts in enumerate(zip(*columns, strict=True)):
                try:
                    fields[at], consent = self._read_json(fields[at], texts)
                except RowRefused:
                    odd.add(at)
                    consent = None
                consents.append(consent)
        made: list[Row] = [
            {"line": line, "email": email, "status": status}
            for line, email, (status, _) in zip(lines, emails, states, strict=True)
        ]
        given: dict[str, Sequence[Any]] = {
            "name": names,
            "bounce_type": [bounce_type for _, bounce_type in states],
            "tags": tags,
            "fields": fields,
            "timezone": zones,
            "created_at": times,
            "consent": consents,
        }
        for name, values in given.items():
            if any(values):
                for row, value in zip(made, values, strict=True):
                    if value:
                        row[name] = value
        everyone: list[Row | Refused] = [*made]
        for at in odd:
            everyone[at] = self.row(lines[at], rows[at])
        return everyone

    def row(self, line: int, cells: Sequence[str]) -> Row | Refused:
        try:
            return row_of(self.person(line, cells))
        except RowRefused as exc:
            return Refused(line, str(exc), kept(cells))

    def person(self, line: int, cells: Sequence[str]) -> Person:
        """Raises RowRefused."""
        texts = self._checked(cells)
        email, name = _address(texts[self._email])
        if self._name is not None:
            name = texts[self._name.index].strip() or name
        fields = {named: texts[index] for index, named in self._fields if texts[index]}
        if self._first is not None or self._last is not None:
            name = self._joined_name(texts, fields) or name
        person = Person(line, email, _checked_name(name), fields=fields)
        person.tags = _read_all_tags([texts[column.index] for column in self._tags])
        state = self._state_of[tuple([texts[column.index] for column in self._states])]
        if state is None:  # asked about before anything was imported
            raise RowRefused("its state isn't known")
        person.status, person.bounce_type = state
        if self._created is not None and (cell := texts[self._created.index].strip()):
            person.created_at = self._time_of[cell]
            if person.created_at is None:
                person.fields.setdefault(self._created.name, cell)
        if self._zone is not None and (cell := texts[self._zone.index].strip()):
            person.timezone = zone_name(cell)
            if person.timezone is None:
                person.fields.setdefault(self._zone.name, cell)
        if self._json or self._attributes or self._consent:
            person.fields, person.consent = self._read_json(person.fields, texts)
        return person

    def _checked(self, cells: Sequence[str]) -> list[str]:
        """As many texts as the header has titles, blank ones empty."""
        joined = "".join(cells)
        if "\0" in joined:
            raise RowRefused("a cell holds a NUL character")
        if len(joined) > MAX_CELL_CHARS and any(len(cell) > MAX_CELL_CHARS for cell in cells):
            raise RowRefused(f"a cell is longer than {MAX_CELL_CHARS:,} characters")
        if self._is_own:  # where even a blank is a value
            texts = [restore(cell) for cell in cells]
        else:
            texts = [
                ("" if cell.isspace() else restore(cell) if cell[0] == "'" else cell)
                if cell
                else ""
                for cell in cells
            ]
        missing = self._width - len(texts)
        if missing > 0:  # spreadsheets leave out empty cells at the end
            texts += [""] * missing
        elif missing < 0 and any(texts[self._width :]):
            raise RowRefused("there are more cells than columns in the first line")
        return texts

    def _joined_name(self, texts: Sequence[str], fields: dict[str, Any]) -> str:
        """First and last name as one, unless there is a name; both are kept as fields."""
        parts = []
        for column in (self._first, self._last):
            if column is not None and (part := texts[column.index].strip()):
                fields[column.name] = part
                parts.append(part)
        if self._name is not None and texts[self._name.index].strip():
            return ""
        if len(parts) == 2 and _ends_with(*parts):
            parts.pop()  # the first one was the whole name
        return " ".join(parts)

    def _state(self, cells: Sequence[str]) -> State | None:
        """The strictest of all that a row's cells say; None: one says what nobody knows."""
        found = self._everyone or _ACTIVE
        for column, cell in zip(self._states, cells, strict=True):
            state = read_state(column, cell)
            if state is None:
                return None
            if STRICTNESS[state[0]] > STRICTNESS[found[0]]:
                found = state
        return found

    def _read_json(
        self, fields: dict[str, Any], texts: Sequence[str]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """All fields, and the consent. Raises RowRefused."""
        for column in self._json:
            if cell := texts[column.index]:
                fields[column.name] = _json(cell, column.title)
        if self._attributes is not None and (cell := texts[self._attributes.index]):
            found = _json(cell, self._attributes.title)
            if not isinstance(found, dict):
                raise RowRefused(f"{self._attributes.title!r} holds no JSON object")
            fields = {**found, **fields}
        if self._consent is not None and (cell := texts[self._consent.index]):
            consent = _json(cell, self._consent.title)
            if not isinstance(consent, dict):
                raise RowRefused(f"{self._consent.title!r} holds no JSON object")
            return fields, consent
        return fields, None

    # The rest is about columns, as `read` has them.

    def _texts(self, column: Sequence[str]) -> Sequence[str]:
        """As `_checked` gives them."""
        has_mark = "'" in "".join(column)
        if self._is_own:
            return list(map(restore, column)) if has_mark else column
        if any(map(str.isspace, column)):
            column = ["" if cell.isspace() else cell for cell in column]
        if has_mark:
            column = [restore(cell) if cell[:1] == "'" else cell for cell in column]
        return column

    def _names(self, columns: Sequence[Sequence[str]]) -> Sequence[str]:
        columns = [
            list(map(str.strip, columns[column.index]))
            for column in (self._name, self._first, self._last)
            if column is not None
        ]
        whole = columns.pop(0) if self._name is not None else []
        if not columns:
            return whole
        joined = columns[0]
        if len(columns) == 2:
            joined = [
                f"{first} {last}"
                if first and last and not (" " in first and _ends_with(first, last))
                else first or last
                for first, last in zip(*columns, strict=True)
            ]
        return (
            [name or parts for name, parts in zip(whole, joined, strict=True)] if whole else joined
        )

    def _all_fields(self, columns: Sequence[Sequence[str]]) -> list[dict[str, Any]]:
        """Without those that `_read_json` finds, and what `_known_or_field` adds."""
        named = [(name, columns[index]) for index, name in self._fields]
        named += [
            (column.name, list(map(str.strip, columns[column.index])))
            for column in (self._first, self._last)
            if column is not None
        ]
        if not named:
            return [{} for _ in columns[self._email]]
        names = [name for name, _ in named]
        rows = zip(*(column for _, column in named), strict=True)
        if all(all(column) for _, column in named):
            return list(map(dict, map(zip, repeat(names), rows)))
        return [{name: cell for name, cell in zip(names, row, strict=True) if cell} for row in rows]

    def _all_states(self, columns: Sequence[Sequence[str]]) -> list[State | None]:
        if not self._states:
            return [self._everyone or _ACTIVE] * len(columns[self._email])
        cells = zip(*(columns[column.index] for column in self._states), strict=True)
        return list(map(self._state_of.__getitem__, cells))

    def _all_tags(self, columns: Sequence[Sequence[str]]) -> list[list[str] | None]:
        if not self._tags:
            return []
        cells = zip(*(columns[column.index] for column in self._tags), strict=True)
        return list(map(self._tags_of.__getitem__, cells))

    @staticmethod
    def _known_or_field(
        column: Column | None,
        known: _Remembered,
        columns: Sequence[Sequence[str]],
        fields: Sequence[dict[str, Any]],
    ) -> list[str | None]:
        """What the column's cells mean; those that nobody knows become fields."""
        if column is None:
            return []
        cells = list(map(str.strip, columns[column.index]))
        found = [known[cell] if cell else "" for cell in cells]
        if None in found:
            for at, value in enumerate(found):
                if value is None:
                    fields[at].setdefault(column.name, cells[at])
        return found


def columns_of(rows: Sequence[Sequence[str]], width: int) -> list[Sequence[str]]:
    """As many as that, blank where a row ends before."""
    if set(map(len, rows)) != {width}:
        rows = [[*row[:width], *[""] * (width - len(row))] for row in rows]
    cells = list(chain.from_iterable(rows))  # three times as fast as `zip`
    return [cells[at::width] for at in range(width)]


def kept(cells: Iterable[str]) -> list[str]:
    """A refused row's cells, for the file of refused rows, unless they are beyond all measure."""
    return [cell if len(cell) <= MAX_CELL_CHARS else cell[:100] + "…" for cell in cells]


def _odd_rows(columns: Iterable[Sequence[str]]) -> set[int]:
    """Places of those with a cell that `RowReader.person` refuses."""
    odd: set[int] = set()
    for column in columns:
        joined = "".join(column)
        if "\0" in joined or (
            len(joined) > MAX_CELL_CHARS and max(map(len, column)) > MAX_CELL_CHARS
        ):
            odd.update(
                at for at, cell in enumerate(column) if "\0" in cell or len(cell) > MAX_CELL_CHARS
            )
    return odd


def read_state(column: Column, cell: str) -> State | None:
    """What a cell of a column that says who may be mailed says. None: nobody knows.

    A blank state says nothing, so the person is active; a blank where `yes` would be the consent
    is none.
    """
    text = cell.strip()
    if column.words and (said := column.words.get(plain(text))) is not None:
        return _as_said(said)
    match column.meaning:
        case "status":
            return read_status(text) if text else _ACTIVE
        case "opted_in":
            flag = read_flag(text) if text else False
            return _by_word(text) if flag is None else _ACTIVE if flag else ("unsubscribed", None)
        case "opted_out":
            flag = read_flag(text) if text else False
            return _by_word(text) if flag is None else ("unsubscribed", None) if flag else _ACTIVE
        case "left_at":
            return _ACTIVE if says_nothing(text) else ("unsubscribed", None)
        case _:
            return _ACTIVE if says_nothing(text) else ("bounced", "Permanent")


@cache
def _zones() -> dict[str, str]:
    return {name.lower(): name for name in zoneinfo.available_timezones()}


def zone_name(text: str) -> str | None:
    """The IANA time zone of this name, in any case; None: there is none."""
    return _zones().get(text.strip().replace(" ", "_").lower())


def _by_word(text: str) -> State | None:
    """`subscribed` in a column of yes and no says which it is."""
    return read_status(text)


def _as_said(status: SubscriberStatus) -> State:
    return status, "Permanent" if status == "bounced" else None


class _Remembered(dict[Any, Any]):
    """What `read` gives for a text, or for several, asked once for each as far as memory is to be
    had."""

    def __init__(self, read: Callable[[Any], Any]) -> None:
        self._read = read

    def __missing__(self, texts: str | tuple[str, ...]) -> Any:
        found = self._read(texts)
        if len(self) < _REMEMBERED and sum(map(len, texts)) < _REMEMBERED_CHARS:
            self[texts] = found
        return found


def _read_all_tags(cells: Iterable[str]) -> list[str]:
    """Each once. Raises RowRefused."""
    tags: list[str] = []
    for cell in filter(None, cells):
        tags += [tag for tag in read_tags(cell) if tag not in tags]
    if len(tags) > MAX_TAGS:
        raise RowRefused(f"there are more than {MAX_TAGS} tags")
    if any(len(tag) * 4 > MAX_TAG_BYTES < len(tag.encode()) for tag in tags):
        raise RowRefused(f"a tag is longer than {MAX_TAG_BYTES:,} bytes")
    return tags


def _tags_or_none(cells: Iterable[str]) -> list[str] | None:
    try:
        return _read_all_tags(cells)
    except RowRefused:
        return None


def _address(cell: str) -> tuple[str, str | None]:
    """The address, and the name of `Name <address>`. Raises RowRefused."""
    try:
        return typed_address(cell), None
    except InvalidAddress as exc:
        problem = f"the address can't be used: {exc}" if trimmed(cell) else "no address"
    text = trimmed(cell)
    name = None
    if mailbox := _MAILBOX.fullmatch(text):
        text, name = mailbox["address"], mailbox["name"].strip(' "') or None
    if text[:7].lower() == "mailto:":
        text = text[7:]
    try:
        return typed_address(text), name
    except InvalidAddress:
        raise RowRefused(problem) from None


def _ends_with(first: str, last: str) -> bool:
    """Whether the first name is the whole one."""
    return first.lower().endswith(f" {last.lower()}")


def _is_plain_name(name: str) -> bool:
    return len(name) <= MAX_NAME_CHARS and name.isprintable()


def _checked_name(name: str | None) -> str | None:
    if not name:
        return None
    if len(name) > MAX_NAME_CHARS:
        raise RowRefused(f"the name is longer than {MAX_NAME_CHARS} characters")
    if not name.isprintable() and any(
        unicodedata.category(char) in _CONTROL_CATEGORIES for char in name
    ):
        raise RowRefused("the name holds a line break or another control character")
    return name


def _whole(digits: str) -> int | str:
    """A number, or a text where no database call could carry it."""
    return number if len(digits) <= 20 and fits_json(number := int(digits)) else digits


def _json(cell: str, title: str) -> Any:
    """Raises RowRefused, also for what the database's JSON can't hold."""
    try:
        value = json.loads(cell, parse_int=_whole, object_pairs_hook=once_each)
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        text.encode()  # fails for half of a surrogate pair
    except (ValueError, RecursionError):
        raise RowRefused(f"{title!r} holds no JSON that can be kept") from None
    if "\\u0000" in text:
        raise RowRefused(f"{title!r} holds a NUL character")
    return value
