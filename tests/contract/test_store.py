"""What becomes of a started mailout and its recipients, over each way to the database."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.sending.batches import Batch, Idle, Result
from app.store import Store
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    claim_mailout,
    let_judge,
    living_sender,
    start,
    started_mailout,
    try_claim,
)


async def test_a_claim_marks_rows_with_an_attempt_before_anything_is_sent(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    batch = await claim(store, mailout, await living_sender(store))
    assert len(batch.recipients) == 3
    assert {r.attempts for r in batch.recipients} == {1}
    assert await arrange.counts(mailout) == {"sending": 3}
    assert (
        await arrange.one("select count(*) from send_logs where attempt_id = %s", batch.attempt_id)
        == 3
    )


async def test_a_field_that_is_no_usual_number_keeps_nobody_from_being_claimed(
    store: Store, arrange: Arrange
) -> None:
    """PostgreSQL keeps numbers of any size; a double doesn't, and JSON's readers refuse them."""
    await arrange.subscriber("plain@example.com")
    await arrange.subscriber("odd@example.com")
    await arrange.sql.execute(
        'update subscribers set fields = \'{"points": 1e400, "half": 0.1e-400}\' '
        "where email like 'odd%'"
    )
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    assert len(batch.recipients) == 2


async def test_racing_claims_never_share_a_recipient(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 60)
    senders = [await living_sender(store) for _ in range(4)]
    batches = await asyncio.gather(*(try_claim(store, mailout, s, limit=10) for s in senders * 2))
    seen = [r.send_log_id for b in batches if isinstance(b, Batch) for r in b.recipients]
    assert len(seen) == len(set(seen))


async def test_results_settle_each_row_by_itself_and_finish_the_mailout(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 5)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    one, two, three, four, five = (r.send_log_id for r in batch.recipients)
    status = await store.record_results(
        batch.attempt_id,
        [
            Result(one, "sent", message_id="m1"),
            Result(two, "failed", code="MESSAGE_REJECTED", message="no"),
            Result(three, "unknown", code="no_answer", message="?"),
            Result(four, "retry", code="TRANSIENT_FAILURE", delay=0),
            Result(five, "requeue", code="ACCOUNT_THROTTLED", delay=0),
        ],
    )
    assert status == "sending"
    assert await arrange.counts(mailout) == {"sent": 1, "failed": 1, "unknown": 1, "queued": 2}
    again = await claim(store, mailout, sender)
    # A throttled try doesn't count as an attempt; a transient failure does.
    assert {r.send_log_id: r.attempts for r in again.recipients} == {four: 2, five: 1}
    assert await store.record_results(again.attempt_id, all_sent(again)) == "sent"
    shown = await store.show_mailout(mailout)
    assert shown["status"] == "sent"
    assert "1 of 5 recipients: it is unknown" in shown["status_reason"]
    assert shown["counts"]["unknown"] == 1


async def test_a_mailout_whose_everybody_was_refused_is_failed(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 2)
    batch = await claim(store, mailout, await living_sender(store))
    status = await store.record_results(
        batch.attempt_id, [Result(r.send_log_id, "failed", code="X") for r in batch.recipients]
    )
    assert status == "failed"


async def test_a_result_of_another_attempt_changes_nothing(store: Store, arrange: Arrange) -> None:
    """A sender that lost its rows can't overwrite what a later attempt found."""
    mailout = await started_mailout(store, arrange, 1)
    sender = await living_sender(store)
    first = await claim(store, mailout, sender)
    row = first.recipients[0].send_log_id
    await store.record_results(first.attempt_id, [Result(row, "requeue")])
    second = await claim(store, mailout, sender)
    await store.record_results(first.attempt_id, [Result(row, "failed", code="late")])
    assert await arrange.counts(mailout) == {"sending": 1}
    await store.record_results(second.attempt_id, all_sent(second))
    assert await arrange.counts(mailout) == {"sent": 1}


async def test_a_dead_senders_rows_become_unknown_and_a_late_answer_counts(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 2)
    dead, alive = await living_sender(store), await living_sender(store)
    batch = await claim(store, mailout, dead)
    assert await store.recover_lost(alive) == 0
    await arrange.sql.execute(
        "update executors set heartbeat_at = now() - interval '2 minutes' where id = %s", [dead]
    )
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '2 minutes'")
    # Itself not yet alive for a full lease: after an outage everybody looks dead.
    assert await store.recover_lost(alive) == 0
    await let_judge(arrange, alive)
    assert await store.recover_lost(alive) == 2
    assert await arrange.counts(mailout) == {"unknown": 2}
    nothing = await try_claim(store, mailout, alive, limit=50)
    assert nothing == Idle("empty")
    await store.record_results(batch.attempt_id, all_sent(batch))
    assert await arrange.counts(mailout) == {"sent": 2}


async def test_the_last_results_of_a_sender_that_stopped_are_waited_for(
    store: Store, arrange: Arrange
) -> None:
    """It has left, so it has no lease that could end; what it has just claimed isn't lost yet."""
    mailout = await started_mailout(store, arrange, 2)
    leaving, alive = await living_sender(store), await living_sender(store)
    batch = await claim(store, mailout, leaving)
    await let_judge(arrange, alive)
    await store.leave(leaving)
    assert await store.recover_lost(alive) == 0
    await store.record_results(batch.attempt_id, all_sent(batch))
    assert await arrange.counts(mailout) == {"sent": 2}


async def test_a_sender_with_an_overdue_heartbeat_gets_nothing(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 1)
    sender = await living_sender(store)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '2 minutes'")
    assert await try_claim(store, mailout, sender, limit=1) == Idle("lease")


async def test_who_unsubscribes_in_mid_send_gets_nothing_from_the_next_claim_on(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    someone = await arrange.one("select subscriber_id from send_logs order by id limit 1")
    await store.unsubscribe(someone, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    assert someone.bytes not in {r.subscriber_id for r in batch.recipients}
    assert await arrange.counts(mailout) == {"sending": 2, "skipped": 1}
    assert (await store.show_mailout(mailout))["unsubscribed"] == 1


@pytest.mark.parametrize("code", ["person", "guard", "quota", "account"])
async def test_what_waits_in_a_restored_database_is_held_too(
    direct_store: Store, arrange: Arrange, code: str
) -> None:
    """Whoever paused it knew another ledger: the resume has to be of someone who was told."""
    mailout = await started_mailout(direct_store, arrange, 2)
    await direct_store.pause_mailout(mailout, code, "Paused.")  # type: ignore[arg-type]
    await arrange.sql.execute("update mailouts set started_in = '7:00000001:5'")
    await living_sender(direct_store)
    shown = await direct_store.show_mailout(mailout)
    assert shown["status"] == "paused"
    assert "restored" in shown["status_reason"]
    assert await arrange.one("select pause_code from mailouts") == "held"


async def test_who_unsubscribes_twice_has_left_once(store: Store, arrange: Arrange) -> None:
    """In the mailout's figures, in its chart, and in the time that is told."""
    mailout = await started_mailout(store, arrange, 1)
    someone = await arrange.one("select subscriber_id from send_logs")
    await store.unsubscribe(someone, mailout)
    left_at = await arrange.one("select unsubscribed_at from send_logs")
    await store.unsubscribe(someone, mailout)
    assert (await store.show_mailout(mailout))["unsubscribed"] == 1
    assert await arrange.one("select sum(events) from event_counts") == 1
    assert await arrange.one("select unsubscribed_at from send_logs") == left_at


async def test_a_deleted_subscriber_is_skipped(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 1)
    await arrange.sql.execute("delete from subscribers")
    claimed = await try_claim(store, mailout, await living_sender(store), limit=1)
    assert claimed == Idle("skipped")
    assert await arrange.one("select error_code from send_logs") == "deleted"


async def test_pause_resume_and_cancel(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 4)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender, limit=1)
    assert (await store.pause_mailout(mailout, "person", "Wait.")).changed
    assert not (await store.pause_mailout(mailout, "person", "Again.")).changed
    paused = await try_claim(store, mailout, sender, limit=1)
    assert paused == Idle("not_sending")
    assert (await store.resume_mailout(mailout)).status == "sending"
    assert (await store.cancel_mailout(mailout)).status == "cancelled"
    assert not (await store.resume_mailout(mailout)).changed
    # What was in flight is recorded; a refusal doesn't queue it again.
    await store.record_results(
        batch.attempt_id, [Result(batch.recipients[0].send_log_id, "requeue")]
    )
    assert await arrange.counts(mailout) == {"cancelled": 4}


async def test_what_was_in_flight_at_a_pause_waits_for_the_resume(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender, limit=3)
    await store.pause_mailout(mailout, "person", "Wait.")
    rows = [recipient.send_log_id for recipient in batch.recipients]
    await store.record_results(
        batch.attempt_id,
        [Result(rows[0], "sent", "m-1"), Result(rows[1], "retry"), Result(rows[2], "requeue")],
    )
    assert await arrange.counts(mailout) == {"sent": 1, "queued": 2}
    await store.resume_mailout(mailout)
    again = await claim(store, mailout, sender, limit=3)
    assert {(r.send_log_id, r.attempts) for r in again.recipients} == {(rows[1], 2), (rows[2], 1)}


async def test_what_has_a_result_is_not_given_back(store: Store, arrange: Arrange) -> None:
    """Else who is `unknown` would be queued, and perhaps mailed a second time."""
    mailout = await started_mailout(store, arrange, 1)
    batch = await claim(store, mailout, await living_sender(store))
    [row] = [recipient.send_log_id for recipient in batch.recipients]
    await store.record_results(batch.attempt_id, [Result(row, "unknown")])
    assert list(await store.release_batches([batch.attempt_id])) == []
    assert await arrange.counts(mailout) == {"unknown": 1}


async def test_cancelling_while_queueing_accounts_for_everybody(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscribers(5)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    await store.queue_recipients(mailout, 2)
    await store.cancel_mailout(mailout)
    await store.queue_recipients(mailout, 100)
    assert await arrange.counts(mailout) == {"cancelled": 5}


async def test_resend_takes_the_failed_and_the_old_unknown(store: Store, arrange: Arrange) -> None:
    """Old: over 20 minutes. For 15 a call is valid, and clocks may be 5 apart."""
    mailout = await started_mailout(store, arrange, 3)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    failed, young, old = (r.send_log_id for r in batch.recipients)
    await store.record_results(
        batch.attempt_id,
        [Result(failed, "failed", code="X"), Result(young, "unknown"), Result(old, "unknown")],
    )
    for row, minutes in ((young, 16), (old, 21)):
        await arrange.sql.execute(
            "update send_logs set claimed_at = now() - make_interval(mins => %s) where id = %s",
            [minutes, row],
        )
    done = await store.resend_mailout(mailout, ["failed", "unknown"], force=False)
    assert (done["requeued"], done["too_young"], done["status"]) == (2, 1, "sending")
    assert await arrange.counts(mailout) == {"queued": 2, "unknown": 1}
    assert (await store.resend_mailout(mailout, ["unknown"], force=True)).get("allowed") is None


async def test_test_mails_change_nobody(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber("a@example.com", name="Ann", fields={"city": "Lisbon"})
    mailout = await arrange.mailout("draft")
    queued = await store.queue_test(mailout, ["me@example.com", "you@example.com"])
    assert queued.outcome == "queued"
    assert queued.response is not None
    assert queued.response["recipients"] == 2
    assert (await store.sender_work()).testing == (mailout,)
    sample = await store.sample_subscriber(mailout)
    assert sample is not None
    assert (sample["name"], sample["fields"]) == ("Ann", {"city": "Lisbon"})
    batch = await try_claim(store, mailout, await living_sender(store), limit=50, test=True)
    assert isinstance(batch, Batch)
    await store.record_results(batch.attempt_id, all_sent(batch))
    shown = await store.show_mailout(mailout)
    assert shown["status"] == "draft"
    assert sum(shown["counts"].values()) == 0


async def test_a_started_mailout_cannot_be_deleted(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 1)
    refused = None
    try:
        await arrange.sql.execute("delete from mailouts where id = %s", [mailout])
    except Exception as error:  # noqa: BLE001  the message is what a person sees
        refused = str(error)
    assert refused is not None
    assert "has a ledger" in refused


async def test_a_mailout_of_another_database_is_held_for_a_person(
    store: Store, arrange: Arrange
) -> None:
    """A restored backup, a copy or a failover: nobody is sent to again by itself."""
    mailout = await started_mailout(store, arrange, 2)
    await arrange.sql.execute("update mailouts set started_in = '7:00000001:5'")
    sender = await living_sender(store)
    shown = await store.show_mailout(mailout)
    assert shown["status"] == "paused"
    assert "restored" in shown["status_reason"]
    assert await try_claim(store, mailout, sender, limit=5) == Idle("not_sending")
    assert await store.resume_waiting_mailouts() == []
    assert (await store.resume_mailout(mailout)).changed
    assert len((await claim(store, mailout, sender)).recipients) == 2
