"""Which properties the owner's database has, and which of them are ours. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote
from uuid import UUID

from app.domain.notion.properties import PROPERTIES, Kind, Property

READ_AS: Mapping[Kind, frozenset[str]] = {
    "select": frozenset({"select", "status"}),
}
"""Other types that a property of people may have: Notion's own `status` reads as a select does."""


@dataclass(frozen=True)
class Column:
    """A property of the database: its id (without URL escapes), its name there, its type, and of a
    select, multi-select or status the names of its options."""

    id: str
    name: str
    type: str
    options: tuple[str, ...] = ()

    @classmethod
    def from_api(cls, name: str, said: Mapping[str, Any]) -> Self:
        kind = str(said.get("type"))
        content = said.get(kind)
        options = content.get("options") if isinstance(content, dict) else None
        return cls(
            unquote(str(said.get("id") or "")),
            name,
            kind,
            tuple(str(option.get("name")) for option in options or []),
        )


@dataclass(frozen=True)
class Schema:
    """columns: all of the database, by their names there. names: what ours are called there, by our
    own names (Settings.notion_names)."""

    columns: Mapping[str, Column]
    names: Mapping[str, str]

    @classmethod
    def from_api(cls, data_source: Mapping[str, Any], names: Mapping[str, str]) -> Self:
        said = data_source.get("properties") or {}
        return cls({name: Column.from_api(name, one) for name, one in said.items()}, names)

    def column(self, name: str) -> Column | None:
        """Of our own name; None: the database has none of that name there."""
        return self.columns.get(self.names[name])

    def fits(self, wanted: Property) -> bool:
        """Whether the database has this property, of a type that we can use."""
        column = self.column(wanted.name)
        if column is None:
            return False
        return column.type == wanted.kind or (
            wanted.by_people and column.type in READ_AS.get(wanted.kind, ())
        )

    @property
    def writable(self) -> dict[str, Column]:
        """The properties of the program that are there, by our own names."""
        return {
            each.name: column
            for each in PROPERTIES
            if not each.by_people and self.fits(each) and (column := self.column(each.name))
        }


def ids_of_parent(parent: Mapping[str, Any] | None) -> set[UUID]:
    """Of the data source and database that a page is a row of; empty: it is none. parent: as a page
    or an event has it."""
    found = set()
    for name in ("data_source_id", "database_id"):
        value = (parent or {}).get(name)
        if isinstance(value, str):
            found.add(UUID(value))
    if (parent or {}).get("type") in ("database", "data_source") and (parent or {}).get("id"):
        found.add(UUID(str((parent or {})["id"])))  # an event's
    return found
