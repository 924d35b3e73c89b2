"""An event beside the record of its mail, another event or an unsubscribe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any
from uuid import UUID

import pytest

from app.domain.sending.batches import Result
from app.store import Store
from tests.support.factories import (
    Arrange,
    claim,
    living_sender,
)
from tests.support.transactions import (
    Transaction,
    beside,
    blocked,
    bounce,
    in_flight,
)


async def test_a_record_waits_for_the_event_that_was_faster(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, batch = await in_flight(direct_store, arrange)
    await first.call("apply_ses_events", p_events=bounce(batch, tagged=True))
    recording = await blocked(arrange, second, second.record(batch, "sent", message_id="m"))
    await first.commit()
    await recording
    await second.commit()
    assert await arrange.counts(mailout) == {"bounced": 1}


async def test_an_event_waits_for_the_record(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, batch = await in_flight(direct_store, arrange)
    await first.record(batch, "sent", message_id="m")
    applying = await blocked(
        arrange, second, second.call("apply_ses_events", p_events=bounce(batch, tagged=True))
    )
    await first.commit()
    await applying
    await second.commit()
    assert await arrange.counts(mailout) == {"bounced": 1}


@pytest.mark.parametrize("event_first", [True, False])
async def test_an_untagged_event_and_the_record_of_its_message_id_meet(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    event_first: bool,
) -> None:
    """Neither sees what the other hasn't committed; the sender's next round joins them."""
    mailout, batch = await in_flight(direct_store, arrange)

    def event(on: Transaction) -> Awaitable[Any]:
        return on.call("apply_ses_events", p_events=bounce(batch, tagged=False))

    def record(on: Transaction) -> Awaitable[Any]:
        return on.record(batch, "sent", message_id="m")

    steps = [event, record] if event_first else [record, event]
    await steps[0](first)
    await beside(arrange, second, steps[1](second), first)
    await direct_store.apply_parked_events()
    assert await arrange.counts(mailout) == {"bounced": 1}
    assert await arrange.one("select status from subscribers") == "bounced"


async def test_the_second_attempts_events_count_though_the_firsts_came_meanwhile(
    direct_store: Store, arrange: Arrange
) -> None:
    """Each attempt has a message id of its own; a row holds that of its latest."""
    mailout, batch = await in_flight(direct_store, arrange)
    row = batch.recipients[0].send_log_id
    await direct_store.record_results(batch.attempt_id, [Result(row, "unknown")])
    await direct_store.resend_mailout(mailout, ["unknown"], force=True)
    again = await claim(direct_store, mailout, await living_sender(direct_store))
    sent = bounce(batch, tagged=True)[0] | {"type": "send", "message_id": "m1", "suppresses": None}
    assert (await direct_store.apply_ses_events([sent]))["matched"] == 1
    await direct_store.record_results(again.attempt_id, [Result(row, "sent", "m2")])
    for event in bounce(again, tagged=True)[0], bounce(again, tagged=False)[0]:
        event |= {"type": "complaint", "message_id": "m2", "suppresses": "complained"}
        assert (await direct_store.apply_ses_events([event]))["matched"] == 1
    assert await arrange.counts(mailout) == {"complained": 1}
    assert await arrange.one("select status from subscribers") == "complained"


async def test_a_doubled_event_in_two_transactions_counts_once(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    _, batch = await in_flight(direct_store, arrange)
    events = bounce(batch, tagged=True)
    assert (await first.call("apply_ses_events", p_events=events))["new"] == 1
    doubled = await blocked(arrange, second, second.call("apply_ses_events", p_events=events))
    await first.commit()
    assert (await doubled)["new"] == 0
    await second.commit()
    assert await arrange.one("select count(*) from ses_events") == 1


async def test_an_unsubscribe_and_a_complaint_of_one_reader_both_come_through(
    direct_store: Store, arrange: Arrange
) -> None:
    """They lock the reader and the row in opposite order; the loser of a deadlock is repeated."""
    mailout, batch = await in_flight(direct_store, arrange)
    reader = batch.recipients[0].subscriber_id
    assert reader is not None
    for _ in range(20):
        await arrange.bring_back_everybody()
        complaint = bounce(batch, tagged=True)[0] | {
            "type": "complaint",
            "suppresses": "complained",
        }
        await asyncio.gather(
            direct_store.unsubscribe(UUID(bytes=reader), mailout),
            direct_store.apply_ses_events([complaint]),
        )
        assert await arrange.one("select status from subscribers") == "complained"
