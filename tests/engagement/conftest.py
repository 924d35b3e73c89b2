"""One start of the service for all tests of a module: each empties the tables first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.dashboard import Visitor, signed_in
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for


@dataclass
class Readership:
    """The service over HTTP with the shared secret, somebody who signed in, and the database."""

    service: Service
    visitor: Visitor
    arrange: Arrange
    dsn: str

    async def ask(self, path: str, expect: int = 200) -> httpx.Response:
        answer = await self.service.http.get(path, headers=BEARER)
        assert answer.status_code == expect, answer.text
        return answer

    async def json(self, path: str, expect: int = 200) -> Any:
        return (await self.ask(path, expect)).json()


@pytest.fixture(scope="module")
async def _readership_service(
    postgres_server: DatabaseServer,
) -> AsyncIterator[tuple[Service, Visitor, str]]:
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        async with (
            in_process(settings_for(dsn, None), with_sender=False) as service,
            signed_in(service) as visitor,
        ):
            yield service, visitor, dsn


@pytest.fixture
async def readership(
    _readership_service: tuple[Service, Visitor, str],
) -> AsyncIterator[Readership]:
    service, visitor, dsn = _readership_service
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        await sql.execute(
            "truncate mailouts, send_logs, subscribers, subscriber_aliases, subscriber_changes, "
            "audit_log, ses_events, mailout_links, engagement_signals, engagement_recipients, "
            "erased "
            "cascade"
        )
        yield Readership(service, visitor, Arrange(sql), dsn)
