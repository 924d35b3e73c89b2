"""Rows with sensible defaults; a test names only what it is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from app.domain.mailouts import Claim
from app.domain.sending.batches import Account, Batch, Idle, Result
from app.domain.sending.guards import GuardLimits
from app.store import Store

REGION = "us-east-1"
Sql = psycopg.AsyncConnection[DictRow]


@dataclass
class Arrange:
    """Puts rows where a test needs them, over the superuser's connection."""

    sql: Sql

    async def subscriber(self, email: str | None = None, **columns: Any) -> UUID:
        row = {"email": email or f"{uuid4().hex}@example.com", **columns}
        if "fields" in row:
            row["fields"] = Jsonb(row["fields"])
        return await self._insert("subscribers", row)

    async def unusable_subscriber(self, email: str, **columns: Any) -> UUID:
        """One from before the database refused what can't be mailed: without an address."""
        async with self.sql.transaction():
            switch = "alter table subscribers {} trigger subscribers_set_address"
            await self.sql.execute(switch.format("disable").encode())
            added = await self.subscriber(email, **columns)
            await self.sql.execute(switch.format("enable").encode())
        return added

    async def subscribers(self, count: int) -> None:
        await self.sql.execute(
            "insert into subscribers (email, name, created_at) "
            "select 'reader' || n || '@example.com', 'Reader ' || n, now() - interval '1 day' "
            "from generate_series(1, %s) n",
            [count],
        )

    async def bring_back_everybody(self) -> None:
        """As a person may who says why."""
        await self.sql.execute(
            "select acting('database', 'They asked.'); update subscribers set status = 'active'"
        )

    async def mailout(self, status: str = "ready", **columns: Any) -> UUID:
        row = {
            "subject": "Hello",
            "body_html": "<p>Hi {{ name }}</p>",
            "status": status,
            **columns,
        }
        if row.get("audience") is not None:
            row["audience"] = Jsonb(row["audience"])
        return await self._insert("mailouts", row)

    async def being_sent(self) -> UUID:
        """A mailout whose only recipient is due tomorrow: a running sender, which would finish one
        without anybody, can't finish it."""
        async with self.sql.transaction():
            mailout = await self.mailout("sending")
            await self.sql.execute(
                "insert into send_logs (mailout_id, subscriber_id, email, next_attempt_at) "
                "values (%s, %s, 'tomorrow@example.com', now() + interval '1 day')",
                [mailout, await self.subscriber("tomorrow@example.com")],
            )
        return mailout

    async def _insert(self, table: str, row: dict[str, Any]) -> UUID:
        names = psycopg.sql.SQL(", ").join(map(psycopg.sql.Identifier, row))
        values = psycopg.sql.SQL(", ").join(psycopg.sql.Placeholder() * len(row))
        statement = psycopg.sql.SQL("insert into {} ({}) values ({}) returning id").format(
            psycopg.sql.Identifier(table), names, values
        )
        done = await self.sql.execute(statement, list(row.values()))
        found = await done.fetchone()
        assert found is not None
        identity: UUID = found["id"]
        return identity

    async def counts(self, mailout_id: UUID) -> dict[str, int]:
        """Rows per status, test rows aside; only those that occur."""
        done = await self.sql.execute(
            "select status, count(*) as n from send_logs where mailout_id = %s and not is_test "
            "group by status",
            [mailout_id],
        )
        return {row["status"]: row["n"] async for row in done}

    async def one(self, query: str, *values: Any) -> Any:
        """The first column of the first row; None without a row."""
        done = await self.sql.execute(query.encode(), values)
        row = await done.fetchone()
        return None if row is None else next(iter(row.values()))


async def claim_mailout(
    store: Store,
    mailout_id: UUID,
    *,
    request_key: str | None = None,
    request_hash: str | None = None,
) -> Claim:
    """Claim a mailout with the content that it has now; nobody is queued yet."""
    mailout = await store.find_mailout(mailout_id)
    assert mailout is not None
    return await store.claim_mailout(
        mailout_id, mailout.content_hash, request_key=request_key, request_hash=request_hash
    )


async def start(store: Store, mailout_id: UUID) -> None:
    """Claim a ready mailout and queue its audience."""
    assert (await claim_mailout(store, mailout_id)).outcome == "claimed"
    while not (await store.queue_recipients(mailout_id, 1_000))[1]:
        pass


async def started_mailout(store: Store, arrange: Arrange, readers: int) -> UUID:
    """A mailout that is sending, and to whom: that many new subscribers are queued."""
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    await start(store, mailout)
    return mailout


async def living_sender(
    store: Store, *, rate: float = 1e6, lease: float = 60, account: Account | None = None
) -> UUID:
    """A sender's id with a fresh heartbeat, and an account that lets it send."""
    sender = uuid4()
    await store.record_account(REGION, account or an_account())
    await store.heartbeat(sender, region=REGION, label="test", lease_seconds=lease, rate_limit=rate)
    return sender


async def let_judge(arrange: Arrange, sender: UUID) -> None:
    """Let it call others' recipients unknown, as who has lived for five minutes may."""
    await arrange.sql.execute(
        "update executors set alive_since = now() - interval '5 minutes' where id = %s", [sender]
    )


def an_account(**changes: Any) -> Account:
    values: dict[str, Any] = {
        "max_send_rate": 1e6,
        "max_24h_send": -1,
        "sent_last_24h": 0,
        "sending_enabled": True,
        "enforcement_status": "HEALTHY",
        "production_access": True,
    }
    return Account(**values | changes)


async def try_claim(
    store: Store,
    mailout_id: UUID,
    sender: UUID,
    *,
    limit: int = 50,
    test: bool = False,
    guards: GuardLimits | None = None,
    region: str = REGION,
) -> Batch | Idle:
    """One batch, or why there is none. region: the route."""
    claimed = await store.claim_batches(
        mailout_id,
        sender,
        attempts=[uuid4()],
        region=region,
        limit=limit,
        test=test,
        guards=guards,
    )
    if isinstance(claimed, Idle):
        return claimed
    [batch] = claimed
    return batch


async def claim(store: Store, mailout_id: UUID, sender: UUID, limit: int = 50) -> Batch:
    batch = await try_claim(store, mailout_id, sender, limit=limit)
    assert isinstance(batch, Batch), batch
    return batch


def all_sent(batch: Batch) -> list[Result]:
    return [
        Result(r.send_log_id, "sent", message_id=f"message-{r.send_log_id}")
        for r in batch.recipients
    ]
