"""Two transactions on one row, stepped by hand: whichever commits first, the end is right.

Each test opens the first transaction, runs the second until it waits for a lock (or finds nothing
to wait for), commits the first, and looks.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.types.json import Jsonb

from app.domain.sending.batches import Batch, Idle, Outcome, Result
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    claim,
    claim_mailout,
    let_judge,
    living_sender,
    started_mailout,
    try_claim,
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

    async def claim(self, mailout: UUID, sender: UUID, limit: int = 50) -> Any:
        answer = await self.call(
            "claim_batches",
            p_mailout=mailout,
            p_executor=sender,
            p_region=REGION,
            p_limit=limit,
            p_attempts=[str(uuid4())],
        )
        return answer["batches"][0] if "batches" in answer else answer

    async def commit(self) -> None:
        await self._connection.commit()

    @property
    def pid(self) -> int:
        return self._connection.info.backend_pid


@asynccontextmanager
async def _transaction(dsn: str) -> AsyncIterator[Transaction]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        yield Transaction(connection)


@pytest.fixture
async def first(dsn: str) -> AsyncIterator[Transaction]:
    async with _transaction(dsn) as transaction:
        yield transaction


@pytest.fixture
async def second(dsn: str) -> AsyncIterator[Transaction]:
    async with _transaction(dsn) as transaction:
        yield transaction


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


LEAVE = "update subscribers set status = 'unsubscribed' where email = 'reader1@example.com'"


# Claim and unsubscribe


async def test_a_claim_that_commits_before_an_unsubscribe_keeps_its_row(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    reader = await arrange.one("select id from subscribers")
    assert len((await first.claim(mailout, sender))["rows"]) == 1
    leaving = await blocked(
        arrange, second, second.call("unsubscribe", p_subscriber=reader, p_mailout=mailout)
    )
    await first.commit()
    await leaving
    await second.commit()
    assert await arrange.counts(mailout) == {"sending": 1}
    assert await arrange.one("select status from subscribers") == "unsubscribed"


async def test_a_claim_during_an_unsubscribe_passes_the_row_by(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    reader = await arrange.one("select id from subscribers")
    await first.call("unsubscribe", p_subscriber=reader, p_mailout=mailout)
    assert await second.claim(mailout, sender) == {"reason": "empty"}
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"skipped": 1}


# Claim and claim


async def test_two_claims_at_once_share_no_row(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange, readers=5)
    other = await living_sender(direct_store)
    one = await first.claim(mailout, sender, limit=3)
    waiting = await blocked(arrange, second, second.claim(mailout, other, limit=3))
    await first.commit()
    two = await waiting
    await second.commit()
    assert {r["id"] for r in one["rows"]}.isdisjoint(r["id"] for r in two["rows"])
    assert len(one["rows"]) + len(two["rows"]) == 5


async def test_of_two_starts_at_once_one_wins(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    await arrange.subscribers(2)
    mailout = await arrange.mailout()
    found = await direct_store.find_mailout(mailout)
    assert found is not None
    asked = {"p_mailout": mailout, "p_content_hash": found.content_hash}
    assert (await first.call("claim_mailout", **asked))["outcome"] == "claimed"
    waiting = await blocked(arrange, second, second.call("claim_mailout", **asked))
    await first.commit()
    assert (await waiting)["outcome"] == "not_ready"


@pytest.mark.parametrize(
    ("ready", "outcome", "ends"),
    [(True, "key_reused", ["sending", "ready"]), (False, "claimed", ["draft", "sending"])],
    ids=["accepted", "refused"],
)
async def test_of_two_mailouts_with_one_request_key_one_starts(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    ready: bool,
    outcome: str,
    ends: list[str],
) -> None:
    """The second waits for the first, whose refusal leaves the key free."""
    await arrange.subscriber()
    one, two = await arrange.mailout("ready" if ready else "draft"), await arrange.mailout()

    async def asked(mailout: UUID, body: str) -> dict[str, Any]:
        found = await direct_store.find_mailout(mailout)
        assert found is not None
        return {
            "p_mailout": mailout,
            "p_content_hash": found.content_hash,
            "p_request_key": "key",
            "p_request_hash": body,
        }

    await first.call("claim_mailout", **await asked(one, "one"))
    waiting = await blocked(
        arrange, second, second.call("claim_mailout", **await asked(two, "two"))
    )
    await first.commit()
    assert (await waiting)["outcome"] == outcome
    await second.commit()
    assert [await status(arrange, one), await status(arrange, two)] == ends


# Claim and pause


async def test_a_pause_waits_for_the_claim_before_it(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    await first.claim(mailout, sender)
    pausing = await blocked(
        arrange,
        second,
        second.call("pause_mailout", p_mailout=mailout, p_code="person", p_reason="wait"),
    )
    await first.commit()
    assert (await pausing)["changed"]
    await second.commit()
    assert await arrange.counts(mailout) == {"sending": 1}


async def test_a_claim_waits_for_the_pause_before_it_and_takes_nothing(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await prepared(direct_store, arrange)
    await first.call("pause_mailout", p_mailout=mailout, p_code="person", p_reason="wait")
    claiming = await blocked(arrange, second, second.claim(mailout, sender))
    await first.commit()
    assert await claiming == {"reason": "not_sending"}
    assert await arrange.counts(mailout) == {"queued": 1}


# Record and cancel


async def test_a_cancel_turns_what_a_record_just_queued_again(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, batch = await in_flight(direct_store, arrange)
    await first.record(batch, "requeue")
    cancelling = await blocked(arrange, second, second.call("cancel_mailout", p_mailout=mailout))
    await first.commit()
    assert (await cancelling)["changed"]
    await second.commit()
    assert await arrange.counts(mailout) == {"cancelled": 1}


@pytest.mark.parametrize(("outcome", "end"), [("requeue", "cancelled"), ("sent", "sent")])
async def test_a_record_after_a_cancel_queues_nothing(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    outcome: Outcome,
    end: str,
) -> None:
    mailout, batch = await in_flight(direct_store, arrange)
    await first.call("cancel_mailout", p_mailout=mailout)
    recording = await blocked(arrange, second, second.record(batch, outcome))
    await first.commit()
    await recording
    await second.commit()
    assert await arrange.counts(mailout) == {end: 1}
    assert await status(arrange, mailout) == "cancelled"


# Record and recovery


async def lost_and_judge(store: Store, arrange: Arrange) -> tuple[UUID, Batch, UUID]:
    """A batch whose sender looks dead, and one that may say so."""
    mailout, batch = await in_flight(store, arrange)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '10 minutes'")
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '5 minutes'")
    judge = await living_sender(store)
    await let_judge(arrange, judge)
    return mailout, batch, judge


async def test_recovery_leaves_a_batch_alone_that_is_being_recorded(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, batch, judge = await lost_and_judge(direct_store, arrange)
    await first.record(batch, "sent", message_id="m")
    assert (await second.call("recover_lost", p_executor=judge))["recipients"] == 0
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"sent": 1}


@pytest.mark.parametrize(("outcome", "end"), [("sent", "sent"), ("requeue", "queued")])
async def test_an_answer_that_comes_during_recovery_still_counts(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    outcome: Outcome,
    end: str,
) -> None:
    mailout, batch, judge = await lost_and_judge(direct_store, arrange)
    assert (await first.call("recover_lost", p_executor=judge))["recipients"] == 1
    recording = await blocked(arrange, second, second.record(batch, outcome, message_id="m"))
    await first.commit()
    assert await arrange.counts(mailout) == {"unknown": 1}
    await recording
    await second.commit()
    assert await arrange.counts(mailout) == {end: 1}


async def test_two_recoveries_at_once_count_a_batch_once(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, _, judge = await lost_and_judge(direct_store, arrange)
    assert (await first.call("recover_lost", p_executor=judge))["recipients"] == 1
    assert (await second.call("recover_lost", p_executor=judge))["recipients"] == 0
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"unknown": 1}


async def test_a_late_answer_of_an_earlier_attempt_does_not_touch_the_next(
    direct_store: Store, arrange: Arrange
) -> None:
    """The row was called unknown and resent by a person; then the first answer comes."""
    mailout, batch, judge = await lost_and_judge(direct_store, arrange)
    await direct_store.recover_lost(judge)
    await direct_store.finish_mailout(mailout)
    await direct_store.resend_mailout(mailout, ["unknown"], force=True)
    again = await claim(direct_store, mailout, judge)
    row = batch.recipients[0].send_log_id
    await direct_store.record_results(batch.attempt_id, [Result(row, "requeue")])
    assert await arrange.counts(mailout) == {"sending": 1}
    await direct_store.record_results(again.attempt_id, [Result(row, "sent", message_id="m")])
    assert await arrange.counts(mailout) == {"sent": 1}


async def test_a_late_acceptance_of_an_earlier_attempt_ends_a_resend(
    direct_store: Store, arrange: Arrange
) -> None:
    """It was unknown, a person queued it again, and then its answer came: nobody is sent twice."""
    mailout, batch = await in_flight(direct_store, arrange)
    row = batch.recipients[0].send_log_id
    await direct_store.record_results(batch.attempt_id, [Result(row, "unknown")])
    assert (await direct_store.resend_mailout(mailout, ["unknown"], force=True))["requeued"] == 1
    ended = await direct_store.record_results(batch.attempt_id, [Result(row, "sent", "m")])
    assert ended == "sent"
    assert await arrange.counts(mailout) == {"sent": 1}
    sender = await living_sender(direct_store)
    again = await try_claim(direct_store, mailout, sender, limit=50)
    assert again == Idle("not_sending")
    # What is told of it from now on finds it.
    await direct_store.apply_ses_events(bounce(batch, tagged=False))
    assert await arrange.counts(mailout) == {"bounced": 1}


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


# The rate


@pytest.mark.parametrize("heartbeat_first", [True, False])
async def test_a_first_heartbeat_and_the_account_leave_the_rate_that_was_told(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    heartbeat_first: bool,
) -> None:
    """A process starts while no other lives: it says its rate and asks for the account's at once.

    Left at the account's rate, it would send thousands a second until its next heartbeat.
    """
    await living_sender(direct_store, rate=40)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '10 minutes'")

    def heartbeat(on: Transaction) -> Awaitable[Any]:
        return on.call(
            "heartbeat",
            p_executor=uuid4(),
            p_region=REGION,
            p_label="test",
            p_lease_seconds=60.0,
            p_rate_limit=40.0,
        )

    def account(on: Transaction) -> Awaitable[Any]:
        said = {"max_send_rate": 1e5, "max_24h_send": -1, "sent_last_24h": 0}
        return on.call("record_account", p_region=REGION, p_account=said)

    steps = [heartbeat, account] if heartbeat_first else [account, heartbeat]
    await steps[0](first)
    await beside(arrange, second, steps[1](second), first)
    assert await arrange.one("select rate from send_rates") == 40


# Queueing


async def opened(store: Store, arrange: Arrange, readers: int) -> UUID:
    """A claimed mailout of which nobody is queued yet."""
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    return mailout


async def test_what_is_queued_while_a_cancel_commits_is_cancelled_too(
    direct_store: Store, arrange: Arrange, first: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 3)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    assert (await direct_store.cancel_mailout(mailout)).changed
    await first.commit()
    assert mailout in (await direct_store.sender_work()).cancelling
    assert await direct_store.cancel_recipients(mailout, 100) == 3
    assert await arrange.counts(mailout) == {"cancelled": 3}


async def test_who_leaves_while_their_slice_is_queued_is_not_mailed(
    direct_store: Store, arrange: Arrange, first: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 2)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    await arrange.sql.execute(LEAVE.encode())
    await first.commit()
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    assert [r.email for r in batch.recipients] == ["reader2@example.com"]
    assert await arrange.counts(mailout) == {"sending": 1, "skipped": 1}


async def test_two_senders_queue_a_slice_once(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout = await opened(direct_store, arrange, 4)
    await first.call("queue_recipients", p_mailout=mailout, p_limit=10)
    busy = await second.call("queue_recipients", p_mailout=mailout, p_limit=10)
    assert busy == {"queued": 0, "done": False}
    await first.commit()
    await second.commit()
    assert await arrange.counts(mailout) == {"queued": 4}


# Finish


async def test_a_mailout_is_not_finished_over_a_record_that_queues_again(
    direct_store: Store, arrange: Arrange, first: Transaction
) -> None:
    mailout, batch = await in_flight(direct_store, arrange)
    await first.record(batch, "retry")
    assert await direct_store.finish_mailout(mailout) == "sending"
    await first.commit()
    assert await direct_store.finish_mailout(mailout) == "sending"
    assert await arrange.counts(mailout) == {"queued": 1}


async def test_a_mailout_is_not_finished_over_a_late_answer_that_queues_again(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """The batch was given up and its row unknown: nothing but the answer keeps the mailout open."""
    mailout, batch, judge = await lost_and_judge(direct_store, arrange)
    await direct_store.recover_lost(judge)
    await first.record(batch, "requeue")
    finishing = await blocked(arrange, second, second.call("finish_mailout", p_mailout=mailout))
    await first.commit()
    assert await finishing == "sending"
    await second.commit()
    assert await arrange.counts(mailout) == {"queued": 1}
    assert await status(arrange, mailout) == "sending"


async def test_two_last_records_finish_the_mailout(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """Each sees the other's batch as open while neither has committed."""
    mailout, sender = await prepared(direct_store, arrange, readers=2)
    one = await claim(direct_store, mailout, sender, 1)
    two = await claim(direct_store, mailout, sender, 1)
    assert (await first.record(one, "sent"))["mailout_status"] == "sending"
    assert (await second.record(two, "sent"))["mailout_status"] == "sending"
    await first.commit()
    await second.commit()
    assert await direct_store.finish_mailout(mailout) == "sent"


async def test_a_resend_and_a_late_answer_do_not_both_win(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """The answer proves the mail accepted while a person's resend is just queueing it again."""
    mailout, batch, judge = await lost_and_judge(direct_store, arrange)
    await direct_store.recover_lost(judge)
    assert await direct_store.finish_mailout(mailout) == "sent"
    await first.record(batch, "sent", message_id="m")
    resend = await blocked(
        arrange,
        second,
        second.call("resend_mailout", p_mailout=mailout, p_statuses=["unknown"], p_force=True),
    )
    await first.commit()
    assert (await resend)["requeued"] == 0
    await second.commit()
    assert await arrange.counts(mailout) == {"sent": 1}


async def test_an_unsubscribe_and_a_complaint_of_one_reader_both_come_through(
    direct_store: Store, arrange: Arrange
) -> None:
    """They lock the reader and the row in opposite order; the loser of a deadlock is repeated."""
    mailout, batch = await in_flight(direct_store, arrange)
    reader = batch.recipients[0].subscriber_id
    assert reader is not None
    for _ in range(20):
        await arrange.sql.execute("update subscribers set status = 'active'")
        complaint = bounce(batch, tagged=True)[0] | {
            "type": "complaint",
            "suppresses": "complained",
        }
        await asyncio.gather(
            direct_store.unsubscribe(reader, mailout), direct_store.apply_ses_events([complaint])
        )
        assert await arrange.one("select status from subscribers") == "complained"
