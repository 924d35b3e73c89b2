"""Looks through the rows of the Notion database every NOTION_POLL_SECONDS, so that a Status is seen
without webhooks, too, and when an event gets lost. Of several processes one does it each time.
"""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import structlog

from app.domain.notion.polls import NEWEST_FIRST, due_pages, poll_filter
from app.domain.notion.presses import Sight
from app.errors import AppError, DatabaseError, DatabaseUnavailable, NotionRefused
from app.ports import Notion
from app.running.loops import Loops
from app.services.notion.workspace import Workspace
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

FORSAKEN = (
    "This wasn't done: the program failed at it, or somebody cancelled its job (page Jobs of the "
    "dashboard). Set Status to Draft, and ask again when this text is gone."
)


class Polling:
    def __init__(
        self, store: Store, notion: Notion, workspace: Workspace, settings: Settings
    ) -> None:
        self._store = store
        self._notion = notion
        self._workspace = workspace
        self._settings = settings

    def start(self, loops: Loops) -> None:
        loops.start("notion_polling", self.step, self._settings.notion_poll_seconds)

    async def step(self) -> None:
        """Once for all processes in this time. Raises DatabaseUnavailable, DatabaseError."""
        if await self._store.begin_notion_poll(0.9 * self._settings.notion_poll_seconds):
            await self.look_round()

    async def look_round(self) -> int:
        """Have every row looked at whose Status isn't the one that we know; give how many. What
        Notion says against it is noted, and told once."""
        await self._store.answer_forsaken_notion_rows(FORSAKEN)
        await self._store.forget_idle_looks()
        try:
            pages = await self._pages()
        except (DatabaseError, DatabaseUnavailable):
            raise
        except AppError as exc:
            self._workspace.forget_schema()
            if await self._store.note_notion_trouble(exc.detail):
                log.warning("notion_not_polled", error=exc.detail)
            return 0
        if await self._store.note_notion_trouble(None):
            log.info("notion_polled_again")
        await self._store.notion_news(pages)
        return len(pages)

    async def _pages(self) -> list[UUID]:
        """Those to look at."""
        place = await self._workspace.place()
        await self._store.tell_notion_source(
            self._settings.notion_database_id or "", place.database_id, place.data_source_id
        )
        schema = await self._workspace.schema()
        where = poll_filter(schema)
        if where is None:
            name = self._settings.notion_names["Status"]
            raise NotionRefused(
                f"The property “{name}” is missing in the Notion database, is no select, or has "
                "none of the options that ask for something: `amazonsender notion check` says "
                "what to do."
            )
        found: dict[UUID, Sight] = {}
        async for page in self._notion.rows(place.data_source_id, where, NEWEST_FIRST):
            found[UUID(page["id"])] = Sight.of_page(page, self._settings.notion_names)
        return due_pages(found, await self._store.known_notion_rows(list(found)), datetime.now(UTC))
