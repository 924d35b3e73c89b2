"""A stand-in for Notion with the database for newsletters in it, and who looks at its rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.server import NotionServer
from tests.notion.support_rows import Looker, looking, notion_settings
from tests.support.factories import Arrange


@pytest.fixture(scope="session")
def notion_server() -> Iterator[NotionServer]:
    with NotionServer(NotionConfig(retry_delay=(0.0, 0.0))) as server:
        yield server


@pytest.fixture
def notion(notion_server: NotionServer) -> NotionServer:
    """Fresh: one empty database of newsletters, `database_id` and `data_source_id`, shared with the
    connection. A module that keeps a service running starts a NotionServer of its own."""
    notion_server.reset()
    notion_server.make_newsletters()
    return notion_server


@pytest.fixture
async def looker(
    dsn: str, postgres_database: PostgresDatabase, notion: NotionServer
) -> AsyncIterator[Looker]:
    settings = notion_settings(dsn, notion, TIMEZONE="Europe/Berlin")
    async with looking(postgres_database, settings) as looker:
        yield looker


@pytest.fixture
async def readers(arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", name="Ann", tags=["spring"])
    await arrange.subscriber("ben@example.com", name="Ben")
