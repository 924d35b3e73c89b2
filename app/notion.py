"""What a process that does the work does with Notion: wiring."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.keeping import keep_pictures
from app.outside import OUTSIDE, notion_api
from app.ports import Notion
from app.running.loops import Loops
from app.services.checks.preflight import Preflight
from app.services.drafts.drafts import Drafts
from app.services.jobs.runner import Kind
from app.services.notion.rows.answers import Answers
from app.services.notion.rows.looks import Looks
from app.services.notion.rows.page_reader import PageReader
from app.services.notion.rows.polling import Polling
from app.services.notion.schema_news import SchemaNews
from app.services.notion.sync import Sync
from app.services.notion.talk import Talk
from app.services.notion.workspace import Workspace
from app.services.notion.writing import Writing
from app.services.starting.dry_run import DryRuns
from app.services.starting.schedule_mailout import ScheduleMailout
from app.services.starting.start_mailout import StartMailout
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class NotionWork:
    store: Store
    settings: Settings
    workspace: Workspace
    looks: Looks
    polling: Polling
    talk: Talk
    schema_news: SchemaNews
    writing: Writing

    @property
    def kinds(self) -> list[Kind]:
        """Jobs that ask Notion."""
        return [
            # Two, so that a `Pause` doesn't wait for a long page to be read.
            Kind("notion_row", self.looks.as_job, at_once=2),
            Kind("notion_talk", self.talk.as_job),
            Kind("notion_schema", self.schema_news.as_job),
        ]

    def sync(self, jobs: JobStore) -> Sync:
        return Sync(
            self.store,
            jobs,
            self.kinds,
            self.workspace,
            self.polling,
            self.talk,
            self.writing,
            self.settings,
        )

    def start(self, loops: Loops) -> None:
        self.polling.start(loops)
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
            store=store,
            settings=settings,
            workspace=workspace,
            looks=notion_looks(store, settings, notion, workspace),
            polling=Polling(store, notion, workspace, settings),
            talk=Talk(store, notion, workspace, settings),
            schema_news=SchemaNews(workspace),
            writing=Writing(store, notion, workspace, settings, meters),
        )


def notion_looks(store: Store, settings: Settings, notion: Notion, workspace: Workspace) -> Looks:
    start = StartMailout(store, settings)
    schedules = ScheduleMailout(store, settings, start)
    preflight = Preflight(store, settings, OUTSIDE)
    answers = Answers(
        store=store,
        settings=settings,
        read=PageReader(notion, keep_pictures(store, settings)),
        start=start,
        schedules=schedules,
        drafts=Drafts(store, settings, preflight, schedules),
        preflight=preflight,
        dry_runs=DryRuns(store, settings, start),
    )
    return Looks(store, notion, workspace, settings, answers)
