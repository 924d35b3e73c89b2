"""The rules of both state machines, over each way to the database."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Idle, Result
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    all_sent,
    an_account,
    claim,
    claim_mailout,
    let_judge,
    living_sender,
    start,
    started_mailout,
    try_claim,
)


async def test_of_two_simultaneous_claims_one_wins(store: Store, arrange: Arrange) -> None:
    """A mailout is claimed once, whoever asks."""
    await arrange.subscriber()
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    claims = await asyncio.gather(
        *(
            store.claim_mailout(mailout, found.content_hash, request_key=None, request_hash=None)
            for _ in range(8)
        )
    )
    assert sorted(c.outcome for c in claims) == ["claimed"] + ["not_ready"] * 7


async def test_an_edit_between_compiling_and_claiming_claims_nothing(
    store: Store, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    await arrange.sql.execute("update mailouts set subject = 'Edited' where id = %s", [mailout])
    late = await store.claim_mailout(
        mailout, found.content_hash, request_key=None, request_hash=None
    )
    assert late.outcome == "changed"
    assert await arrange.one("select status from mailouts where id = %s", mailout) == "ready"


async def test_an_edit_after_the_start_is_not_sent(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await start(store, mailout)
    await arrange.sql.execute("update mailouts set subject = 'Edited' where id = %s", [mailout])
    content, _ = await store.snapshot_content(mailout)
    assert content.subject == "Hello"


async def test_equal_requests_that_race_get_the_same_answer(store: Store, arrange: Arrange) -> None:
    """A repeat is answered as before, also when it comes while the first is under way."""
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    found = await store.find_mailout(mailout)
    assert found is not None
    claims = await asyncio.gather(
        *(
            store.claim_mailout(mailout, found.content_hash, request_key="k", request_hash="b")
            for _ in range(5)
        )
    )
    assert sorted(c.outcome for c in claims) == ["claimed"] + ["repeat"] * 4
    assert {c.response["recipients"] for c in claims if c.response} == {3}
    other = await store.claim_mailout(
        mailout, found.content_hash, request_key="k", request_hash="other"
    )
    assert other.outcome == "key_reused"


async def test_a_notion_page_is_found_with_dashes_or_without(
    store: Store, arrange: Arrange
) -> None:
    page = uuid4()
    with_dashes = await arrange.mailout(notion_page_id=str(page).upper())
    found = await store.find_mailout(notion_page=page.hex)
    assert found is not None
    assert found.id == with_dashes


async def test_queueing_takes_the_active_in_slices_once(store: Store, arrange: Arrange) -> None:
    """Who is not active gets no row; a slice asked for twice adds nobody twice."""
    await arrange.subscribers(25)
    for status in ("unsubscribed", "bounced", "complained"):
        await arrange.subscriber(status=status)
    mailout = await arrange.mailout()
    claimed = await claim_mailout(store, mailout)
    assert claimed.response is not None
    assert claimed.response["recipients"] == 25
    rounds = [await store.queue_recipients(mailout, 10) for _ in range(4)]
    assert [done for _, done in rounds] == [False, False, True, True]
    assert await arrange.counts(mailout) == {"queued": 25}


async def test_an_audience_by_tag(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber("a@example.com", tags=["news", "x"])
    await arrange.subscriber("b@example.com", tags=["other"])
    await arrange.subscriber("c@example.com")
    mailout = await arrange.mailout(audience={"tags": ["news"]})
    await start(store, mailout)
    assert await arrange.one("select email from send_logs") == "a@example.com"
    assert await arrange.counts(mailout) == {"queued": 1}


async def test_who_joins_after_the_start_is_not_mailed(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(2)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    await arrange.subscriber("late@example.com")
    await store.queue_recipients(mailout, 100)
    assert await arrange.counts(mailout) == {"queued": 2}


async def test_who_leaves_before_their_slice_is_skipped_and_accounted_for(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where email = 'reader1@example.com'"
    )
    await store.queue_recipients(mailout, 100)
    assert await arrange.counts(mailout) == {"queued": 2, "skipped": 1}


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
    assert someone not in {r.subscriber_id for r in batch.recipients}
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
    mailout = await started_mailout(store, arrange, 3)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    failed, young, old = (r.send_log_id for r in batch.recipients)
    await store.record_results(
        batch.attempt_id,
        [Result(failed, "failed", code="X"), Result(young, "unknown"), Result(old, "unknown")],
    )
    await arrange.sql.execute(
        "update send_logs set claimed_at = now() - interval '30 minutes' where id = %s", [old]
    )
    done = await store.resend_mailout(mailout, ["failed", "unknown"], force=False)
    assert (done["requeued"], done["too_young"], done["status"]) == (2, 1, "sending")
    assert await arrange.counts(mailout) == {"queued": 2, "unknown": 1}
    assert (await store.resend_mailout(mailout, ["unknown"], force=True)).get("allowed") is None


async def test_the_rate_of_all_senders_together(store: Store, arrange: Arrange) -> None:
    """The smallest told rate holds, never above the account's; without one, nine tenths of it."""
    account = an_account(max_send_rate=10)
    one = await living_sender(store, rate=100, account=account)
    assert await store.record_account(REGION, account) == 10
    await living_sender(store, rate=4, account=account)
    assert await store.record_account(REGION, account) == 4
    await arrange.sql.execute("delete from executors where id <> %s", [one])
    await arrange.sql.execute("update executors set rate_limit = null")
    assert await store.record_account(REGION, account) == 9


async def token_spacing(arrange: Arrange) -> float:
    """Seconds from the last token that was taken to the next one that falls due."""
    return float(
        await arrange.one(
            "select extract(epoch from (select next_token_at from send_rates) - max(token_at)) "
            "from send_batches"
        )
    )


async def assert_waits_for_the_last_token(
    store: Store, arrange: Arrange, mailout: UUID, sender: UUID, *, rate: float, size: int
) -> None:
    """The next batch is told to come when the last of its tokens falls due.

    On the database's clock, so that it doesn't matter how long the call itself takes.
    """
    ahead = 3.0  # seconds until the next token
    await arrange.sql.execute(
        "update send_rates set next_token_at = clock_timestamp() + make_interval(secs => %s)",
        [ahead],
    )
    idle = await try_claim(store, mailout, sender, limit=50)
    assert isinstance(idle, Idle), idle
    assert idle.reason == "wait"
    left = float(
        await arrange.one(
            "select extract(epoch from next_token_at - clock_timestamp()) from send_rates"
        )
    )
    rest = (size - 1) / rate - 0.025  # a batch may be claimed a little before its time
    assert left + rest <= idle.seconds <= ahead + rest


async def test_a_batch_never_exceeds_a_seconds_tokens_and_the_next_waits(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 40)
    sender = await living_sender(store, rate=14)
    batch = await claim(store, mailout, sender)
    assert len(batch.recipients) == 14
    assert await token_spacing(arrange) == pytest.approx(1 / 14, abs=1e-5)
    await assert_waits_for_the_last_token(store, arrange, mailout, sender, rate=14, size=14)


async def test_a_rate_below_one_works(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 2)
    sender = await living_sender(store, rate=0.9)
    assert len((await claim(store, mailout, sender)).recipients) == 1
    assert await token_spacing(arrange) == pytest.approx(1 / 0.9, abs=1e-5)
    await assert_waits_for_the_last_token(store, arrange, mailout, sender, rate=0.9, size=1)


async def claim_many(
    store: Store, mailout: UUID, sender: UUID, attempts: int, limit: int, **changes: Any
) -> tuple[Batch, ...]:
    batches = await store.claim_batches(
        mailout,
        sender,
        attempts=[uuid4() for _ in range(attempts)],
        region=REGION,
        limit=limit,
        **changes,
    )
    assert not isinstance(batches, Idle), batches
    return batches


async def test_one_claim_takes_as_many_batches_as_tokens_are_due_for(
    store: Store, arrange: Arrange
) -> None:
    """Each batch with its own attempt, its own due time, and its own settling."""
    await arrange.subscribers(33)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where id = "
        "(select id from subscribers order by id offset 2 limit 1)"
    )
    mailout = await arrange.mailout()
    await start(store, mailout)
    sender = await living_sender(store, rate=1e6)
    batches = await claim_many(store, mailout, sender, 5, 10)
    assert [len(b.recipients) for b in batches] == [10, 10, 10, 2]
    ids = [r.send_log_id for b in batches for r in b.recipients]
    assert ids == sorted(set(ids))
    delays = [b.delay for b in batches]
    assert delays == sorted(delays)
    cursor = await arrange.sql.execute("select * from send_batches order by send_log_ids[1]")
    logged = [(row["attempt_id"], row["send_log_ids"]) for row in await cursor.fetchall()]
    assert logged == [(b.attempt_id, [r.send_log_id for r in b.recipients]) for b in batches]
    await store.record_results(batches[1].attempt_id, all_sent(batches[1]))
    never = uuid4()
    given_back = await store.release_batches([never, batches[0].attempt_id])
    assert given_back == {batches[0].attempt_id}
    assert await store.release_batches([batches[0].attempt_id]) == set()
    assert await arrange.counts(mailout) == {"queued": 10, "sent": 10, "sending": 12}


async def test_several_batches_keep_to_the_rate_and_the_quota(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 60)
    sender = await living_sender(
        store, rate=100, account=an_account(max_24h_send=100, sent_last_24h=75)
    )
    # Of 100 a second, five fall due within the 50 ms that a batch may be claimed early.
    batches = await claim_many(store, mailout, sender, 8, 10)
    assert [len(b.recipients) for b in batches] == [10]
    await arrange.sql.execute("update send_rates set next_token_at = '-infinity', rate = 1e6")
    batches = await claim_many(store, mailout, sender, 8, 10)
    assert sum(len(b.recipients) for b in batches) == 15  # what the quota has left


async def test_a_claim_can_begin_beyond_what_was_claimed(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 4)
    sender = await living_sender(store)
    [first] = await claim_many(store, mailout, sender, 1, 2)
    await store.release_batches([first.attempt_id])
    last = first.recipients[-1].send_log_id
    [beyond] = await claim_many(store, mailout, sender, 1, 4, after=last)
    assert {r.send_log_id for r in beyond.recipients}.isdisjoint(
        r.send_log_id for r in first.recipients
    )
    [behind] = await claim_many(store, mailout, sender, 1, 4)
    assert behind.recipients[-1].send_log_id == last


async def test_the_daily_quota_is_never_exceeded(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 10)
    sender = await living_sender(store, account=an_account(max_24h_send=100, sent_last_24h=97))
    assert len((await claim(store, mailout, sender)).recipients) == 3
    assert await try_claim(store, mailout, sender, limit=50) == Idle("quota")


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


async def test_the_first_recipients_are_of_the_audience_and_active(
    store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber("a@example.com", tags=["vip"], fields={"n": "1"})
    await arrange.subscriber("b@example.com", tags=["vip"], status="bounced")
    await arrange.subscriber("c@example.com", tags=["other"])
    await arrange.subscriber("d@example.com", tags=["vip"])
    mailout = await arrange.mailout(audience={"tags": ["vip"]})
    rows = await store.first_recipients(mailout, 10)
    assert {row["email"] for row in rows} == {"a@example.com", "d@example.com"}
    assert {row["email"]: row["fields"] for row in rows}["a@example.com"] == {"n": "1"}
    assert len(await store.first_recipients(mailout, 1)) == 1
    everybody = await arrange.mailout()
    assert len(await store.first_recipients(everybody, 10)) == 3


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
