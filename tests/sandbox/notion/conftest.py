"""The stand-in for Notion, asked by notion-client, which knows nothing of this program."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from notion_client import Client

from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.server import NotionServer

VERSION = "2026-03-11"


@pytest.fixture(scope="session")
def server() -> Iterator[NotionServer]:
    with NotionServer(NotionConfig(retry_delay=(0.0, 0.0))) as running:
        yield running


@pytest.fixture
def notion(server: NotionServer) -> NotionServer:
    server.reset()
    server.make_newsletters()
    return server


@pytest.fixture
def client(notion: NotionServer) -> Iterator[Any]:
    """Any: the library types each answer as perhaps to be awaited."""
    with Client(auth=notion.token, base_url=notion.url, notion_version=VERSION, retry=False) as one:
        yield one
