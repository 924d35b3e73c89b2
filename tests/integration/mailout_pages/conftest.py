from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest

from app.sandbox.server import SandboxServer
from tests.support.dashboard import Visitor, signed_in
from tests.support.factories import Arrange
from tests.support.service import Service, in_process, settings_for

Named = Callable[[], Awaitable[UUID]]


@pytest.fixture
async def able(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """A service that is set up to send, without a sender: what is started stays as it started."""
    settings = settings_for(dsn, sandbox.url, TEST_EMAILS="team@example.com")
    async with in_process(settings, with_sender=False) as running:
        yield running


@pytest.fixture
async def person(able: Service) -> AsyncIterator[Visitor]:
    """Somebody who signed in to it."""
    async with signed_in(able) as visitor:
        yield visitor


@pytest.fixture
def named(arrange: Arrange) -> Named:
    """A mailout that Ann got and Bob didn't."""

    async def made() -> UUID:
        mailout = await arrange.mailout("sent", started_at="2026-01-01", recipients=2)
        for email, name, status, bounce in (
            ("ann@example.com", "Ann Hill", "delivered", (None, None)),
            ("bob@example.com", None, "bounced", ("Permanent", "NoEmail")),
        ):
            subscriber = await arrange.subscriber(email, name=name)
            await arrange.sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email, status, bounce_type, "
                "bounce_subtype, sent_at) values (%s, %s, %s, %s, %s, %s, now())",
                [mailout, subscriber, email, status, *bounce],
            )
        return mailout

    return made
