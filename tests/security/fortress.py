"""The service with every road into it open, and a watch over what a refused request may not do:
change a row, or ask anybody anything."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg
from psycopg.rows import DictRow

from app.api.http.deps import Services
from app.listening import listen
from app.main import create_app, running
from app.processes.http import Http
from app.sandbox.providers.server import ProvidersServer
from app.settings import Settings
from tests.support.factories import Arrange
from tests.support.local_server import LocalServer, Reply
from tests.support.service import BEARER, SECRET, Service, client, settings_for

NOTION_TOKEN = "secret_verification_0123456789abcdefghij"

_TABLES = """
select c.oid::regclass::text as name from pg_class c
 where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
 order by 1
"""


class Outside:
    """Notes every connection, datagram and look at a name that Python makes in this process, while
    somebody listens. libpq's way to the database isn't Python's.

    Python calls hooks like this one for each (PEP 578), and they stay for ever, so there is one.
    """

    def __init__(self) -> None:
        self.asked: list[str] | None = None
        self.ours: set[int] = set()  # ports that a test itself talks to
        sys.addaudithook(self._note)

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.asked is None:
            return
        if event in {"socket.connect", "socket.sendto"}:
            address = arguments[1]
            if not (isinstance(address, tuple) and address[1] in self.ours):
                self.asked.append(f"{event} {address!r}")
        elif event in {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr"}:
            self.asked.append(f"{event} {arguments[:2]!r}")

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Fails when anybody outside was asked anything meanwhile."""
        asked: list[str] = []
        self.asked = asked
        try:
            yield
        finally:
            self.asked = None
        assert asked == [], "the service asked somebody outside"


OUTSIDE = Outside()


class Recorder(LocalServer):
    """Stands where Notion and Slack would, and notes who asks for what."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self.paths.append(path)
        return Reply.json({}, 404)


@dataclass
class Fortress:
    """service: with a client that speaks HTTP/1.1 with it over a real socket. sql: the superuser's
    connection. arrange: puts rows where a test needs them."""

    service: Service
    port: int
    sql: psycopg.AsyncConnection[DictRow]
    settings: Settings
    providers: ProvidersServer
    arrange: Arrange = field(init=False)

    def __post_init__(self) -> None:
        self.arrange = Arrange(self.sql)

    @property
    def http(self) -> httpx.AsyncClient:
        return self.service.http

    @property
    def services(self) -> Services:
        return self.service.services

    async def rows(self, but: Collection[str] = ()) -> dict[str, str | None]:
        """What is in each table, as a digest; None: nothing."""
        tables = [row["name"] for row in await (await self.sql.execute(_TABLES)).fetchall()]
        parts = [
            f"select '{name}' as name, md5(string_agg(t::text, ' ' order by t::text)) as digest "
            f"from {name} t"
            for name in tables
            if name not in but
        ]
        done = await self.sql.execute(" union all ".join(parts).encode())
        return {row["name"]: row["digest"] async for row in done}

    @asynccontextmanager
    async def untouched(self, but: Collection[str] = ()) -> AsyncIterator[None]:
        """What happens within changes no row (but: of these tables), and makes no outbound call."""
        before = await self.rows(but)
        with OUTSIDE.silent():
            yield
            await asyncio.sleep(0)  # whatever was left to be done later begins now
        after = await self.rows(but)
        changed = [name for name in before if before[name] != after[name]]
        assert changed == [], "the refused request changed rows"

    async def raw(self, request: bytes, seconds: float = 30) -> bytes:
        """What comes back for these very bytes until the service ends the connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(request)
        try:
            async with asyncio.timeout(seconds):
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def fortress_at(
    dsn: str, sandbox_url: str, providers: ProvidersServer, **changes: str | None
) -> AsyncIterator[Fortress]:
    """Everything is switched on; without a sender, so nothing happens that nobody asked for.

    changes: of settings.
    """
    with Recorder() as recorder:
        values: dict[str, str | None] = {
            "NOTION_API_TOKEN": "ntn_0123456789abcdefghij",
            "NOTION_DATABASE_ID": "1d2e3f40516273849a0b1c2d3e4f5061",
            "NOTION_API_URL": recorder.url,
            "NOTION_WEBHOOK_VERIFICATION_TOKEN": NOTION_TOKEN,
            "SLACK_BOT_TOKEN": "xoxb-0123456789",
            "SLACK_CHANNEL": "C0123456789",
            "SLACK_API_URL": f"{recorder.url}/api",
            "OWNER_EMAIL": "owner@example.com",
            "SIGNUP": "true",
            "FALLBACK_PROVIDERS": "sendgrid, mailgun",
            "SENDGRID_API_KEY": providers.sendgrid.config.api_key,
            "SENDGRID_WEBHOOK_PUBLIC_KEY": providers.sendgrid.public_key,
            "SENDGRID_API_URL": providers.url,
            "MAILGUN_API_KEY": providers.mailgun.config.api_key,
            "MAILGUN_DOMAIN": providers.mailgun.config.domain,
            "MAILGUN_WEBHOOK_SIGNING_KEY": providers.mailgun.config.signing_key,
            "MAILGUN_API_URL": providers.url,
            **changes,
        }
        settings = settings_for(dsn, sandbox_url, **values)
        listener = listen("127.0.0.1", 0, remedy="")
        with listener:
            port = listener.getsockname()[1]
            async with (
                Http(listener, asyncio.Event(), settings.forwarded_allow_ips) as server,
                running(settings, with_sender=False) as services,
                client(f"http://127.0.0.1:{port}", timeout=30) as http,
                await psycopg.AsyncConnection.connect(
                    dsn, autocommit=True, row_factory=psycopg.rows.dict_row
                ) as sql,
            ):
                server.root.app = create_app(services)
                OUTSIDE.ours.add(port)
                yield Fortress(Service(services, http), port, sql, settings, providers)
                OUTSIDE.ours.discard(port)


__all__ = ["BEARER", "NOTION_TOKEN", "OUTSIDE", "SECRET", "Fortress", "fortress_at"]
