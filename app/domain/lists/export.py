"""A list as CSV: read back it is the same list, and no spreadsheet runs what is in it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from operator import is_not
from typing import Any

from app.domain.addresses import InvalidAddress, typed_address
from app.domain.csv_cells import CELL_START, has_doubtful, protect, protect_all, write_tags
from app.domain.lists.columns import FIELD_PREFIX, JSON_PREFIX, is_plain_field
from app.domain.lists.presets import OWN_COLUMNS
from app.domain.lists.rows import MAX_NAME_CHARS
from app.domain.untrusted import read_json

ADDRESS_MARK = "\x01"
"""Stands before the address of an email that isn't it in other letters."""
_REMEMBERED = 10_000  # combinations of tags
_NUMBER = re.compile(r"[ \[]-?\d")
"""In PostgreSQL's JSON: Python may write it another way. In a text it does no harm."""

BYTE_ORDER_MARK = "\ufeff"
"""Excel takes a file without it for Windows-1252."""


class ExportedRows:
    """Turns subscribers, as the store gives them, into rows of cells. texts, others: the names of
    fields with a text and of those with any other value, which becomes JSON."""

    def __init__(self, texts: Sequence[str], others: Sequence[str]) -> None:
        self.texts, self.others = texts, others
        self._tags = _TagCells()

    def header(self) -> list[str]:
        fields = [name if is_plain_field(name) else FIELD_PREFIX + name for name in self.texts]
        fields += [JSON_PREFIX + name for name in self.others]
        return [*OWN_COLUMNS, *map(protect, fields)]

    def row(self, subscriber: Mapping[str, Any]) -> list[str]:
        consent, fields = subscriber["consent"], subscriber["fields"]
        return [
            protect(_importable(subscriber)),
            protect(_name(subscriber["name"])),
            subscriber["status"],
            protect(write_tags(subscriber["tags"])),
            protect(subscriber["timezone"] or ""),
            subscriber["created_at"],
            "" if consent is None else protect(_json(consent)),
            *self._fields(fields),
        ]

    def columns(self, people: str, count: int) -> list[list[str]] | None:
        """The rows' columns, from what `Store.export_page` gives, in a tenth of the time: most of
        them by one look at all cells. None: it can't be read so, since somebody's words hold what
        begins cells, or a number is beyond all measure."""
        cells = people.split(CELL_START)
        width = len(OWN_COLUMNS) + len(self.texts) + len(self.others)
        if len(cells) != 1 + count * width:
            return None
        columns = [cells[at::width] for at in range(1, width + 1)]
        emails, names, statuses, tags, zones, times, consents, *fields = columns
        texts, others = fields[: len(self.texts)], fields[len(self.texts) :]
        try:
            written = [_emails(emails), _names(names), zones, _consents(consents), *texts]
            written += [list(map(_other, column)) for column in others]
        except _OddNumber:
            return None
        given = [emails, names, zones, consents, *texts]
        if has_doubtful(people) or others or any(map(is_not, written, given)):
            written = [protect_all(column) for column in written]
        emails, names, zones, consents, *fields = written
        tags = list(map(self._tags.__getitem__, tags))
        times = [time[1:-1] for time in times]
        return [emails, names, statuses, tags, zones, times, consents, *fields]

    def _fields(self, fields: Mapping[str, Any]) -> Iterator[str]:
        for name in self.texts:
            value = fields.get(name)
            yield protect(value) if isinstance(value, str) else ""
        for name in self.others:
            value = fields.get(name, "")
            is_text = isinstance(value, str) and (value or name not in fields)
            yield "" if is_text else protect(_json(value))


class _TagCells(dict[str, str]):
    """The cell for tags, given as JSON. Few combinations make up a list."""

    def __missing__(self, tags: str) -> str:
        cell = protect(write_tags(read_json(tags)))
        if len(self) < _REMEMBERED:
            self[tags] = cell
        return cell


# These give the very list where nothing is rewritten.
def _emails(cells: list[str]) -> list[str]:
    if ADDRESS_MARK not in "".join(cells):
        return cells
    return [_with_address(cell) if ADDRESS_MARK in cell else cell for cell in cells]


def _with_address(cell: str) -> str:
    email, _, address = cell.rpartition(ADDRESS_MARK)
    return _importable({"email": email, "address": address})


def _names(cells: list[str]) -> list[str]:
    if "".join(cells).isprintable() and max(map(len, cells), default=0) <= MAX_NAME_CHARS:
        return cells
    return list(map(_name, cells))


def _consents(cells: list[str]) -> list[str]:
    if not _NUMBER.search("".join(cells)):
        return cells
    return [_json(read_json(cell)) if _NUMBER.search(cell) else cell for cell in cells]


def _other(cell: str) -> str:
    """A field's JSON, as it is written where it is no text; nothing where it is one."""
    if cell.startswith('"'):
        return cell if cell == '""' else ""
    if not cell:
        return ""
    value = read_json(cell)
    if isinstance(value, str):
        raise _OddNumber
    return _json(value)


class _OddNumber(Exception):
    """It becomes a text when it is read."""


def _importable(subscriber: Mapping[str, Any]) -> str:
    """The email as it is written, unless the import would refuse that: then the address."""
    email: str = subscriber["email"]
    try:
        typed_address(email)
    except InvalidAddress:
        return subscriber["address"] or email
    return email


def _name(name: str | None) -> str:
    """Such that its row isn't refused for it, whoever wrote it into the database."""
    if not name or (len(name) <= MAX_NAME_CHARS and name.isprintable()):
        return name or ""
    return " ".join("".join(c if c.isprintable() else " " for c in name).split())[:MAX_NAME_CHARS]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
