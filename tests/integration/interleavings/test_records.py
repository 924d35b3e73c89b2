"""A record of results beside a cancel, a recovery, a resend or the mailout's end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.domain.sending.batches import Batch, Idle, Outcome, Result
from app.store import Store
from tests.pacing.conftest import a_warmup
from tests.support.factories import (
    Arrange,
    claim,
    let_judge,
    living_sender,
    started_mailout,
    try_claim,
)
from tests.support.transactions import (
    Transaction,
    blocked,
    bounce,
    in_flight,
    prepared,
    status,
)

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


async def test_what_was_claimed_while_a_cancel_waited_is_charted(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """The cancel began before the claim, whose lock of the mailout it then waited for."""
    mailout = await started_mailout(direct_store, arrange, 2)
    sender = await living_sender(direct_store)
    await second.call("mailout_transition", p_mailout=mailout, p_changed=False)
    batch = await first.claim(mailout, sender, limit=1)
    await first.commit()
    assert (await second.call("cancel_mailout", p_mailout=mailout))["changed"]
    await second.commit()
    sent = Result(batch["rows"][0]["id"], "sent", message_id="m")
    await direct_store.record_results(UUID(batch["attempt_id"]), [sent])
    series = await direct_store.mailout_series(mailout)
    assert series is not None
    assert sum(point["n"] for point in series["points"]) == 1


# Record and claim


async def test_a_record_that_gives_back_to_a_warmup_and_ends_a_mailout_blocks_no_claim_of_it(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """The claim has the mailout, the record the day. Neither waits for what the other one has."""
    mailout = await started_mailout(direct_store, arrange, 1)
    sender = await living_sender(direct_store)
    await a_warmup(direct_store, [{"total": 5}])
    batch = await claim(direct_store, mailout, sender)
    await second.lock(mailout)  # a claim's first lock
    recording = await blocked(arrange, first, first.record(batch, "failed"))
    assert (await second.claim(mailout, sender))["reason"] == "empty"
    await second.commit()
    assert (await recording)["mailout_status"] == "failed"
    await first.commit()


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


# Record and the words on mailouts that wait

SES, WARM_UP = "Waiting for SES.", "Waiting for the warm-up."


@pytest.mark.parametrize(
    ("columns", "function", "arguments"),
    [
        ({"status": "sending", "status_reason": SES}, "note_waiting", {"p_reason": None}),
        (
            {"status": "sending", "status_reason": SES},
            "note_silence",
            {"p_reason": None, "p_routes": [], "p_silent": []},
        ),
        ({"status": "sending", "status_reason": WARM_UP}, "note_warmups", {"p_waits": []}),
        ({"status": "paused", "pause_code": "quota"}, "note_quota", {"p_reason": "Used up."}),
    ],
)
async def test_words_on_several_mailouts_and_a_group_of_results_lock_in_one_order(
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    columns: dict[str, Any],
    function: str,
    arguments: dict[str, Any],
) -> None:
    """Also where the table has them in another: each waits for the other otherwise."""
    later, earlier = UUID(int=2), UUID(int=1)
    for mailout in (later, earlier):
        await arrange.mailout(id=mailout, **columns)
    await first.lock(earlier)
    noting = await blocked(arrange, second, second.call(function, **arguments))
    await first.lock(later)
    await first.commit()
    assert await noting == 2
