"""A list as CSV: read back it is the same list, and no spreadsheet runs what is in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.domain.addresses import InvalidAddress, typed_address
from app.domain.csv_cells import protect, write_tags
from app.domain.lists.columns import FIELD_PREFIX, JSON_PREFIX, is_plain_field
from app.domain.lists.presets import OWN_COLUMNS
from app.domain.lists.rows import MAX_NAME_CHARS

BYTE_ORDER_MARK = "\ufeff"
"""Excel takes a file without it for Windows-1252."""


class ExportedRows:
    """Turns subscribers, as the store gives them, into rows of cells. texts, others: the names of
    fields with a text and of those with any other value, which becomes JSON."""

    def __init__(self, texts: Sequence[str], others: Sequence[str]) -> None:
        self._texts, self._others = texts, others

    def header(self) -> list[str]:
        fields = [name if is_plain_field(name) else FIELD_PREFIX + name for name in self._texts]
        fields += [JSON_PREFIX + name for name in self._others]
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

    def _fields(self, fields: Mapping[str, Any]) -> Iterator[str]:
        for name in self._texts:
            value = fields.get(name)
            yield protect(value) if isinstance(value, str) else ""
        for name in self._others:
            value = fields.get(name, "")
            is_text = isinstance(value, str) and (value or name not in fields)
            yield "" if is_text else protect(_json(value))


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
