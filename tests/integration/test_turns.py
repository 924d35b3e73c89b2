"""Mailouts that are sent side by side take turns."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from app.adapters.aws.ses import SesSender
from app.domain.sending.batches import Idle
from app.sandbox.server import SandboxServer
from app.services.sending import dispatch
from app.services.sending.send_batch import BULK_CALLS, FAST_BULK_CALLS, FAST_RATE, SendBatch
from app.store import Store
from tests.support.factories import Arrange, start
from tests.support.service import in_process, settings_for
from tests.support.waiting import eventually


async def send_all(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, store: Store, mailouts: int, **more: str
) -> list[UUID]:
    """Side by side, one recipient a batch. Gives whose batches they were, in their order."""
    ids = [await arrange.mailout() for _ in range(mailouts)]
    for mailout in ids:
        await start(store, mailout)

    async def unsent() -> int:
        cursor = await arrange.sql.execute("select from mailouts where status <> 'sent'")
        return cursor.rowcount

    async with in_process(settings_for(dsn, sandbox.url, BATCH_SIZE="1", **more)):
        await eventually(unsent, until=lambda n: n == 0)
    cursor = await arrange.sql.execute("select mailout_id from send_batches order by token_at")
    return [row["mailout_id"] for row in await cursor.fetchall()]


@pytest.mark.short
@pytest.mark.few_variants(1)
@pytest.mark.parametrize("quick", [True, False])
async def test_of_many_one_whose_batches_are_soon_over_claims_several_at_once(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    quick: bool,
) -> None:
    """Of six each has a sixth of the places. One whose batches take long never has more."""
    asked: list[int] = []
    claim = dispatch.Dispatcher._claim

    async def watched(
        self: dispatch.Dispatcher, mailout_id: UUID, attempts: list[UUID], *others: Any, **more: Any
    ) -> Any:
        asked.append(len(attempts))
        return await claim(self, mailout_id, attempts, *others, **more)

    monkeypatch.setattr(dispatch.Dispatcher, "_claim", watched)
    monkeypatch.setattr(dispatch, "QUICK_SECONDS", 60.0 if quick else 0.0)
    await arrange.subscribers(12)
    await send_all(dsn, sandbox, arrange, direct_store, 6)
    while_all_were_there = asked[: len(asked) // 2]
    if quick:
        assert FAST_BULK_CALLS // 6 < max(while_all_were_there) <= dispatch.CLAIMED_AT_ONCE
    else:
        assert max(while_all_were_there) <= FAST_BULK_CALLS // 6


async def test_whoever_waited_for_tokens_gets_them(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when there was a look for new work in between. Else of two, one waits and the other one
    gets."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.03)
    monkeypatch.setattr(dispatch, "CLAIMED_AT_ONCE", 1)
    claims: list[tuple[UUID, bool]] = []  # whose, and whether it has to wait
    claim = Store.claim_batches

    async def watched(self: Store, mailout_id: UUID, *arguments: Any, **more: Any) -> Any:
        # No rate is one at which a machine, however busy, would have to wait for certain.
        if len(claims) % 3 == 2:
            answer: Any = Idle("wait", seconds=0.03)
        else:
            answer = await claim(self, mailout_id, *arguments, **more)
        claims.append((mailout_id, isinstance(answer, Idle) and answer.reason == "wait"))
        return answer

    is_ready, ready = SendBatch.is_ready, set[UUID]()

    def all_are(self: SendBatch, mailout_id: UUID, when_ready: Callable[[], None]) -> bool:
        # Whoever is prepared first would be done before the others are there.
        if is_ready(self, mailout_id, when_ready):
            ready.add(mailout_id)
        return len(ready) == 3

    monkeypatch.setattr(Store, "claim_batches", watched)
    monkeypatch.setattr(SendBatch, "is_ready", all_are)
    await arrange.subscribers(4)  # fewer than the places of each, so that none is full
    await send_all(dsn, sandbox, arrange, direct_store, 3, RATE_LIMIT_PER_SEC=str(FAST_RATE - 100))
    # Whoever becomes ready while another waits has got nothing yet, and so is next; and who has
    # nobody left may be over before it asks again.
    owners = [owner for owner, _ in claims]
    with_all = max(owners.index(owner) for owner in set(owners))
    waited = [
        (owner, owners[n + 1])
        for n, (owner, waits) in enumerate(claims)
        if waits and n >= with_all and owner in owners[n + 1 :]
    ]
    assert len(waited) > 1
    assert all(asked == then for asked, then in waited), claims


@pytest.mark.short
async def test_claims_that_look_from_the_first_row_on_are_a_small_part_of_the_time(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They read past all that was claimed since the last vacuum: of a long mailout that takes
    long, while all other claims wait."""
    monkeypatch.setattr(dispatch, "POLL_SECONDS", 0.01)
    asked: list[int] = []
    claim = Store.claim_batches

    async def slowly(self: Store, *arguments: Any, after: int, **more: Any) -> Any:
        asked.append(after)
        if not after:
            await asyncio.sleep(0.03)
        return await claim(self, *arguments, after=after, **more)

    monkeypatch.setattr(Store, "claim_batches", slowly)
    await arrange.subscribers(30)
    await send_all(dsn, sandbox, arrange, direct_store, 1, RATE_LIMIT_PER_SEC="100")
    while_it_was_sent = asked[: asked.index(max(asked))]
    assert while_it_was_sent.count(0) <= 2, asked  # the first one, and perhaps one of a first slice


@pytest.mark.short
@pytest.mark.parametrize(
    ("rate", "places"), [(FAST_RATE - 100, BULK_CALLS), (FAST_RATE, FAST_BULK_CALLS)]
)
async def test_only_at_rates_beyond_what_ses_grants_are_more_calls_in_flight(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    rate: float,
    places: int,
) -> None:
    """Whoever is in flight may end as unknown when the process is killed."""
    calls: list[None] = []
    go_on = threading.Event()
    send = SesSender.send_bulk

    def held_up(self: SesSender, *arguments: Any, **more: Any) -> Any:
        calls.append(None)
        assert go_on.wait(60)
        return send(self, *arguments, **more)

    monkeypatch.setattr(SesSender, "send_bulk", held_up)
    await arrange.subscribers(FAST_BULK_CALLS + 10)
    sent = asyncio.create_task(
        send_all(dsn, sandbox, arrange, direct_store, 1, RATE_LIMIT_PER_SEC=str(rate))
    )

    async def in_flight() -> int:
        return len(calls)

    await eventually(in_flight, until=lambda n: n == places)
    await asyncio.sleep(0.3)
    assert len(calls) == places
    go_on.set()
    assert len(await sent) == FAST_BULK_CALLS + 10


@pytest.mark.short
@pytest.mark.parametrize(
    ("rate", "mailouts", "at_once"),
    [(FAST_RATE - 100, 1, 1), (FAST_RATE, 1, 2), (FAST_RATE, 3, 2)],
)
async def test_only_at_such_rates_is_a_claim_begun_while_one_is_under_way(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    rate: float,
    mailouts: int,
    at_once: int,
) -> None:
    """And of several mailouts not for the same one, so that each gets as much."""
    under_way: list[UUID] = []
    seen: list[list[UUID]] = []
    claim = dispatch.Dispatcher._claim

    async def slowly(self: dispatch.Dispatcher, mailout_id: UUID, *others: Any, **more: Any) -> Any:
        under_way.append(mailout_id)
        seen.append(list(under_way))
        try:
            await asyncio.sleep(0.02)
            return await claim(self, mailout_id, *others, **more)
        finally:
            under_way.remove(mailout_id)

    monkeypatch.setattr(dispatch.Dispatcher, "_claim", slowly)
    await arrange.subscribers(60)
    owners = await send_all(
        dsn, sandbox, arrange, direct_store, mailouts, RATE_LIMIT_PER_SEC=str(rate)
    )
    assert len(owners) == 60 * mailouts
    assert max(map(len, seen)) == at_once
    if mailouts > 1:
        # Whose content is ready first is alone until the others' is.
        with_all = max(seen.index(next(s for s in seen if owner in s)) for owner in set(owners))
        while_all_were_there = seen[with_all : (with_all + len(seen)) // 2]
        assert all(len(set(them)) == len(them) for them in while_all_were_there)
    to = [line["to"] for line in sandbox.accepted()]
    assert len(to) == 60 * mailouts


async def test_mailouts_that_wait_are_not_prepared_again_and_again(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when more of them wait for a wave than contents are kept: what one has prepared puts
    away another one's, and each would wake the dispatcher for the next."""
    monkeypatch.setattr("app.services.sending.send_batch.KEPT_CONTENTS", 2)
    prepared: list[UUID] = []
    looks = 0
    content, work = Store.snapshot_content, Store.sender_work

    async def preparing(self: Store, mailout_id: UUID) -> Any:
        prepared.append(mailout_id)
        return await content(self, mailout_id)

    async def looking(self: Store) -> Any:
        nonlocal looks
        looks += 1
        return await work(self)

    async def looked() -> int:
        return looks

    monkeypatch.setattr(Store, "snapshot_content", preparing)
    monkeypatch.setattr(Store, "sender_work", looking)
    await arrange.subscribers(2)
    waiting = [await arrange.mailout() for _ in range(3)]
    for mailout in waiting:
        await start(direct_store, mailout)
    tomorrow = "update send_logs set next_attempt_at = now() + interval '1 day'"
    await arrange.sql.execute(tomorrow)
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        sender = service.services.sender
        assert sender is not None
        kept = sender.home.send._prepared
        await eventually(looked, until=lambda _: len(kept) == 2 and len(prepared) >= 3)
        several = looks + 30
        await eventually(looked, until=lambda n: n > several)
        assert len(prepared) <= 6
        await arrange.sql.execute("update send_logs set next_attempt_at = null")

        async def unsent() -> int:
            cursor = await arrange.sql.execute("select from mailouts where status <> 'sent'")
            return cursor.rowcount

        await eventually(unsent, until=lambda n: n == 0)
    assert len(sandbox.accepted()) == 6
