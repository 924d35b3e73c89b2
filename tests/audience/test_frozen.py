"""The rule that a mailout started with is the one it goes by to its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.store import Store
from tests.support.factories import Arrange, claim_mailout


async def segment_of(arrange: Arrange, rule: dict[str, Any]) -> UUID:
    made: UUID = await arrange.one(
        "insert into segments (name, audience) values ('s', %s) returning id", Jsonb(rule)
    )
    return made


async def queued(store: Store, arrange: Arrange, mailout: UUID) -> list[str]:
    done = False
    while not done:
        _, done = await store.queue_recipients(mailout, 1)
    found: list[str] = await arrange.one(
        "select coalesce(array_agg(email order by email), '{}') from send_logs "
        "where mailout_id = %s",
        mailout,
    )
    return found


async def test_a_segment_that_changes_meanwhile_changes_nothing(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", tags=["a"])
    await arrange.subscriber("bob@example.com", tags=["b"])
    segment = await segment_of(arrange, {"tags": ["a"]})
    mailout = await arrange.mailout(audience={"all": [{"segment": str(segment)}]})
    assert await store.count_audience(mailout) == 1
    await claim_mailout(store, mailout)
    await store.save_segment(segment, None, {"tags": ["b"]}, "owner")
    assert await queued(store, arrange, mailout) == ["ann@example.com"]
    frozen = "select audience from mailout_snapshots where mailout_id = %s"
    assert await arrange.one(frozen, mailout) == {"rule": {"all": [{"tags": ["a"]}]}, "zone": "UTC"}


async def test_an_audience_that_shrank_to_nobody_is_held_and_corrected(
    store: Store, arrange: Arrange
) -> None:
    """Resumed, it goes by the rule as it is then."""
    await arrange.subscriber("ann@example.com", fields={"plan": "pro"})
    await arrange.subscriber("bob@example.com", tags=["b"])
    segment = await segment_of(arrange, {"field": "fields.plan", "op": "is", "value": "PRO"})
    mailout = await arrange.mailout(audience={"segment": str(segment)})
    await claim_mailout(store, mailout)
    await arrange.sql.execute("update subscribers set fields = '{}'")
    assert await queued(store, arrange, mailout) == []
    shown = await store.show_mailout(mailout)
    assert shown["status"] == "paused"
    assert "no longer fits" in shown["status_reason"]
    await store.save_segment(segment, None, {"tags": ["b"]}, "owner")
    await store.resume_mailout(mailout, by="owner")
    assert await queued(store, arrange, mailout) == ["bob@example.com"]


async def test_one_that_started_before_this_was_kept_goes_by_its_own_audience(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", tags=["a"])
    await arrange.subscriber("bob@example.com")
    mailout = await arrange.mailout(audience={"tags": ["a"]})
    await claim_mailout(store, mailout)
    await arrange.sql.execute("update mailout_snapshots set audience = null")
    assert await queued(store, arrange, mailout) == ["ann@example.com"]


async def test_the_database_knows_its_segments_whoever_writes(arrange: Arrange) -> None:
    segment = await segment_of(arrange, {"tags": ["a"]})
    unknown = {"not": {"segment": str(UUID(int=1))}}
    for statement in (
        "insert into mailouts (subject, audience) values ('s', %s)",
        "insert into segments (name, audience) values ('other', %s)",
        "update segments set audience = %s",
    ):
        with pytest.raises(psycopg.errors.NoDataFound):
            await arrange.sql.execute(statement.encode(), [Jsonb(unknown)])
    circle = Jsonb({"any": [{"tags": ["x"]}, {"segment": str(segment)}]})
    with pytest.raises(psycopg.errors.CheckViolation):
        await arrange.sql.execute("update segments set audience = %s", [circle])
