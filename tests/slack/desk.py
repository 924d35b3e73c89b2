"""A process that tells Slack, and clocks that a test moves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from app.outside import slack_way
from app.services.telling.slack import TellSlack
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.factories import Arrange
from tests.support.service import settings_for
from tests.support.slack import CHANNEL, TOKEN, SlackStandIn

DAY = 86_400.0


def bot_settings(
    dsn: str, slack: SlackStandIn, ses: str | None = None, **more: str | None
) -> Settings:
    own: dict[str, str | None] = {
        "SLACK_BOT_TOKEN": TOKEN,
        "SLACK_CHANNEL": CHANNEL,
        "SLACK_API_URL": slack.api_url,
    }
    return settings_for(dsn, ses, **(own | more))


def webhook_settings(
    dsn: str, slack: SlackStandIn, ses: str | None = None, **more: str | None
) -> Settings:
    own: dict[str, str | None] = {"SLACK_WEBHOOK_URL": slack.webhook_url}
    return settings_for(dsn, ses, **(own | more))


class Desk:
    """An async context manager. late: how far the teller's clock is ahead."""

    def __init__(
        self, store: Store, slack: SlackStandIn, arrange: Arrange, settings: Settings
    ) -> None:
        self.store, self.slack, self.arrange, self.settings = store, slack, arrange, settings
        self.late = timedelta(0)
        self.way = slack_way(settings)
        self.telling = TellSlack(
            store, self.way, settings, Metrics(), now=lambda: datetime.now(UTC) + self.late
        )

    async def __aenter__(self) -> Self:
        await self.way.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.way.__aexit__(None, None, None)

    async def mailout(self, status: str = "sending", **recipients: int) -> UUID:
        """With that many recipients in each state; its change of state has been seen."""
        mailout = await self.arrange.mailout(subject="June letter")
        for state, count in recipients.items():
            await self.arrange.sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email, status) "
                "select %s, gen_random_uuid(), 'reader' || n || '@example.com', %s "
                "from generate_series(1, %s) n",
                [mailout, state, count],
            )
        await self.arrange.sql.execute(
            "update mailouts set status = 'sending', recipients = %s, "
            "started_at = now() - interval '3 minutes' where id = %s",
            [sum(recipients.values()), mailout],
        )
        if status != "sending":
            await self.becomes(mailout, status)
        return mailout

    async def becomes(self, mailout: UUID, status: str, **columns: Any) -> None:
        """Another state, as a transition makes it."""
        ended = {"sent_at": datetime.now(UTC)} if status in ("sent", "failed") else {}
        values = {"pause_code": None, "status_reason": None, **ended, **columns, "status": status}
        names = ", ".join(f"{name} = %s" for name in values)
        await self.arrange.sql.execute(
            f"update mailouts set {names} where id = %s".encode(), [*values.values(), mailout]
        )

    async def move(self, mailout: UUID, before: str, after: str, count: int) -> None:
        await self.arrange.sql.execute(
            "update send_logs set status = %s where id in (select id from send_logs "
            "where mailout_id = %s and status = %s order by id limit %s)",
            [after, mailout, before, count],
        )

    async def pass_time(self, seconds: float) -> None:
        """As if so many seconds had passed, for the queue."""
        await self.arrange.sql.execute(
            "update slack_messages set due_at = due_at - make_interval(secs => %s), "
            "asked_at = asked_at - make_interval(secs => %s), "
            "lease_until = lease_until - make_interval(secs => %s), "
            "error_since = error_since - make_interval(secs => %s)",
            [seconds] * 4,
        )
        await self.arrange.sql.execute(
            "update slack_pace set next_at = next_at - make_interval(secs => %s)", [seconds]
        )

    async def tell(self, *, after: float = 2.0) -> int:
        """Take a step after so many seconds; gives how often Slack was asked."""
        await self.pass_time(after)
        before = len(self.slack.asked)
        await self.telling.step()
        return len(self.slack.asked) - before

    async def tell_all(self) -> None:
        """What is due now, a request a second."""
        while await self.tell():
            pass

    async def row(self, mailout: UUID) -> dict[str, Any]:
        done = await self.arrange.sql.execute(
            "select *, extract(epoch from due_at - clock_timestamp())::float as due_in "
            "from slack_messages where mailout_id = %s",
            [mailout],
        )
        found = await done.fetchone()
        assert found is not None
        return dict(found)
