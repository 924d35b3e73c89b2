"""A list as CSV: read back it is the same list, and no spreadsheet runs what is in it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.domain.addresses import InvalidAddress, typed_address
from app.domain.csv_cells import CELL_END, has_doubtful, protect, write_tags
from app.domain.lists.columns import FIELD_PREFIX, JSON_PREFIX, is_plain_field
from app.domain.lists.presets import OWN_COLUMNS
from app.domain.lists.rows import MAX_NAME_CHARS
from app.domain.untrusted import read_json

ROW_END = "\x1e"
_REMEMBERED = 10_000  # combinations of tags
_NUMBER = re.compile(r"(?:[:,] |\[)-?\d")
"""In PostgreSQL's JSON: Python may write it another way."""

BYTE_ORDER_MARK = "\ufeff"
"""Excel takes a file without it for Windows-1252."""


class ExportedRows:
    """Turns subscribers, as the store gives them, into rows of cells. texts, others: the names of
    fields with a text and of those with any other value, which becomes JSON."""

    def __init__(self, texts: Sequence[str], others: Sequence[str]) -> None:
        self.texts, self.others = texts, others
        self._tags: dict[str, str] = {}

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

    def rows(self, lines: str, count: int) -> list[list[str]] | None:
        """The same from the lines of `Store.export_page`, in a fraction of the time. None: they
        can't be read so, since somebody's words hold what ends cells or rows, or a number is beyond
        all measure."""
        width = 8 + len(self.texts) + len(self.others)
        split = [line.split(CELL_END) for line in lines.split(ROW_END)]
        split.pop()
        if len(split) != count or any(len(cells) != width for cells in split):
            return None
        try:
            return [self._row(cells) for cells in split]
        except _OddNumber:
            return None

    def _row(self, cells: list[str]) -> list[str]:
        email, address, name, status, tags, timezone, created_at, consent, *fields = cells
        if not (email.isascii() and email.lower() == address):
            email = _importable({"email": email, "address": address})
        if self.others:
            at = len(self.texts)
            fields[at:] = [_other(cell) for cell in fields[at:]]
        if _NUMBER.search(consent):
            consent = _json(read_json(consent))
        row = [email, _name(name), "", timezone, consent, *fields]
        if has_doubtful(CELL_END.join(row)):
            row = [protect(cell) for cell in row]
        email, name, _, timezone, consent, *fields = row
        return [
            email,
            name,
            status,
            self._written(tags),
            timezone,
            created_at[1:-1],
            consent,
            *fields,
        ]

    def _written(self, tags: str) -> str:
        """The cell for tags, given as JSON. Few combinations make up a list."""
        cell = self._tags.get(tags)
        if cell is None:
            cell = protect(write_tags(read_json(tags)))
            if len(self._tags) < _REMEMBERED:
                self._tags[tags] = cell
        return cell

    def _fields(self, fields: Mapping[str, Any]) -> Iterator[str]:
        for name in self.texts:
            value = fields.get(name)
            yield protect(value) if isinstance(value, str) else ""
        for name in self.others:
            value = fields.get(name, "")
            is_text = isinstance(value, str) and (value or name not in fields)
            yield "" if is_text else protect(_json(value))


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
