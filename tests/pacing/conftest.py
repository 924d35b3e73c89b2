"""Mailouts to people of several mailbox providers, and limits on them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.domain.pacing.mailboxes import described
from app.domain.sending.batches import Batch, Idle
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account, start

OTHER = "eu-west-1"


@pytest.fixture
def store(postgres_database: PostgresDatabase) -> Store:
    """Over a direct connection; test_both_ways.py is about the other way, too."""
    return Store(postgres_database)


async def a_mailout_to(store: Store, arrange: Arrange, **readers: int) -> UUID:
    """One that is sending, to so many people at each provider: `gmail`, `example`; in turns."""
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) "
        "select format('reader%%s@%%s.com', n, d.key), now() - interval '1 day' "
        "from jsonb_each_text(%s::jsonb) d, generate_series(1, d.value::integer) n order by n",
        [orjson.dumps(readers).decode()],
    )
    mailout = await arrange.mailout()
    await start(store, mailout)
    return mailout


async def sender_on(store: Store, region: str = REGION, *, rate: float = 1e6) -> UUID:
    sender = uuid4()
    await store.record_account(region, an_account())
    await store.heartbeat(sender, region=region, label="test", lease_seconds=600, rate_limit=rate)
    return sender


async def claim_on(
    store: Store,
    mailout: UUID,
    sender: UUID,
    region: str = REGION,
    *,
    limit: int = 50,
    batches: int = 1,
    after: int = 0,
) -> tuple[Batch, ...] | Idle:
    return await store.claim_batches(
        mailout, sender, attempts=[uuid4() for _ in range(batches)], region=region, limit=limit,
        after=after,
    )  # fmt: skip


def domains(claimed: tuple[Batch, ...] | Idle) -> dict[str, int]:
    assert not isinstance(claimed, Idle), claimed
    return dict(Counter(r.email.split("@")[1] for batch in claimed for r in batch.recipients))


async def all_domains(
    store: Store, mailout: UUID, sender: UUID, region: str = REGION, **how: Any
) -> tuple[dict[str, int], Idle]:
    """Whom a sender gets until there is nobody more for it, and why there isn't."""
    found: Counter[str] = Counter()
    while True:
        claimed = await claim_on(store, mailout, sender, region, **how)
        if not isinstance(claimed, Idle):
            found.update(domains(claimed))
        elif claimed.reason != "skipped":
            return dict(found), claimed


async def a_pace(arrange: Arrange, key: str, rate: float, region: str = REGION) -> None:
    """A provider that is slowed down for the next hour, whose first token is due now."""
    [box] = described([key])
    await arrange.sql.execute(
        "insert into provider_paces (region, key, domains, pattern, rate, ceiling, next_at, since, "
        "slowed_at, raised_at, deferred, answered, until) values (%s, %s, %s, %s, %s, 100, now(), "
        "now(), now(), now(), 12, 60, now() + interval '1 hour')",
        [region, key, box["domains"], box["pattern"], rate],
    )


async def a_warmup(
    store: Store,
    plan: Sequence[Mapping[str, Any]],
    region: str = REGION,
    *,
    zone: str = "UTC",
    hours: float = 1.0,
) -> None:
    """One whose first day is open, and ends in so many hours."""
    keys = sorted({key for day in plan for key in day.get("providers", {})})
    started = await store.start_warmup(
        region, plan=[dict(day) for day in plan], mailboxes=described(keys), zone=zone, by="test"
    )
    assert started["outcome"] == "started"
    assert await store.open_warmup_day(
        region,
        started_at=started["warmup"]["started_at"],
        latest=None,
        day=datetime.now(UTC).date(),
        step=0,
        held=None,
        ends_at=datetime.now(UTC) + timedelta(hours=hours),
    )


async def used(arrange: Arrange, region: str = REGION) -> tuple[int, dict[str, int]]:
    done = await arrange.sql.execute(
        "select used, used_by from warmup_days where region = %s order by day desc limit 1",
        [region],
    )
    row = await done.fetchone()
    assert row is not None
    return row["used"], row["used_by"]
