"""A real send, and a Notion that hears of it late."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.notion.server import NotionServer
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.notion.desk import Desk, ours, settings_with
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.telling import events_tell
from tests.support.waiting import eventually


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


async def test_a_send_never_waits_for_notion_and_the_row_says_it_all_in_the_end(
    direct_store: Store, notion: NotionServer, sandbox: SandboxServer, arrange: Arrange, dsn: str
) -> None:
    """429 from the start to the end of the send, ten minutes long by the writer's clock; then
    deliveries, a bounce, a complaint, and who unsubscribes."""
    sandbox.reset()
    await arrange.subscribers(7)
    mailout = await arrange.mailout(subject="June letter")
    desk = Desk(direct_store, notion, arrange, settings_with(dsn, notion))
    page = await desk.row(mailout)
    notion.fail(429, retry_after=600)

    async def sent() -> str:
        await desk.write()
        return str((await service.show(mailout))["status"])

    async with desk.api, in_process(settings_for(dsn, sandbox.url)) as service:
        assert (await service.send(mailout)).status_code == 202
        await eventually(sent, until=lambda status: status == "sent")
        assert len(sandbox.mails()) == 7
        assert "asks to wait" in str(await desk.trouble())
        assert ours(notion, page)["Delivery"] is None

        notion.heal()
        desk.time.passed += 600
        await desk.write()
        found = ours(notion, page)
        assert (found["Delivery"], found["Accepted"], found["Delivered"]) == ("Sent", 7, 0)
        assert found["Progress"].startswith("Sent on ")
        assert found["Statement"]

        await events_tell(
            direct_store, arrange, mailout, "bounce", "complaint", "delivery", "delivery"
        )
        await arrange.sql.execute(
            "update send_logs set unsubscribed_at = now() where id = "
            "(select min(id) from send_logs where status = 'delivered')"
        )
        await desk.write()
        found = ours(notion, page)
    figures = ("Recipients", "Accepted", "Delivered", "Bounced", "Complained", "Unsubscribed")
    assert [found[name] for name in figures] == [7, 7, 3, 1, 1, 1]
    assert "3 of 7 recipients delivered so far (42%)" in found["Progress"]


@pytest.mark.short
async def test_the_work_process_writes_and_says_when_it_cannot(
    direct_store: Store, notion: NotionServer, arrange: Arrange, dsn: str, sandbox: SandboxServer
) -> None:
    """On the mailout's page and in /health, as a note."""
    settings = settings_with(dsn, notion, sandbox.url)
    desk = Desk(direct_store, notion, arrange, settings)
    page = await desk.row(await desk.mailout("sent", delivered=2))
    refused = await desk.mailout("sent", delivered=3)

    async with desk.api, in_process(settings) as service:

        async def delivered() -> Any:
            return ours(notion, page)["Delivered"]

        await eventually(delivered, until=lambda count: count == 2)
        assert (await service.healthy())["checks"]["notion"] == {"status": "ok"}
        notion.revoke_token()
        await desk.row(refused)
        await eventually(direct_store.notion_writes_trouble, until=bool)
        async with signed_in(service) as visitor:
            told = (await visitor.get(f"/mailouts/{refused}")).text
        report = await eventually(
            service.health, until=lambda one: one["checks"]["notion"]["status"] == "warn"
        )
    assert "Notion couldn’t be told since" in told
    assert "NOTION_API_TOKEN" in told
    assert report["code"] == 200
    assert "1 row couldn't be written: Notion doesn't" in report["checks"]["notion"]["detail"]
