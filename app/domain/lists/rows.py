"""From a row's cells to somebody who can be imported, or to the reason why not. Pure."""

from __future__ import annotations

import json
import re
import unicodedata
import zoneinfo
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from app.domain.addresses import InvalidAddress, trimmed, typed_address
from app.domain.csv_cells import read_tags, restore
from app.domain.given.strict_json import once_each
from app.domain.lists.columns import CONSENT, Column, Columns
from app.domain.lists.dates import read_time
from app.domain.lists.people import Person
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

State = tuple[SubscriberStatus, str | None]
_ACTIVE: State = ("active", None)


class RowRefused(Exception):
    """The text says why in plain words, without the address."""


class RowReader:
    """Reads the rows of one file. day_first: the order in dates with slashes."""

    def __init__(self, columns: Columns, *, day_first: bool = False) -> None:
        self._width = max((column.index for column in columns.columns), default=-1) + 1
        self._day_first = day_first
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
        self._states = [
            (column.index, _remembering(partial(read_state, column)))
            for column in columns.of(*CONSENT)
        ]
        self._read_tags = _remembering(read_tags)

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
        for column in self._tags:
            if cell := texts[column.index]:
                person.tags += [tag for tag in self._read_tags(cell) if tag not in person.tags]
        if len(person.tags) > MAX_TAGS:
            raise RowRefused(f"there are more than {MAX_TAGS} tags")
        if any(len(tag) * 4 > MAX_TAG_BYTES < len(tag.encode()) for tag in person.tags):
            raise RowRefused(f"a tag is longer than {MAX_TAG_BYTES:,} bytes")
        if self._states or self._everyone:
            person.status, person.bounce_type = self._state(texts)
        if self._created is not None and (cell := texts[self._created.index].strip()):
            person.created_at = read_time(cell, day_first=self._day_first)
            if person.created_at is None:
                person.fields.setdefault(self._created.name, cell)
        if self._zone is not None and (cell := texts[self._zone.index].strip()):
            person.timezone = zone_name(cell)
            if person.timezone is None:
                person.fields.setdefault(self._zone.name, cell)
        if self._json or self._attributes or self._consent:
            self._read_json(person, texts)
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
        if len(parts) == 2 and parts[0].lower().endswith(f" {parts[1].lower()}"):
            parts.pop()  # the first one was the whole name
        return " ".join(parts)

    def _state(self, texts: Sequence[str]) -> State:
        """The strictest of all that the row says."""
        found = self._everyone or _ACTIVE
        for index, read in self._states:
            state = read(texts[index])
            if state is None:  # asked about before anything was imported
                raise RowRefused("its state isn't known")
            if STRICTNESS[state[0]] > STRICTNESS[found[0]]:
                found = state
        return found

    def _read_json(self, person: Person, texts: Sequence[str]) -> None:
        for column in self._json:
            if cell := texts[column.index]:
                person.fields[column.name] = _json(cell, column.title)
        if self._attributes is not None and (cell := texts[self._attributes.index]):
            found = _json(cell, self._attributes.title)
            if not isinstance(found, dict):
                raise RowRefused(f"{self._attributes.title!r} holds no JSON object")
            person.fields = {**found, **person.fields}
        if self._consent is not None and (cell := texts[self._consent.index]):
            consent = _json(cell, self._consent.title)
            if not isinstance(consent, dict):
                raise RowRefused(f"{self._consent.title!r} holds no JSON object")
            person.consent = consent


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


def _remembering(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """`read`, asked once for each text, as far as memory is to be had."""
    known: dict[str, Any] = {}

    def remembered(text: str) -> Any:
        try:
            return known[text]
        except KeyError:
            found = read(text)
            if len(known) < _REMEMBERED and len(text) < 200:
                known[text] = found
            return found

    return remembered


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
