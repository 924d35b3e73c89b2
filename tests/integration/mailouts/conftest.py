"""One start of the service for all tests of a module: each empties the tables first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from json import dumps
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, SECRET, Service, in_process, settings_for

# So that a mail could leave: a base address without https is for the sandbox.
COMPLETE = {"APP_BASE_URL": "https://mail.example.com"}


class Mailouts:
    """The service over HTTP with the shared secret, and its database."""

    def __init__(self, service: Service, arrange: Arrange) -> None:
        self.service = service
        self.http = service.http
        self.secret = SECRET
        self.arrange = arrange

    async def ask(
        self, method: str, path: str = "", expect: int = 200, json: Any = None, **options: Any
    ) -> httpx.Response:
        """options: of httpx, and `etag`."""
        headers = dict(BEARER)
        if (etag := options.pop("etag", None)) is not None:
            headers["If-Match"] = etag
        if json is not None:  # as Python writes it: also what is no proper JSON or Unicode
            options["content"] = dumps(json).encode()
            headers["Content-Type"] = "application/json"
        answer = await self.http.request(method, f"/mailouts{path}", headers=headers, **options)
        assert answer.status_code == expect, answer.text
        if expect >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
        return answer

    async def create(self, **columns: Any) -> httpx.Response:
        return await self.ask(
            "POST", "", 201, {"subject": "June", "body_html": "<p>Hi {{ name }}</p>", **columns}
        )

    async def made(self, **columns: Any) -> str:
        """The id of a new draft."""
        made: str = (await self.create(**columns)).json()["id"]
        return made

    async def show(self, mailout: object) -> dict[str, Any]:
        shown: dict[str, Any] = (await self.ask("GET", f"/{mailout}")).json()
        return shown


@pytest.fixture(scope="module")
async def service_of_mailouts(
    postgres_server: DatabaseServer,
) -> AsyncIterator[tuple[Service, str]]:
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        settings = settings_for(dsn, None, **COMPLETE)
        async with in_process(settings, with_sender=False) as service:
            yield service, dsn


@pytest.fixture
async def mailouts(service_of_mailouts: tuple[Service, str]) -> AsyncIterator[Mailouts]:
    service, dsn = service_of_mailouts
    async with await psycopg.AsyncConnection.connect(
        dsn, autocommit=True, row_factory=dict_row
    ) as sql:
        await sql.execute(
            "truncate mailouts, send_logs, send_requests, subscribers, subscriber_aliases, "
            "subscriber_changes, audit_log cascade"
        )
        yield Mailouts(service, Arrange(sql))
