"""The running service, and a Slack that is there, isn't there, or says no."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.slack.desk import bot_settings, webhook_settings
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for
from tests.support.slack import TOKEN, SlackStandIn
from tests.support.telling import events_tell
from tests.support.waiting import eventually


async def hurry(arrange: Arrange) -> None:
    """Whoever waits for a mailout's or for Slack's time has waited."""
    await arrange.sql.execute(
        "update slack_messages set due_at = now() where lease_until is null and due_at is not null"
    )
    await arrange.sql.execute("update slack_pace set next_at = now()")


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


async def test_mailouts_are_told_by_the_running_service(
    dsn: str,
    slack: SlackStandIn,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """To its late figures. A Slack that asks to wait, and one that refuses the token, delay no
    mail. Nothing that is logged holds the token, before what makes lines safe; of libraries
    only warnings are (logs.py)."""
    caplog.set_level("WARNING")
    await arrange.subscribers(5)
    settings = bot_settings(dsn, slack, sandbox.url)
    with capture_logs() as logs:
        async with in_process(settings) as service:

            async def send(subject: str) -> UUID:
                mailout = await arrange.mailout(subject=subject)
                assert (await service.send(mailout)).status_code == 202
                await eventually(
                    lambda: service.show(mailout), until=lambda one: one["status"] == "sent"
                )
                return mailout

            async def shown() -> str:
                await hurry(arrange)
                return slack.there[-1].shown if slack.there else ""

            async def note() -> str:
                return str((await service.healthy())["checks"]["slack"].get("detail"))

            mailout = await send("First letter")
            await events_tell(direct_store, arrange, mailout, "delivery", "delivery", "bounce")
            await eventually(shown, until=lambda text: "*Bounced*\n1" in text)
            first = slack.only
            assert "“First letter” is sent." in first.shown
            assert (first.fields["Recipients"], first.fields["Delivered so far"]) == ("5", "2")
            assert f"{settings.app_base_url}/dashboard/mailouts/{mailout}" in first.links

            slack.throttle(3600)
            await send("Second letter")
            await eventually(note, until=lambda text: "Slack asks to wait 3600 s" in text)
            slack.heal()
            await eventually(shown, until=lambda text: "“Second letter” is sent." in text)

            slack.token_error = "token_revoked"
            third = await send("Third letter")
            await hurry(arrange)
            await eventually(note, until=lambda text: "SLACK_BOT_TOKEN was revoked" in text)
            async with signed_in(service) as visitor:
                page = (await visitor.get(f"/mailouts/{third}")).text
                whole = (await visitor.get("/slack")).text
            assert "Slack couldn’t be told since" in page
            assert "SLACK_BOT_TOKEN was revoked" in page
            assert "couldn’t be told of since" in whole
            assert "SLACK_BOT_TOKEN was revoked" in whole
            assert TOKEN not in whole
    assert len(slack.there) == 2
    assert {"slack_told", "slack_not_told"} <= {one["event"] for one in logs}
    assert TOKEN not in f"{logs}{caplog.text}"


async def test_a_webhook_is_told_where_nothing_can_be_sent(
    dsn: str, slack: SlackStandIn, arrange: Arrange, direct_store: Store
) -> None:
    """A process without SES's settings tells what others do."""
    settings = webhook_settings(dsn, slack, SES_FROM_EMAIL=None)
    async with in_process(settings) as service:
        mailout = await arrange.being_sent()
        await direct_store.pause_mailout(mailout, "guard", "5 % bounced for good.")

        async def told() -> list[str]:
            return [one.shown for one in slack.there]

        [shown] = await eventually(told, until=bool)
        assert "5 % bounced for good." in shown
        assert "It waits for you" in shown
        assert (await service.health())["checks"]["slack"] == {"status": "ok"}


async def test_where_no_slack_is_set_nothing_is_told(
    dsn: str, slack: SlackStandIn, arrange: Arrange, direct_store: Store
) -> None:
    """What happened meanwhile is there, should it be set within a day."""
    async with in_process(settings_for(dsn, None, SES_FROM_EMAIL=None)) as service:
        mailout = await arrange.being_sent()
        await direct_store.pause_mailout(mailout, "held", "No.")
        assert "slack" not in (await service.health())["checks"]
        async with signed_in(service) as visitor:
            assert "Nobody is told in Slack yet" in (await visitor.get("/slack")).text
    async with in_process(bot_settings(dsn, slack, SES_FROM_EMAIL=None)):

        async def told() -> list[str]:
            return [one.shown for one in slack.there]

        [shown] = await eventually(told, until=bool)
    assert "is paused" in shown
