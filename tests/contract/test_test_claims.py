"""Test mails are claimed when they are due, and cost nothing when there is nothing to send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.domain.sending.batches import Batch, Idle, Result
from app.store import Store
from tests.support.factories import REGION, Arrange, living_sender, try_claim


@pytest.fixture
async def mailout(store: Store, arrange: Arrange) -> UUID:
    """A draft with one test mail waiting."""
    draft = await arrange.mailout("draft")
    await store.queue_test(draft, ["me@example.com"])
    return draft


async def spent(arrange: Arrange) -> tuple[Any, Any]:
    """Tokens and quota that were taken so far."""
    done = await arrange.sql.execute(
        "select next_token_at::text, taken_since_check from send_rates where region = %s", [REGION]
    )
    row = await done.fetchone()
    assert row is not None
    return row["next_token_at"], row["taken_since_check"]


async def claim(store: Store, mailout: UUID, sender: UUID) -> Batch | Idle:
    return await try_claim(store, mailout, sender, test=True)


async def test_one_that_is_to_wait_waits(store: Store, arrange: Arrange, mailout: UUID) -> None:
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    assert isinstance(batch, Batch)
    [recipient] = batch.recipients
    again = Result(recipient.send_log_id, "requeue", code="internal", delay=30)
    await store.record_results(batch.attempt_id, [again])
    before = await spent(arrange)
    assert (await store.sender_work()).testing == ()
    assert await claim(store, mailout, sender) == Idle("empty")
    assert await spent(arrange) == before
    await arrange.sql.execute("update send_logs set next_attempt_at = now() - interval '1 second'")
    assert (await store.sender_work()).testing == (mailout,)
    assert isinstance(await claim(store, mailout, sender), Batch)


async def test_of_a_deleted_draft_none_is_sent_and_nothing_is_taken(
    store: Store, arrange: Arrange, mailout: UUID
) -> None:
    sender = await living_sender(store)
    before = await spent(arrange)
    await arrange.sql.execute("delete from mailouts")
    assert (await store.sender_work()).testing == (mailout,)
    assert await claim(store, mailout, sender) == Idle("empty")
    assert await spent(arrange) == before
    assert (await store.sender_work()).testing == ()
    assert await arrange.one("select (status, error_code)::text from send_logs") == (
        "(cancelled,deleted)"
    )


async def test_a_used_up_quota_takes_nothing_either(
    store: Store, arrange: Arrange, mailout: UUID
) -> None:
    sender = await living_sender(store)
    await arrange.sql.execute(
        "update send_rates set account = account || "
        '\'{"max_24h_send": 200, "sent_last_24h": 200}\'::jsonb'
    )
    before = await spent(arrange)
    assert await claim(store, mailout, sender) == Idle("quota")
    assert await spent(arrange) == before
    assert await arrange.one("select status from send_logs") == "queued"
