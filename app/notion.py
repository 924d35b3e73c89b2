"""What a process that does the work does with Notion: wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.outside import notion_api
from app.running.loops import Loops
from app.services.jobs.runner import Kind
from app.services.notion.schema_news import SchemaNews
from app.services.notion.talk import Talk
from app.services.notion.workspace import Workspace
from app.services.notion.writing import Writing
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class NotionWork:
    talk: Talk
    schema_news: SchemaNews
    writing: Writing

    @property
    def kinds(self) -> list[Kind]:
        """Jobs that ask Notion."""
        return [
            Kind("notion_talk", self.talk.as_job),
            Kind("notion_schema", self.schema_news.as_job),
        ]

    def start(self, loops: Loops) -> None:
        self.talk.start(loops)
        self.writing.start(loops)


@asynccontextmanager
async def notion_work(
    store: Store, settings: Settings, meters: Metrics
) -> AsyncIterator[NotionWork | None]:
    """With one client, so that all that is asked of Notion keeps one pace. None: no Notion database
    is used here."""
    if not settings.uses_notion:
        yield None
        return
    async with notion_api(settings) as notion:
        workspace = Workspace(notion, settings)
        yield NotionWork(
            talk=Talk(store, notion, workspace, settings),
            schema_news=SchemaNews(workspace),
            writing=Writing(store, notion, workspace, settings, meters),
        )
