"""Two routes of one mailout beside each other: claims, requeues, refusals and pauses."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Idle, Outcome
from app.store import Store
from tests.support.factories import REGION, Arrange, all_sent, an_account, try_claim
from tests.support.transactions import Transaction, blocked, prepared, status

HOME, AWAY = REGION, "eu-west-1"
BOTH = (HOME, AWAY)


async def by_both(store: Store, arrange: Arrange, readers: int) -> tuple[UUID, UUID]:
    """A started mailout, and a sender both of whose routes may send."""
    mailout, sender = await prepared(store, arrange, readers)
    await store.record_account(AWAY, an_account())
    return mailout, sender


def ids(claimed: Any) -> set[int]:
    return {row["id"] for row in claimed["rows"]}


@pytest.mark.parametrize("commits", [True, False])
async def test_two_routes_claim_at_once_and_share_no_row(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction, commits: bool
) -> None:
    """Neither waits for the other. What the first gives back by not committing, the other takes."""
    mailout, sender = await by_both(direct_store, arrange, 5)
    one = await first.claim(mailout, sender, limit=3, region=HOME)
    two = await second.claim(mailout, sender, limit=3, region=AWAY)
    assert (len(ids(one)), len(ids(two))) == (3, 2)
    assert ids(one).isdisjoint(ids(two))
    await second.commit()
    await (first.commit() if commits else first.roll_back())
    third = await try_claim(direct_store, mailout, sender, region=AWAY)
    if commits:
        assert third == Idle("empty")
    else:
        assert isinstance(third, Batch)
        assert {r.send_log_id for r in third.recipients} == ids(one)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("outcome", "moves"),
    [("requeue", True), ("retry", True), ("unknown", False), ("failed", False), ("sent", False)],
)
async def test_what_one_route_gives_back_the_other_takes_once_that_is_committed(
    direct_store: Store,
    arrange: Arrange,
    first: Transaction,
    second: Transaction,
    outcome: Outcome,
    moves: bool,
) -> None:
    """Only what certainly wasn't accepted moves. Another call under way keeps the mailout open."""
    mailout, sender = await by_both(direct_store, arrange, 2)
    assert isinstance(await try_claim(direct_store, mailout, sender, limit=1, region=AWAY), Batch)
    batch = await try_claim(direct_store, mailout, sender, limit=1, region=HOME)
    assert isinstance(batch, Batch)
    await first.record(batch, outcome)
    assert await second.claim(mailout, sender, region=AWAY) == {"reason": "empty"}
    await second.commit()
    await first.commit()
    claimed = await try_claim(direct_store, mailout, sender, region=AWAY)
    assert isinstance(claimed, Batch) == moves


async def test_a_late_answer_of_one_route_does_not_touch_the_others_attempt(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout, sender = await by_both(direct_store, arrange, 1)
    early = await try_claim(direct_store, mailout, sender, region=HOME)
    assert isinstance(early, Batch)
    await direct_store.release_batches([early.attempt_id])
    late = await try_claim(direct_store, mailout, sender, region=AWAY)
    assert isinstance(late, Batch)
    await direct_store.record_results(early.attempt_id, all_sent(early))
    assert await arrange.one("select attempt_id from send_logs") == late.attempt_id
    assert await arrange.counts(mailout) == {"sending": 1}
    assert await try_claim(direct_store, mailout, sender, region=HOME) == Idle("empty")


async def test_of_two_routes_that_are_refused_at_once_the_second_pauses(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """Else each would leave it to the other, and it would wait unseen."""
    mailout, _ = await by_both(direct_store, arrange, 1)
    assert (await first.block(mailout, HOME, BOTH))["status"] == "sending"
    waiting = await blocked(arrange, second, second.block(mailout, AWAY, BOTH))
    await first.commit()
    assert (await waiting)["status"] == "paused"
    await second.commit()
    assert await status(arrange, mailout) == "paused"


async def test_a_claim_waits_for_its_routes_refusal(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await by_both(direct_store, arrange, 1)
    await first.block(mailout, HOME, BOTH)
    claiming = await blocked(arrange, second, second.claim(mailout, sender, region=HOME))
    await first.commit()
    assert await claiming == {"reason": "blocked"}
    await second.commit()
    assert isinstance(await try_claim(direct_store, mailout, sender, region=AWAY), Batch)


async def test_a_pause_waits_for_the_claims_of_all_routes(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    mailout, sender = await by_both(direct_store, arrange, 4)
    await first.claim(mailout, sender, limit=1, region=HOME)
    claimed = await try_claim(direct_store, mailout, sender, limit=1, region=AWAY)
    assert isinstance(claimed, Batch)
    pausing = await blocked(
        arrange,
        second,
        second.call("pause_mailout", p_mailout=mailout, p_code="person", p_reason="wait"),
    )
    await first.commit()
    assert (await pausing)["changed"]
    await second.commit()
    assert await arrange.counts(mailout) == {"sending": 2, "queued": 2}
    for region in BOTH:
        assert await try_claim(direct_store, mailout, sender, region=region) == Idle("not_sending")


async def test_a_mailout_is_over_when_the_calls_of_all_routes_are(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout, sender = await by_both(direct_store, arrange, 2)
    batches = [
        await try_claim(direct_store, mailout, sender, limit=1, region=region) for region in BOTH
    ]
    for batch, after in zip(batches, ("sending", "sent"), strict=True):
        assert isinstance(batch, Batch)
        assert await direct_store.record_results(batch.attempt_id, all_sent(batch)) == after


async def test_an_account_that_recovers_beside_the_last_refusal_leaves_no_pause_that_never_ends(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """HOME may send again while AWAY, the last route, is refused: whichever comes first, either
    HOME is open or the next look at its account resumes the mailout."""
    mailout, sender = await by_both(direct_store, arrange, 1)
    await direct_store.block_route(mailout, HOME, "account", "refused", routes=BOTH)
    await first.call("resume_waiting_mailouts", p_region=HOME)
    answer = await second.block(mailout, AWAY, BOTH)
    await second.commit()
    await first.commit()
    if answer["status"] == "paused":
        assert await direct_store.resume_waiting_mailouts(HOME) == [mailout]
    assert isinstance(await try_claim(direct_store, mailout, sender, region=HOME), Batch)


async def test_a_person_and_the_account_resume_at_once(
    direct_store: Store, arrange: Arrange, first: Transaction, second: Transaction
) -> None:
    """Neither waits for what the other holds for ever."""
    mailout, sender = await by_both(direct_store, arrange, 1)
    for region in BOTH:
        await direct_store.block_route(mailout, region, "account", "refused", routes=BOTH)
    await first.call("resume_mailout", p_mailout=mailout)
    waiting = await blocked(arrange, second, second.call("resume_waiting_mailouts", p_region=None))
    await first.commit()
    assert await waiting == []
    await second.commit()
    assert await status(arrange, mailout) == "sending"
    assert isinstance(await try_claim(direct_store, mailout, sender, region=AWAY), Batch)


async def test_one_sender_is_lost_with_calls_by_both_routes(
    direct_store: Store, arrange: Arrange
) -> None:
    """Its rows are unknown, and no route takes them."""
    mailout, sender = await by_both(direct_store, arrange, 2)
    for region in BOTH:
        assert isinstance(
            await try_claim(direct_store, mailout, sender, limit=1, region=region), Batch
        )
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '2 hours'")
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '2 hours'")
    other = uuid4()
    await direct_store.heartbeat(
        other, region=HOME, label="other", lease_seconds=60, rate_limit=None
    )
    await arrange.sql.execute(
        "update executors set alive_since = now() - interval '2 hours' where id = %s", [other]
    )
    assert await direct_store.recover_lost(other) == 2
    for region in BOTH:
        assert await try_claim(direct_store, mailout, other, region=region) == Idle("empty")
    assert await arrange.counts(mailout) == {"unknown": 2}
