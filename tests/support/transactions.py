"""Two transactions, stepped by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from app.domain.sending.batches import Batch, Outcome, Result
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    claim,
    living_sender,
    started_mailout,
)
from tests.support.waiting import eventually


class Transaction:
    """A connection of its own with an open transaction."""

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self._connection = connection

    async def call(self, function: str, **arguments: Any) -> Any:
        """Run one of our functions; the transaction stays open."""
        names = ", ".join(f"{name} => %({name})s" for name in arguments)
        values = {
            name: Jsonb(value) if isinstance(value, list | dict) else value
            for name, value in arguments.items()
        }
        done = await self._connection.execute(f"select {function}({names})".encode(), values)
        row = await done.fetchone()
        assert row is not None
        return row[0]

    async def record(self, batch: Batch, outcome: Outcome, *, message_id: str | None = None) -> Any:
        results = [
            Result(r.send_log_id, outcome, message_id=message_id).to_row() for r in batch.recipients
        ]
        return await self.call("record_results", p_attempt=batch.attempt_id, p_results=results)

    async def claim(
        self, mailout: UUID, sender: UUID, limit: int = 50, region: str = REGION
    ) -> Any:
        answer = await self.call(
            "claim_batches",
            p_mailout=mailout,
            p_executor=sender,
            p_region=region,
            p_limit=limit,
            p_attempts=[str(uuid4())],
        )
        return answer["batches"][0] if "batches" in answer else answer

    async def block(self, mailout: UUID, region: str, routes: Sequence[str]) -> Any:
        return await self.call(
            "block_route",
            p_mailout=mailout,
            p_region=region,
            p_code="account",
            p_reason="refused",
            p_routes=list(routes),
        )

    async def lock(self, mailout: UUID) -> None:
        """As a group of results does with each of its mailouts, in the order of their ids."""
        await self._connection.execute("select from mailouts where id = %s for share", [mailout])

    async def commit(self) -> None:
        await self._connection.commit()

    async def roll_back(self) -> None:
        """As when the connection is lost before the commit."""
        await self._connection.rollback()

    @property
    def pid(self) -> int:
        return self._connection.info.backend_pid


@asynccontextmanager
async def open_transaction(dsn: str) -> AsyncIterator[Transaction]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield Transaction(connection)


async def blocked(
    arrange: Arrange, waiting: Transaction, step: Awaitable[Any]
) -> asyncio.Task[Any]:
    """`step` of `waiting`, begun, and seen to wait for a lock."""
    task = asyncio.ensure_future(step)

    async def waits() -> bool:
        if task.done():
            task.result()
            raise AssertionError("it did not wait")
        return bool(
            await arrange.one(
                "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s", waiting.pid
            )
        )

    await eventually(waits, until=bool)
    return task


async def beside(
    arrange: Arrange, waiting: Transaction, step: Awaitable[Any], holder: Transaction
) -> None:
    """Run `step` as far as it comes beside the open transaction of `holder`; commit both."""
    task = asyncio.ensure_future(step)

    async def came_as_far_as_it_can() -> bool:
        return task.done() or bool(
            await arrange.one(
                "select wait_event_type = 'Lock' from pg_stat_activity where pid = %s", waiting.pid
            )
        )

    await eventually(came_as_far_as_it_can, until=bool)
    await holder.commit()
    await task
    await waiting.commit()


async def prepared(store: Store, arrange: Arrange, readers: int = 1) -> tuple[UUID, UUID]:
    """A started mailout and a living sender."""
    mailout = await started_mailout(store, arrange, readers)
    return mailout, await living_sender(store)


async def in_flight(store: Store, arrange: Arrange) -> tuple[UUID, Batch]:
    mailout, sender = await prepared(store, arrange)
    return mailout, await claim(store, mailout, sender)


async def status(arrange: Arrange, mailout: UUID) -> str:
    found: str = await arrange.one("select status from mailouts where id = %s", mailout)
    return found


# Events and record


def bounce(batch: Batch, *, tagged: bool) -> list[dict[str, Any]]:
    tags = {
        "mailout_id": str(batch.mailout_id),
        "send_log_id": str(batch.recipients[0].send_log_id),
        "attempt": str(batch.attempt_id),
    }
    event: dict[str, Any] = {
        "sns_message_id": str(uuid4()),
        "type": "bounce",
        "message_id": "m",
        "occurred_at": "2026-11-24T12:00:00+00:00",
        "bounce_type": "Permanent",
        "bounce_subtype": "General",
        "suppresses": "bounced",
        "detail": None,
        "payload": {},
        **(tags if tagged else dict.fromkeys(tags)),
    }
    return [event]
