"""The service as it runs: a Status is set in Notion, and the row says what became of it."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.notion.server import NotionServer
from app.sandbox.server import SandboxServer
from tests.notion.support_rows import notion_settings
from tests.support.factories import Arrange
from tests.support.service import in_process
from tests.support.waiting import eventually


async def test_from_a_status_in_notion_to_the_figures_in_the_row(
    dsn: str, notion: NotionServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.notion.writing.GAP_SECONDS", 0.2)
    await arrange.subscribers(3)
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as sandbox:
        settings = notion_settings(
            dsn, notion,
            AWS_ENDPOINT_URL_SESV2=sandbox.url, AWS_ENDPOINT_URL_SNS=sandbox.url,
            NOTION_POLL_SECONDS="1",
        )  # fmt: skip
        page = notion.make_page({"Name": "June letter", "Status": "Send"}, ["Dear {{ name }},"])
        empty = notion.make_page({"Name": "", "Status": "Send test"})

        async def row() -> dict[str, Any]:
            return notion.values(page)

        async def refused() -> dict[str, Any]:
            return notion.values(empty)

        async with in_process(settings):
            sent = await eventually(row, until=lambda row: row["Delivery"] == "Sent")
            told = await eventually(refused, until=lambda row: row["Problem"])
        assert (sent["Status"], sent["Recipients"], sent["Accepted"]) == ("Send", 3, 3)
        assert sent["Mailout"].startswith("http://localhost:8000/dashboard/mailouts/")
        assert (told["Delivery"], told["Status"]) == ("Problem", "Send test")
        assert "no Name" in told["Problem"]
        assert Counter(mail["subject"] for mail in sandbox.mails()) == {"June letter": 3}
