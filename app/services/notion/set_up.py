"""`amazonsender notion init`: makes the database for newsletters on a page of Notion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from app.domain.notion.database import making, sample
from app.domain.notion.schema import Schema
from app.domain.reports.findings import Finding
from app.errors import NotionAway, NotionRefused
from app.ports import NotionBuilder
from app.services.notion.capabilities import check_capabilities
from app.settings import Settings


@dataclass(frozen=True)
class Made:
    database_id: UUID
    data_source_id: UUID
    url: str


@dataclass(frozen=True)
class SetUp:
    """Every method raises NotionAway and NotionRefused, each with what to do."""

    notion: NotionBuilder
    settings: Settings

    async def there_already(self, parent: UUID) -> list[UUID]:
        """Databases on the page `parent` that are called as ours is: made by an earlier run, or by
        a person."""
        await self.notion.page(parent)  # a database has no blocks; so it is said what is missing
        return [
            UUID(block["id"])
            for block in await self.notion.children(parent)
            if block.get("type") == "child_database"
            and block["child_database"].get("title") == making.TITLE
        ]

    async def make(self, parent: UUID) -> Made:
        made = await self.notion.create_database(
            making.database(parent, self.settings.notion_names, self.settings.timezone)
        )
        return Made(
            UUID(made["id"]), UUID(made["data_sources"][0]["id"]), str(made.get("url") or "")
        )

    async def furnish(self, made: Made) -> AsyncIterator[Finding]:
        """Views, the sample and its comment, and what the token may do: each may fail, the database
        is there all the same."""
        yield await self._make_views(made)
        yield await self._lay_sample(made)
        try:
            for finding in await check_capabilities(self.notion):
                yield finding
        except (NotionAway, NotionRefused) as exc:
            yield Finding("warn", exc.detail, "run `amazonsender notion check` later.")

    async def _make_views(self, made: Made) -> Finding:
        names: list[str] = []
        try:
            source = await self.notion.data_source(made.data_source_id)
            schema = Schema.from_api(source, self.settings.notion_names)
            for view in making.views(made.database_id, made.data_source_id, schema):
                await self.notion.create_view(view)
                names.append(view["name"])
        except (NotionAway, NotionRefused) as exc:
            return Finding(
                "warn",
                f"The database is there, but not all of its views: {exc.detail}",
                "add those you like in Notion by + beside the first view.",
            )
        return Finding("ok", f"Views: {', '.join(names)}.")

    async def _lay_sample(self, made: Made) -> Finding:
        try:
            row = await self.notion.create_page(
                sample.row(made.data_source_id, self.settings.notion_names)
            )
        except (NotionAway, NotionRefused) as exc:
            return Finding(
                "warn", f"The database is there, but without a sample: {exc.detail}", "write one."
            )
        with suppress(NotionAway, NotionRefused):  # the check of capabilities says why
            await self.notion.comment({"page_id": str(row["id"])}, sample.COMMENT)
        return Finding("ok", f"A sample that explains itself: {row.get('url') or sample.NAME}")
