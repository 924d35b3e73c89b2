"""The owner's database in Notion: where it is, what it holds, and who we are there. Asked once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.notion.pages import NotAPage, database_id
from app.domain.notion.schema import Schema, ids_of_parent
from app.errors import ConfigurationError, NotionRefused
from app.ports import Notion
from app.settings import Settings

SCHEMA_SECONDS = 300.0
"""How long a schema is believed. Whoever learns that it changed says `forget_schema`."""


@dataclass(frozen=True)
class Place:
    """database_id: None where NOTION_DATABASE_ID names a data source that doesn't say it."""

    data_source_id: UUID
    database_id: UUID | None

    @property
    def ids(self) -> frozenset[UUID]:
        return frozenset(
            {self.data_source_id} | ({self.database_id} if self.database_id else set())
        )


class Workspace:
    """Every method raises NotionAway and NotionRefused as the client does, and ConfigurationError
    where NOTION_DATABASE_ID doesn't name one data source; each says what to do."""

    def __init__(
        self, notion: Notion, settings: Settings, *, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._notion = notion
        self._settings = settings
        self._now = now
        self._place: Place | None = None
        self._me: UUID | None = None
        self._schema: Schema | None = None
        self._schema_until = float("-inf")

    async def place(self) -> Place:
        if self._place is None:
            self._place = await find_place(self._notion, self._settings.notion_database_id or "")
        return self._place

    async def data_source_id(self) -> UUID:
        return (await self.place()).data_source_id

    async def schema(self) -> Schema:
        if self._schema is None or self._now() >= self._schema_until:
            said = await self._notion.data_source(await self.data_source_id())
            self._schema = Schema.from_api(said, self._settings.notion_names)
            self._schema_until = self._now() + SCHEMA_SECONDS
        return self._schema

    def forget_schema(self) -> None:
        """A property was renamed, added or removed: ask again."""
        self._schema = None

    async def has_row(self, page: Mapping[str, Any]) -> bool:
        """Whether a page, as the API gives it, is a row of the database. Its parent stands in it,
        also while it lies in the bin."""
        return not ids_of_parent(page.get("parent")).isdisjoint((await self.place()).ids)

    async def me(self) -> UUID:
        """Our own user, which stands as the author of what we write."""
        if self._me is None:
            self._me = UUID((await self._notion.me())["id"])
        return self._me


async def find_place(notion: Notion, text: str) -> Place:
    """Where the rows are. text: the id of a database or data source, or a link to one.

    Raises ConfigurationError, NotionAway, NotionRefused.
    """
    try:
        wanted = database_id(text)
    except NotAPage as exc:
        raise ConfigurationError(f"NOTION_DATABASE_ID {exc}.") from None
    try:
        database = await notion.database(wanted)
    except NotionRefused as exc:
        if exc.extra.get("notion_status") not in (400, 404):
            raise
        return await _place_of_data_source(notion, wanted, refused=exc)
    sources = database.get("data_sources") or []
    if len(sources) != 1:
        raise ConfigurationError(_which(sources))
    return Place(UUID(sources[0]["id"]), wanted)


async def _place_of_data_source(notion: Notion, wanted: UUID, refused: NotionRefused) -> Place:
    """refused: what asking for a database of this id was answered with."""
    try:
        source = await notion.data_source(wanted)
    except NotionRefused as exc:
        if exc.extra.get("notion_status") in (400, 404):
            raise refused from None
        raise
    parent: Mapping[str, Any] = source.get("parent") or {}
    database = parent.get("database_id")
    return Place(wanted, UUID(database) if database else None)


def _which(sources: list[dict[str, Any]]) -> str:
    if not sources:
        return (
            "The Notion database of NOTION_DATABASE_ID shows no data source: it is a linked view. "
            "Open the original database, share it with the connection, and take its link."
        )
    listed = "; ".join(f"{source.get('name') or 'Untitled'}: {source['id']}" for source in sources)
    return (
        "The Notion database of NOTION_DATABASE_ID has several data sources. Set it to the id of "
        f"the one that holds the newsletters: {listed}."
    )
