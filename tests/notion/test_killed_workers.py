"""The work process over Notion and SES, killed again and again while rows are asked for."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from pathlib import Path

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.notion.server import NotionServer
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import environment, process
from tests.support.waiting import eventually

KILLS, ROWS, READERS = 12, 4, 5
ASK_AGAIN = "Set Status to Draft"


@pytest.mark.short
async def test_workers_that_are_killed_send_each_newsletter_once(
    dsn: str, tmp_path: Path, notion: NotionServer, arrange: Arrange
) -> None:
    """Every row ends with an answer, and nobody has a newsletter twice. After so many deaths a job
    may have been given up: then its row says so, and is asked again."""
    await arrange.subscribers(READERS)
    text = [{"type": "toggle", "toggle": {"rich_text": f"Part {n}", "children": ["Hi"]}}
            for n in range(8)]  # fmt: skip
    pages = [notion.make_page({"Name": f"Letter {n}"}, [*text, str(n)]) for n in range(ROWS)]

    async def open_rows() -> list[str]:
        found = await arrange.sql.execute(
            "select page_id, problem from notion_rows"
            " where seen_at is null or answered < press or problem is not null"
        )
        rows = [dict(row) for row in await found.fetchall()]
        for row in rows:
            if ASK_AGAIN in (row["problem"] or ""):
                notion.set(str(row["page_id"]), Status="Draft")
                await eventually(arrange_status(str(row["page_id"])), until=lambda s: s == "Draft")
                notion.set(str(row["page_id"]), Status="Send")
        states = await arrange.sql.execute("select status from mailouts where status <> 'sent'")
        return [str(row) for row in rows] + [str(row) for row in await states.fetchall()]

    def arrange_status(page: str):  # type: ignore[no-untyped-def]
        async def status() -> object:
            return await arrange.one("select status from notion_rows where page_id = %s", page)

        return status

    config = SandboxConfig(max_send_rate=100_000, max_24h_send=-1)
    with SandboxServer(config) as sandbox:
        variables = environment(
            dsn, sandbox.url,
            NOTION_API_URL=notion.url, NOTION_API_TOKEN=notion.token,
            NOTION_DATABASE_ID=notion.database_id, NOTION_POLL_SECONDS="1", LEASE_SECONDS="3",
        )  # fmt: skip
        for page in pages:
            notion.set(page, Status="Send")
        for _ in range(KILLS):
            with process(tmp_path, variables, "worker"):
                await asyncio.sleep(random.uniform(0.3, 2.0))
            # Time passes until its job's lease has run out.
            await arrange.sql.execute(
                "update jobs set lease_until = now() where state = 'running';"
                "update jobs set due_at = now() where state = 'waiting'"
            )
        with process(tmp_path, variables, "worker"):
            await eventually(open_rows, until=lambda rows: not rows, seconds=120)
        mails = Counter((str(mail["to"]), mail["subject"]) for mail in sandbox.mails())
    rows = await arrange.sql.execute("select status, count(*) from send_logs group by 1")
    counts = {row["status"]: row["count"] for row in await rows.fetchall()}
    assert set(mails.values()) <= {1}, mails
    assert len(mails) + counts.get("unknown", 0) >= ROWS * READERS
    assert sum(counts.values()) == ROWS * READERS
