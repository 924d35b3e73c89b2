"""A process's writer of rows, with clocks that a test moves, and what surrounds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from app.adapters.notion.client import NotionApi
from app.adapters.notion.pace import Pace
from app.domain.notion.properties import PROPERTIES
from app.sandbox.notion.server import NotionServer
from app.services.notion.workspace import Workspace
from app.services.notion.writing import Writing
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.notion.support import FakeTime
from tests.support.factories import Arrange
from tests.support.service import settings_for

PEOPLES = [each.name for each in PROPERTIES if each.by_people]


def settings_with(dsn: str, notion: NotionServer, ses: str | None = None) -> Settings:
    """ses: the sandbox's address."""
    return settings_for(
        dsn,
        ses,
        NOTION_API_TOKEN=notion.token,
        NOTION_DATABASE_ID=notion.database_id,
        NOTION_API_URL=notion.url,
        TIMEZONE="Europe/Berlin",
    )


class Desk:
    """One process's writer, its clocks, and what surrounds it."""

    def __init__(
        self, store: Store, notion: NotionServer, arrange: Arrange, settings: Settings
    ) -> None:
        self.store, self.notion, self.arrange, self.settings = store, notion, arrange, settings
        self.time = FakeTime()
        self.late = timedelta(0)
        pace = Pace(1000, now=self.time.now, sleep=self.time.sleep)
        self.api = NotionApi(notion.token, notion.url, pace=pace)
        self.workspace = Workspace(self.api, settings, now=self.time.now)
        self.writing = Writing(
            store,
            self.api,
            self.workspace,
            settings,
            Metrics(),
            monotonic=self.time.now,
            now=lambda: datetime.now(UTC) + self.late,
        )

    async def row(self, mailout: UUID | None = None, **columns: Any) -> str:
        """A row of the database that we know, with what people have written."""
        page = self.notion.make_page(
            {"Name": "June letter", "Preheader": "Hello", "Status": "Send", "Audience": ["spring"]}
        )
        await self.know(page, mailout, **columns)
        return page

    async def know(self, page: str, mailout: UUID | None = None, **columns: Any) -> None:
        given = {"delivery": None, "problem": None, "press": 1} | columns
        await self.arrange.sql.execute(
            "insert into notion_rows (page_id, mailout_id, delivery, problem, press, answered) "
            "values (%s, %s, %s, %s, %s, %s)",
            [page, mailout, given["delivery"], given["problem"], given["press"], given["press"]],
        )
        await self.store.notion_write_due(UUID(page))

    async def mailout(self, status: str = "sending", **recipients: int) -> UUID:
        """With that many recipients in each state."""
        mailout = await self.arrange.mailout(
            status, recipients=sum(recipients.values()), subject="June letter"
        )
        ended = "now()" if status in ("sent", "failed") else "null"
        await self.arrange.sql.execute(
            f"update mailouts set started_at = now() - interval '3 minutes', sent_at = {ended} "
            "where id = %s".encode(),
            [mailout],
        )
        for state, count in recipients.items():
            await self.add(mailout, state, count)
        return mailout

    async def add(self, mailout: UUID, state: str, count: int) -> None:
        await self.arrange.sql.execute(
            "insert into send_logs (mailout_id, subscriber_id, email, status) "
            "select %s, gen_random_uuid(), 'reader' || n || '@example.com', %s "
            "from generate_series(1, %s) n",
            [mailout, state, count],
        )

    async def move(self, mailout: UUID, before: str, after: str, count: int) -> None:
        await self.arrange.sql.execute(
            "update send_logs set status = %s where id in (select id from send_logs "
            "where mailout_id = %s and status = %s limit %s)",
            [after, mailout, before, count],
        )

    async def write(self, *, after: float = 3600) -> int:
        """All that will be due has become due, `after` seconds since the last write: write it."""
        await self.arrange.sql.execute(
            "update notion_writes set patched_at = patched_at - make_interval(secs => %s), "
            "due_at = case when lease_until is null then now() else due_at end "
            "where due_at is not null",
            [after],
        )
        return await self.writing.step()

    def patches(self) -> list[dict[str, Any]]:
        """The properties of each, those that were refused too."""
        asked = self.notion.requests("PATCH", "pages/")
        return [one["body"]["properties"] for one in asked]

    async def trouble(self) -> str | None:
        error: str | None = await self.arrange.one("select max(error) from notion_writes")
        return error


def ours(notion: NotionServer, page: str) -> dict[str, Any]:
    values = notion.values(page)
    return {name: value for name, value in values.items() if name not in PEOPLES}


def peoples(notion: NotionServer, page: str) -> dict[str, Any]:
    values = notion.values(page)
    return {name: values[name] for name in PEOPLES}
