"""Several routes for one mailout, each with its own tokens and account: it stops when none is
left."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from app.domain.sending.batches import Account, Batch, Idle
from app.store import Store
from tests.support.factories import Arrange, an_account, started_mailout

HOME, AWAY = "eu-west-1", "us-east-1"
BOTH = (HOME, AWAY)


async def sender_by(store: Store, accounts: dict[str, Account]) -> UUID:
    """A living sender that sends by these routes."""
    sender = uuid4()
    await store.heartbeat(
        sender,
        region=next(iter(accounts)),
        label="test",
        lease_seconds=60,
        rate_limit=None,
        routes=dict.fromkeys(accounts),
    )
    for region, account in accounts.items():
        await store.record_account(region, account)
    return sender


async def claim_by(
    store: Store, region: str, mailout: UUID, sender: UUID
) -> tuple[Batch, ...] | Idle:
    return await store.claim_batches(mailout, sender, attempts=[uuid4()], region=region, limit=5)


async def reason_of(store: Store, region: str, mailout: UUID, sender: UUID) -> str | None:
    claimed = await claim_by(store, region, mailout, sender)
    return claimed.reason if isinstance(claimed, Idle) else None


async def block(store: Store, mailout: UUID, region: str, routes: tuple[str, ...] = BOTH) -> str:
    return (await store.block_route(mailout, region, "account", "refused", routes=routes)).status


async def test_each_route_has_its_own_tokens_and_quota(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 12)
    sender = await sender_by(
        store, {HOME: an_account(max_24h_send=5), AWAY: an_account(max_24h_send=1000)}
    )
    first = await claim_by(store, HOME, mailout, sender)
    second = await claim_by(store, AWAY, mailout, sender)
    assert isinstance(first, tuple) and isinstance(second, tuple)
    ids = [r.send_log_id for batch in (*first, *second) for r in batch.recipients]
    assert len(ids) == len(set(ids)) == 10, "nobody is claimed twice"
    assert await reason_of(store, HOME, mailout, sender) == "quota"
    paused = await store.block_route(mailout, HOME, "quota", "used up", routes=BOTH)
    assert paused.status == "sending", "the other region has quota left"
    third = await claim_by(store, AWAY, mailout, sender)
    assert isinstance(third, tuple) and len(third[0].recipients) == 2


async def test_a_mailout_is_paused_when_no_route_is_left(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 3)
    sender = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    assert await block(store, mailout, HOME) == "sending"
    assert await reason_of(store, HOME, mailout, sender) == "blocked"
    assert await block(store, mailout, AWAY) == "paused"
    assert await store.resume_waiting_mailouts(HOME) == [mailout], "home may send again"
    assert await reason_of(store, AWAY, mailout, sender) == "blocked"
    assert await reason_of(store, HOME, mailout, sender) is None


async def test_a_person_who_resumes_lets_every_route_try_again(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    sender = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    for region in BOTH:
        await block(store, mailout, region)
    assert (await store.resume_mailout(mailout)).status == "sending"
    assert await reason_of(store, HOME, mailout, sender) is None


async def test_an_account_that_may_not_send_is_not_claimed_for(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    sender = await sender_by(store, {HOME: an_account(sending_enabled=False), AWAY: an_account()})
    assert await reason_of(store, HOME, mailout, sender) == "account"
    assert await block(store, mailout, HOME) == "sending"
    await store.record_account(AWAY, an_account(enforcement_status="SHUTDOWN"))
    assert await block(store, mailout, HOME) == "paused", "the other is stopped, too"


async def test_a_mailout_that_is_kept_to_a_route_takes_no_other(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 3)
    await arrange.sql.execute("update mailouts set region = %s", [AWAY])
    sender = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    assert await claim_by(store, HOME, mailout, sender) == Idle("elsewhere", kept=AWAY)
    assert await block(store, mailout, AWAY) == "paused", "though home could send"
    assert await store.resume_waiting_mailouts(HOME) == []
    assert await store.resume_waiting_mailouts(AWAY) == [mailout]
    assert await reason_of(store, AWAY, mailout, sender) is None


async def test_a_mailout_that_is_kept_to_nowhere_is_held(store: Store, arrange: Arrange) -> None:
    mailout = await started_mailout(store, arrange, 3)
    await arrange.sql.execute("update mailouts set region = 'ap-south-1'")
    await sender_by(store, {HOME: an_account()})
    other = await sender_by(store, {HOME: an_account(), "ap-south-1": an_account()})
    assert (await store.hold_without_route(mailout, "nobody")).status == "sending"
    await store.leave(other)
    assert (await store.hold_without_route(mailout, "nobody")).status == "sending", "it restarts"
    await arrange.sql.execute(
        "update send_rates set account_checked_at = now() - interval '4 minutes'"
    )
    assert (await store.hold_without_route(mailout, "nobody")).status == "paused"
    assert await arrange.one("select pause_code from mailouts") == "held"


async def test_a_senders_rate_holds_for_each_of_its_routes(store: Store, arrange: Arrange) -> None:
    sender = uuid4()
    for account in (HOME, AWAY):
        await store.record_account(account, an_account(max_send_rate=100))
    await store.heartbeat(
        sender,
        region=HOME,
        label="test",
        lease_seconds=60,
        rate_limit=None,
        routes={HOME: 7, AWAY: None},
    )
    rates = await arrange.one("select jsonb_object_agg(region, rate) from send_rates")
    assert rates == {HOME: 7, AWAY: 90}
    await store.leave(sender)
    # A sender of an earlier version names its one region and no routes.
    await store.heartbeat(sender, region=AWAY, label="old", lease_seconds=60, rate_limit=3)
    rates = await arrange.one("select jsonb_object_agg(region, rate) from send_rates")
    assert rates == {HOME: 7, AWAY: 3}
    await store.record_account(HOME, an_account(max_send_rate=100))
    assert await arrange.one("select rate from send_rates where region = %s", HOME) == 90


async def test_why_a_mailout_waits_is_shown_on_those_that_do(
    store: Store, arrange: Arrange
) -> None:
    kept = await arrange.mailout("sending", started_at=datetime.now(UTC))
    await arrange.sql.execute("update mailouts set region = %s", [AWAY])
    spread = await arrange.mailout("sending", started_at=datetime.now(UTC))

    async def reasons() -> list[str | None]:
        return [
            await arrange.one("select status_reason from mailouts where id = %s", one)
            for one in (kept, spread)
        ]

    await store.note_waiting("Waiting for SES", kept_to=AWAY)
    assert await reasons() == ["Waiting for SES", None]
    await store.note_waiting("Waiting for SES")
    await store.note_waiting(None, kept_to=AWAY)
    assert await reasons() == [None, "Waiting for SES"]


async def test_a_mailout_that_is_kept_elsewhere_isnt_stopped_by_a_route(
    store: Store, arrange: Arrange
) -> None:
    """Home is suspended before anybody has asked SES for the other region's rate."""
    mailout = await started_mailout(store, arrange, 1)
    await arrange.sql.execute("update mailouts set region = %s", [AWAY])
    await sender_by(store, {HOME: an_account(sending_enabled=False)})
    assert await block(store, mailout, HOME) == "sending"
    assert await arrange.one("select status_reason from mailouts") is None


async def test_a_sender_with_fewer_regions_pauses_nothing_that_another_can_send(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 1)
    await sender_by(store, {HOME: an_account()})
    other = await sender_by(store, {HOME: an_account(), AWAY: an_account()})
    assert await block(store, mailout, HOME, routes=(HOME,)) == "sending"
    await store.leave(other)
    assert await block(store, mailout, HOME, routes=(HOME,)) == "paused"


async def test_a_mailout_says_that_it_waits_when_who_answers_cannot_send_it(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 1)
    await sender_by(store, {HOME: an_account(), AWAY: an_account()})

    async def said(*silent: str, routes: tuple[str, ...] = BOTH) -> str | None:
        await store.note_silence("Waiting for SES", routes=routes, silent=silent)
        reason: str | None = await arrange.one("select status_reason from mailouts")
        return reason

    assert await said(AWAY) is None, "home sends"
    assert await block(store, mailout, HOME) == "sending", "it isn't known that the other is silent"
    assert await said(AWAY) == "Waiting for SES", "home is refused, and the other doesn't answer"
    await store.resume_waiting_mailouts(HOME)
    assert await said(AWAY) is None, "home sends again"
    assert await said(HOME, routes=(HOME,)) is None, "another sender has a region that sends"
    await store.record_account(AWAY, an_account(max_24h_send=9, sent_last_24h=9))
    assert await said(HOME) == "Waiting for SES", "the other has no quota left"


async def test_a_provider_that_has_the_turn_and_refuses_lets_the_mailout_say_that_it_waits(
    store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 1)
    await sender_by(store, {HOME: an_account(), "sendgrid": an_account()})
    await store.open_fallback("sendgrid", "a test", "key:test")
    everybody = (HOME, "sendgrid")

    async def said(*silent: str) -> str | None:
        await store.note_silence("Waiting for SES", routes=everybody, silent=silent)
        reason: str | None = await arrange.one("select status_reason from mailouts")
        return reason

    assert await said(HOME) is None, "the provider sends"
    assert await said(*everybody) == "Waiting for SES"
    assert await said(HOME) is None
    assert await block(store, mailout, "sendgrid", routes=everybody) == "sending"
    assert await said(HOME) == "Waiting for SES"
