"""A stand-in for Notion with the database for newsletters in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.server import NotionServer


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
