"""Hooks, what they were told, and a receiver on this machine."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
import pytest
from standardwebhooks import Webhook

from app.domain.hooks.events import EVENTS
from app.domain.hooks.signing import new_secret
from app.services.hooks.deliver import DeliverHooks
from app.services.hooks.poster import Poster
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.support.factories import Arrange
from tests.support.local_server import LocalServer, Reply


@dataclass
class Outbox:
    """What was written to be told."""

    arrange: Arrange

    async def told(self) -> list[tuple[str, dict[str, Any]]]:
        """Each event with its data, in the order of writing."""
        return [(row["type"], row["data"]) for row in await self.rows()]

    async def types(self) -> list[str]:
        return [row["type"] for row in await self.rows()]

    async def rows(self) -> list[dict[str, Any]]:
        done = await self.arrange.sql.execute("select * from hook_deliveries order by id")
        return [dict(row) async for row in done]

    async def clear(self) -> None:
        await self.arrange.sql.execute("delete from hook_deliveries")


@pytest.fixture
def outbox(arrange: Arrange) -> Outbox:
    return Outbox(arrange)


async def a_hook(
    store: Store, url: str = "https://example.com/hook", *events: str, rate: float = 1000.0
) -> UUID:
    """One that wants these events, or all."""
    made = await store.subscribe_hook(
        url,
        events or EVENTS,
        secret=new_secret(),
        description="",
        source=None,
        rate_per_second=rate,
        keep_seconds=0,
        by="owner",
    )
    return UUID(made["id"])


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def payload(self) -> dict[str, Any]:
        payload: dict[str, Any] = orjson.loads(self.body)
        return payload

    @property
    def subject(self) -> str:
        data = self.payload["data"]
        return str(data.get("subscriber_id") or data["id"])

    def verified(self, secret: str) -> dict[str, Any]:
        """As a receiver reads it, with the library that Standard Webhooks gives it."""
        payload: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return payload


class Receiver(LocalServer):
    """Keeps what comes, in order. answer: what each gets."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.answer: Callable[[Received], Reply] = lambda _: Reply(204, b"")
        self._one = threading.Lock()

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        names = {name.lower(): value for name, value in headers.items()}
        with self._one:
            self.received.append(Received(path, names, body))
            return self.answer(self.received[-1])

    @property
    def hook_url(self) -> str:
        return f"{self.url}/hook/s3cret-path"

    @property
    def types(self) -> list[str]:
        return [one.payload["type"] for one in self.received]


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server whose connections this handles; what still does at the end is ended."""
    handling: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handling.add(task)
        try:
            with suppress(ConnectionError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(handle, "127.0.0.1", ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]
        for task in handling:
            task.cancel()
        await asyncio.gather(*handling, return_exceptions=True)


async def silence(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Takes a connection, and never says a word."""
    await asyncio.sleep(60)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture
async def poster() -> AsyncIterator[Poster]:
    """One that may reach this machine."""
    async with Poster(allow_private=True) as one:
        yield one


@pytest.fixture
def deliverer(direct_store: Store, poster: Poster) -> DeliverHooks:
    return DeliverHooks(direct_store, poster, Metrics())


@dataclass
class Later:
    """Lets time pass for deliveries, by SQL."""

    arrange: Arrange

    async def all_due(self) -> None:
        """Whatever waits is due, and no endpoint is left alone."""
        await self.arrange.sql.execute(
            "update hook_deliveries set due_at = clock_timestamp() where state = 'waiting'; "
            "update hooks set held_until = null, next_token_at = '-infinity'"
        )

    async def hours(self, count: float) -> None:
        await self.arrange.sql.execute(
            "update hook_deliveries set due_at = due_at - {0}, settled_at = settled_at - {0}, "
            "lease_until = lease_until - {0}, occurred_at = occurred_at - {0}; "
            "update hooks set held_until = held_until - {0}, failing_since = failing_since - {0}, "
            "failed_at = failed_at - {0}".format(f"interval '{count} hours'").encode()
        )


@pytest.fixture
def later(arrange: Arrange) -> Later:
    return Later(arrange)
