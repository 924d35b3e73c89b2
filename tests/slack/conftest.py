"""A stand-in for Slack, and who tells it of mailouts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.settings import Settings
from app.store import Store
from tests.slack.desk import Desk, bot_settings, webhook_settings
from tests.support.factories import Arrange
from tests.support.slack import SlackStandIn


@pytest.fixture(scope="session")
def slack_server() -> Iterator[SlackStandIn]:
    with SlackStandIn() as server:
        yield server


@pytest.fixture
def slack(slack_server: SlackStandIn) -> SlackStandIn:
    """Fresh: an empty channel."""
    slack_server.reset()
    return slack_server


@pytest.fixture
def by_bot(dsn: str, slack: SlackStandIn) -> Settings:
    return bot_settings(dsn, slack)


@pytest.fixture
def by_webhook(dsn: str, slack: SlackStandIn) -> Settings:
    return webhook_settings(dsn, slack)


@pytest.fixture
async def any_bot(
    store: Store, slack: SlackStandIn, arrange: Arrange, by_bot: Settings
) -> AsyncIterator[Desk]:
    """Over each way to the database."""
    async with Desk(store, slack, arrange, by_bot) as desk:
        yield desk


@pytest.fixture
async def bot(
    direct_store: Store, slack: SlackStandIn, arrange: Arrange, by_bot: Settings
) -> AsyncIterator[Desk]:
    async with Desk(direct_store, slack, arrange, by_bot) as desk:
        yield desk


@pytest.fixture
async def webhook(
    direct_store: Store, slack: SlackStandIn, arrange: Arrange, by_webhook: Settings
) -> AsyncIterator[Desk]:
    async with Desk(direct_store, slack, arrange, by_webhook) as desk:
        yield desk
