"""How much a claim may take: the tokens of a rate that all senders share, and the daily quota."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Idle
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    all_sent,
    an_account,
    claim,
    living_sender,
    start,
    started_mailout,
    try_claim,
)


async def test_the_rate_of_all_senders_together(store: Store, arrange: Arrange) -> None:
    """The smallest told rate holds, never above the account's; without one, nine tenths of it."""
    account = an_account(max_send_rate=10)
    one = await living_sender(store, rate=100, account=account)
    assert await store.record_account(REGION, account) == 10
    await living_sender(store, rate=4, account=account)
    assert await store.record_account(REGION, account) == 4
    await arrange.sql.execute("delete from executors where id <> %s", [one])
    await arrange.sql.execute(
        "update executors set rate_limit = null, routes = jsonb_build_object(region, null)"
    )
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
