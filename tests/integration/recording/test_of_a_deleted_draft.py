"""A test mail is under way when somebody deletes its draft: its result is recorded all the same,
and so are those of the mailouts in its group."""

from __future__ import annotations

from uuid import UUID

from app.domain.sending.batches import Batch, Result
from app.store import Store
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    living_sender,
    started_mailout,
    try_claim,
)


async def under_way(store: Store, draft: UUID, sender: UUID) -> Batch:
    assert (await store.queue_test(draft, ["ann@example.com"])).outcome == "queued"
    batch = await try_claim(store, draft, sender, test=True)
    assert isinstance(batch, Batch), batch
    return batch


async def became(arrange: Arrange, draft: UUID) -> str:
    status: str = await arrange.one("select status from send_logs where mailout_id = %s", draft)
    return status


async def test_what_became_of_its_test_mails_is_recorded(store: Store, arrange: Arrange) -> None:
    sender = await living_sender(store)
    draft = await arrange.mailout("draft")
    batch = await under_way(store, draft, sender)
    assert (await store.delete_mailout(draft)).changed
    await store.record_batches([(batch.attempt_id, all_sent(batch))])
    assert await became(arrange, draft) == "sent"


async def test_others_of_its_group_are_recorded_too(store: Store, arrange: Arrange) -> None:
    sender = await living_sender(store)
    mailout = await started_mailout(store, arrange, 3)
    others = await claim(store, mailout, sender)
    draft = await arrange.mailout("draft")
    batch = await under_way(store, draft, sender)
    await store.delete_mailout(draft)
    refused = [Result(r.send_log_id, "requeue", code="Throttling") for r in batch.recipients]
    statuses = await store.record_batches(
        [(batch.attempt_id, refused), (others.attempt_id, all_sent(others))]
    )
    assert statuses == {mailout: "sent"}
    assert await arrange.counts(mailout) == {"sent": 3}
    assert await became(arrange, draft) == "queued", "the next claim cancels it"
