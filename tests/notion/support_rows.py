"""A program that looks at rows when it is told to, over a stand-in for Notion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from app.domain.notion.row import Row
from app.notion import notion_looks
from app.outside import notion_api
from app.ports import Database
from app.sandbox.notion.server import NotionServer
from app.services.jobs.runner import JobRunner, Kind
from app.services.notion.rows.content import ReadContent
from app.services.notion.rows.looks import Looks
from app.services.notion.rows.polling import Polling
from app.services.notion.workspace import Workspace
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore
from tests.support.factories import Arrange
from tests.support.service import settings_for


def notion_settings(dsn: str, notion: NotionServer, **changes: str | None) -> Settings:
    changes = {
        "NOTION_API_URL": notion.url,
        "NOTION_API_TOKEN": notion.token,
        "NOTION_DATABASE_ID": notion.database_id,
        "AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:9",
        "AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:9",
        **changes,
    }
    return settings_for(dsn, None, **changes)


@dataclass
class Looker:
    """Looks at rows when it is told to. job: as the last look ended."""

    store: Store
    jobs: JobStore
    looks: Looks
    polling: Polling
    job: dict[str, Any] | None = None

    async def look(self, page: str) -> Row:
        """As after a webhook."""
        await self.store.notion_news([UUID(page)])
        await self.work()
        return await self.row(page)

    async def work(self) -> None:
        """Do the looks that are due."""
        runner = JobRunner(self.jobs, [Kind("notion_row", self.looks.as_job)])
        for job in reversed(await self.jobs.list_jobs(100, state="waiting")):
            if await runner.do(UUID(job["id"])):
                self.job = await self.jobs.show_job(UUID(job["id"]))

    async def hurry(self, arrange: Arrange) -> None:
        """Do what waits for a time."""
        await arrange.sql.execute("update jobs set due_at = now() where state = 'waiting'")
        await self.work()

    async def recover(self) -> None:
        """Do what a process that ended had begun, and what it left."""
        runner = JobRunner(self.jobs, [Kind("notion_row", self.looks.as_job)])
        for state in ("running", "waiting"):
            for job in await self.jobs.list_jobs(100, state=state):
                await runner.do(UUID(job["id"]))

    def slow_down(self, read: ReadContent) -> None:
        self.looks = replace(self.looks, answers=replace(self.looks.answers, read=read))

    async def row(self, page: str) -> Row:
        found = await self.store.notion_row(UUID(page))
        assert found is not None
        return found

    async def poll(self) -> int:
        """How many rows it has looked at."""
        found = await self.polling.look_round()
        await self.work()
        return found


@asynccontextmanager
async def looking(database: Database, settings: Settings) -> AsyncIterator[Looker]:
    store = Store(database)
    async with notion_api(settings) as notion:
        workspace = Workspace(notion, settings)
        looks = notion_looks(store, settings, notion, workspace)
        polling = Polling(store, notion, workspace, settings)
        yield Looker(store, JobStore(database), looks, polling)
