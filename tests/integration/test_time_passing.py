"""What depends on how long ago something was: the next try and the attempts so far, the keys of
requests, a clock that was set, senders after an outage. Times are moved in the table."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from app.domain.mailouts import Claim
from app.domain.sending.batches import Idle, Outcome, Result
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

DELAY = 30.0  # seconds


async def row(arrange: Arrange, send_log_id: int) -> dict[str, Any]:
    done = await arrange.sql.execute("select * from send_logs where id = %s", [send_log_id])
    found = await done.fetchone()
    assert found is not None
    return found


# The next try


@pytest.mark.parametrize("canary", [True, False], ids=["canary", "all"])
@pytest.mark.parametrize(("outcome", "attempts"), [("retry", 2), ("requeue", 1)])
async def test_who_was_not_accepted_waits_for_as_long_as_told(
    direct_store: Store, arrange: Arrange, canary: bool, outcome: Outcome, attempts: int
) -> None:
    """Neither the canary's share nor the rest is tried before its time."""
    await arrange.subscribers(1)
    mailout = await arrange.mailout()
    if canary:
        await arrange.sql.execute(
            "update mailouts set canary = %s", [Jsonb({"share": 0.5, "wait": "15m"})]
        )
    await start(direct_store, mailout)
    sender = await living_sender(direct_store)
    first = await claim(direct_store, mailout, sender)
    [recipient] = first.recipients
    before = await arrange.one("select clock_timestamp()")
    await direct_store.record_results(
        first.attempt_id, [Result(recipient.send_log_id, outcome, code="X", delay=DELAY)]
    )
    due_at = (await row(arrange, recipient.send_log_id))["next_attempt_at"]
    after = await arrange.one("select clock_timestamp()")
    assert (due_at - after).total_seconds() <= DELAY <= (due_at - before).total_seconds()

    waiting = Idle("canary" if canary else "empty")
    assert await try_claim(direct_store, mailout, sender) == waiting
    assert await direct_store.finish_mailout(mailout) == "sending", "somebody is still to be mailed"
    await arrange.sql.execute("update send_logs set next_attempt_at = now()")
    again = await claim(direct_store, mailout, sender)
    assert [r.attempts for r in again.recipients] == [attempts]
    assert (await row(arrange, recipient.send_log_id))["next_attempt_at"] is None


async def test_a_claim_given_back_counts_for_nobody_and_waits_for_nothing(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(direct_store, arrange, 2)
    sender = await living_sender(direct_store)
    for _ in range(3):
        batch = await claim(direct_store, mailout, sender)
        assert [r.attempts for r in batch.recipients] == [1, 1]
        assert await direct_store.release_batches([batch.attempt_id]) == {batch.attempt_id}


async def test_who_left_the_list_was_never_tried(direct_store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(direct_store, arrange, 1)
    await arrange.sql.execute("delete from subscribers")
    sender = await living_sender(direct_store)
    assert await try_claim(direct_store, mailout, sender) == Idle("skipped")
    assert await arrange.one("select attempts from send_logs") == 0


# Keys of requests


async def test_a_request_is_remembered_for_seven_days(
    direct_store: Store, arrange: Arrange
) -> None:
    """And its key is kept as long, however often the senders clean up."""

    async def request() -> Claim:
        mailout = await arrange.mailout()
        return await claim_mailout(direct_store, mailout, request_key="key", request_hash="body")

    async def later(time: str) -> None:
        await arrange.sql.execute(
            "update send_requests set created_at = now() - %s::interval", [time]
        )
        await living_sender(direct_store)

    await arrange.subscribers(1)
    assert (await request()).outcome == "claimed"
    await later("6 days 23 hours")
    assert (await request()).outcome == "repeat"
    await later("7 days 1 hour")
    assert (await request()).outcome == "claimed"
    assert (await request()).outcome == "repeat", "the later one is remembered from its own time on"
    await later("9 days")
    assert await arrange.one("select count(*) from send_requests") == 0


# The clock


async def test_a_clock_that_was_set_back_stops_nobody(
    direct_store: Store, arrange: Arrange
) -> None:
    """The next token seems to be an hour away: a batch is due now, and the rate holds after it."""
    mailout = await started_mailout(direct_store, arrange, 60)
    sender = await living_sender(direct_store, rate=10)
    await arrange.sql.execute("update send_rates set next_token_at = now() + interval '1 hour'")
    assert len((await claim(direct_store, mailout, sender)).recipients) == 10
    waiting = await try_claim(direct_store, mailout, sender)
    assert isinstance(waiting, Idle)
    assert waiting.reason == "wait"
    assert waiting.seconds <= 1


async def test_tokens_of_a_while_ahead_are_waited_for(
    direct_store: Store, arrange: Arrange
) -> None:
    """That is no clock that was set back: a large batch was taken just now."""
    mailout = await started_mailout(direct_store, arrange, 60)
    sender = await living_sender(direct_store, rate=10)
    await arrange.sql.execute("update send_rates set next_token_at = now() + interval '3 s'")
    waiting = await try_claim(direct_store, mailout, sender)
    assert isinstance(waiting, Idle)
    assert waiting.reason == "wait"


# Senders after an outage


async def silent(arrange: Arrange, *senders: UUID) -> None:
    """The database was away for ten minutes, or these were; what they claimed before is open."""
    await arrange.sql.execute(
        "update executors set heartbeat_at = now() - interval '10 minutes', "
        "alive_since = now() - interval '1 hour' where id = any (%s)",
        [list(senders)],
    )
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '10 minutes'")


async def back(store: Store, sender: UUID) -> None:
    await store.heartbeat(sender, region=REGION, label="test", lease_seconds=60, rate_limit=None)


async def test_after_an_outage_nobody_judges_others_at_once(
    direct_store: Store, arrange: Arrange
) -> None:
    """The first that is back finds every heartbeat old, its neighbour's too, who is about to return
    with what SES answered."""
    mailout = await started_mailout(direct_store, arrange, 2)
    first, neighbour = await living_sender(direct_store), await living_sender(direct_store)
    batch = await claim(direct_store, mailout, neighbour)
    await silent(arrange, first, neighbour)
    await back(direct_store, first)
    assert await direct_store.recover_lost(first) == 0
    await back(direct_store, neighbour)
    assert await direct_store.recover_lost(first) == 0
    assert await direct_store.recover_lost(neighbour) == 0
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await arrange.counts(mailout) == {"sent": 2}


async def test_who_stays_away_is_judged_after_a_full_lease(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(direct_store, arrange, 2)
    first, gone = await living_sender(direct_store), await living_sender(direct_store)
    await claim(direct_store, mailout, gone)
    await silent(arrange, first, gone)
    await back(direct_store, first)
    since = await arrange.one("select alive_since from executors where id = %s", first)
    await back(direct_store, first)
    assert since == await arrange.one("select alive_since from executors where id = %s", first), (
        "each heartbeat would begin the lease anew"
    )
    await arrange.sql.execute(
        "update executors set alive_since = now() - interval '61 seconds' where id = %s", [first]
    )
    assert await direct_store.recover_lost(first) == 2
    assert await arrange.counts(mailout) == {"unknown": 2}


async def test_a_sender_is_forgotten_a_day_after_its_last_sign(
    direct_store: Store, arrange: Arrange
) -> None:
    """Until then people may see that it fell silent; and never while what it claimed is open."""
    mailout = await started_mailout(direct_store, arrange, 1)
    judge, silent_one, late = [await living_sender(direct_store) for _ in range(3)]
    await claim(direct_store, mailout, late)
    for hours, known in ((23, {judge, silent_one, late}), (25, {judge, late})):
        await arrange.sql.execute(
            "update executors set heartbeat_at = now() - make_interval(hours => %s) where id <> %s",
            [hours, judge],
        )
        assert await direct_store.recover_lost(judge) == 0
        await arrange.sql.execute(
            "update executors set alive_since = now() - interval '1 hour' where id = %s", [judge]
        )
        await direct_store.recover_lost(judge)
        done = await arrange.sql.execute("select id from executors")
        assert {row["id"] async for row in done} == known
        await arrange.sql.execute("update executors set alive_since = now() where id = %s", [judge])


async def test_a_claim_just_made_by_one_who_left_is_not_judged_yet(
    direct_store: Store, arrange: Arrange
) -> None:
    """It signed off, and its last results are on their way."""
    mailout = await started_mailout(direct_store, arrange, 2)
    judge, leaving = await living_sender(direct_store), await living_sender(direct_store)
    await claim(direct_store, mailout, leaving)
    await direct_store.leave(leaving)
    await let_judge(arrange, judge)
    assert await direct_store.recover_lost(judge) == 0
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '61 seconds'")
    assert await direct_store.recover_lost(judge) == 2


# The account


async def test_what_was_used_since_the_account_was_asked_counts_against_the_quota(
    direct_store: Store, arrange: Arrange
) -> None:
    """SES's figure may lack what went out in the last seconds; older mails are in it."""
    mailout = await started_mailout(direct_store, arrange, 30)
    account = an_account(max_24h_send=100, sent_last_24h=80)
    sender = await living_sender(direct_store, account=account)
    await claim(direct_store, mailout, sender, limit=12)
    await direct_store.record_account(REGION, account)
    assert await arrange.one("select taken_since_check from send_rates") == 12
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '6 seconds'")
    await direct_store.record_account(REGION, an_account(max_24h_send=100, sent_last_24h=92))
    assert await arrange.one("select taken_since_check from send_rates") == 0
    assert len((await claim(direct_store, mailout, sender)).recipients) == 8
