"""What senders do beside sending goes in slices that take turns, and none is done twice."""

from __future__ import annotations

from contextlib import suppress
from uuid import UUID

import pytest

from app.domain.sending.batches import Result
from app.errors import DatabaseError, DatabaseUnavailable
from app.services.sending import upkeep
from app.services.sending.upkeep import Upkeep
from app.store import Store
from tests.support.factories import (
    Arrange,
    claim,
    claim_mailout,
    living_sender,
    started_mailout,
)

SLICE = 5_000
"""Of a resend, within the request itself (resend.sql)."""


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FIRST_SLICE", 2)
    monkeypatch.setattr(upkeep, "SLICE", 4)


async def started(store: Store, arrange: Arrange) -> UUID:
    """Claimed, and nothing queued."""
    mailout = await arrange.mailout()
    await claim_mailout(store, mailout)
    return mailout


async def test_what_has_started_goes_on_though_nothing_can_be_started(
    direct_store: Store, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    mailout = await started(direct_store, arrange)
    await arrange.sql.execute("drop function begin_waves()")
    rounds = Upkeep(direct_store, lambda: None)
    for _ in range(2):
        with pytest.raises(DatabaseError):
            await rounds.take_turns()
    assert await arrange.counts(mailout) == {"queued": 3}


async def test_who_is_looked_up_in_many_mailouts_comes_in_small_slices(
    direct_store: Store, arrange: Arrange
) -> None:
    """Else a slice would take longer than a statement may, and never be done."""
    await arrange.subscribers(250)
    rule = {"field": "received", "op": "is_not", "value": "any", "days": 365}
    mailout = await arrange.mailout(audience=rule)
    await arrange.sql.execute(
        "insert into mailouts (subject, body_html, status, started_at)"
        " select 'Daily', '<p>Hello', 'sent', now() from generate_series(1, 1500)"
    )
    await claim_mailout(direct_store, mailout)
    assert await direct_store.queue_recipients(mailout, 20_000) == (199, False)
    assert await direct_store.queue_recipients(mailout, 20_000) == (51, True)
    assert await arrange.counts(mailout) == {"queued": 250}


async def test_a_long_list_keeps_nobody_waiting(direct_store: Store, arrange: Arrange) -> None:
    """Of the next mailout a first slice is queued, and a cancel goes on, in the same round."""
    await arrange.subscribers(20)
    large, cancelled = await started(direct_store, arrange), await started(direct_store, arrange)
    while not (await direct_store.queue_recipients(cancelled, 100))[1]:
        pass
    told: list[None] = []
    rounds = Upkeep(direct_store, lambda: told.append(None))
    assert await rounds.take_turns()
    assert await arrange.counts(large) == {"queued": 2}
    await arrange.sql.execute("update mailouts set status = 'cancelled' where id = %s", [cancelled])
    new = await started(direct_store, arrange)
    assert await rounds.take_turns()
    assert await arrange.counts(large) == {"queued": 6}
    assert await arrange.counts(new) == {"queued": 2}
    assert await arrange.counts(cancelled) == {"queued": 16, "cancelled": 4}
    assert len(told) == 3
    while await rounds.take_turns():
        pass
    assert await arrange.counts(large) == await arrange.counts(new) == {"queued": 20}
    assert await arrange.counts(cancelled) == {"cancelled": 20}


async def test_one_mailouts_trouble_is_not_the_next_ones(
    direct_store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    await arrange.subscribers(3)
    bad, good = await started(direct_store, arrange), await started(direct_store, arrange)
    queue = direct_store.queue_recipients

    async def queue_good(mailout_id: UUID, limit: int) -> tuple[int, bool]:
        if mailout_id == bad:
            raise RuntimeError
        return await queue(mailout_id, limit)

    monkeypatch.setattr(direct_store, "queue_recipients", queue_good)
    rounds = Upkeep(direct_store, lambda: None)
    while await rounds.take_turns():
        pass
    assert await arrange.counts(good) == {"queued": 3}
    assert await arrange.counts(bad) == {}


async def test_who_has_a_rare_tag_is_found_slice_by_slice(store: Store, arrange: Arrange) -> None:
    """A slice is of subscribers looked at: one that had to find its fill would read the whole list.
    The canary's share is of all slices together, also where each has one recipient or none."""
    for n in range(40):
        await arrange.subscriber(f"{n}@example.com", tags=["rare"] if n % 2 else [])
    mailout = await arrange.mailout(audience={"tags": ["rare"]})
    await arrange.sql.execute("""update mailouts set canary = '{"share": 0.2, "wait": "1m"}'""")
    await claim_mailout(store, mailout)
    looked_at = []
    done = False
    while not done:
        count, done = await store.queue_recipients(mailout, 3)
        looked_at.append(count)
    assert looked_at == [3] * 13 + [1]
    assert await arrange.counts(mailout) == {"queued": 20}
    assert await arrange.one("select count(*) from send_logs where canary") == 4


# A resend of more than one slice


async def all_failed(store: Store, arrange: Arrange, recipients: int) -> UUID:
    mailout = await started_mailout(store, arrange, 1)
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, subscriber_id, email, status, attempts, claimed_at) "
        "select %s, gen_random_uuid(), n || '@example.com', "
        "case when n %% 2 = 0 then 'failed' else 'unknown' end, 8, now() "
        "from generate_series(1, %s) n",
        [mailout, recipients],
    )
    await arrange.sql.execute("delete from send_logs where status = 'queued'")
    assert await store.finish_mailout(mailout) == "sent"
    return mailout


async def test_a_resend_goes_on_in_slices(
    direct_store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request is answered after the first; senders of any release queue the others."""
    monkeypatch.setattr(upkeep, "SLICE", 100)
    mailout = await all_failed(direct_store, arrange, SLICE + 20)
    done = await direct_store.resend_mailout(mailout, ["failed"], force=False)
    assert (done["status"], done["requeued"], done["too_young"]) == ("sending", SLICE // 2, 0)
    assert done["remaining"] == 10
    assert await direct_store.finish_mailout(mailout) == "sending"
    rounds = Upkeep(direct_store, lambda: None)
    while await rounds.take_turns():
        pass
    assert await arrange.counts(mailout) == {
        "queued": SLICE // 2 + 10, "unknown": SLICE // 2 + 10,
    }  # fmt: skip
    assert (await direct_store.sender_work()).queueing == ()


async def test_who_fails_again_during_a_resend_is_not_sent_to_a_third_time(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await all_failed(direct_store, arrange, SLICE + 20)
    await direct_store.resend_mailout(mailout, ["failed", "unknown"], force=True)
    sender = await living_sender(direct_store)
    await arrange.sql.execute(
        "insert into subscribers (id, email) select subscriber_id, email from send_logs"
    )
    batch = await claim(direct_store, mailout, sender)
    await direct_store.record_results(
        batch.attempt_id, [Result(r.send_log_id, "failed", code="X") for r in batch.recipients]
    )
    while not (await direct_store.queue_recipients(mailout, 100))[1]:
        pass
    assert await arrange.counts(mailout) == {"queued": SLICE + 20 - 50, "failed": 50}


async def test_a_cancel_ends_a_resend(direct_store: Store, arrange: Arrange) -> None:
    mailout = await all_failed(direct_store, arrange, SLICE + 20)
    await direct_store.resend_mailout(mailout, ["failed"], force=False)
    await direct_store.cancel_mailout(mailout)
    while not (await direct_store.queue_recipients(mailout, 100))[1]:
        pass
    counts = await arrange.counts(mailout)
    assert counts == {
        "cancelled": SLICE // 2, "failed": 10, "unknown": SLICE // 2 + 10,
    }  # fmt: skip


async def test_a_second_resend_starts_from_the_beginning(store: Store, arrange: Arrange) -> None:
    mailout = await all_failed(store, arrange, 4)
    first = await store.resend_mailout(mailout, ["failed"], force=False)
    assert (first["requeued"], first["remaining"]) == (2, 0)
    await arrange.sql.execute("update send_logs set status = 'failed' where status = 'queued'")
    assert await store.finish_mailout(mailout) == "sent"
    second = await store.resend_mailout(mailout, ["failed", "unknown"], force=True)
    assert (second["requeued"], second["too_young"]) == (4, 0)


@pytest.mark.parametrize(
    ("long", "slices"), [(60.0, [2, 8, 20, 20]), (-1.0, [2] * 16)], ids=["quick", "long"]
)
async def test_slices_grow_while_they_are_quick(
    direct_store: Store,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    long: float,
    slices: list[int],
) -> None:
    """The first mail waits for the first one, and of people who aren't in memory few are read in
    the time that a statement may take."""
    monkeypatch.setattr(upkeep, "SLICE", 20)
    monkeypatch.setattr(upkeep, "LONG_SLICE_SECONDS", long)
    asked: list[int] = []
    queue = Store.queue_recipients

    async def watched(self: Store, mailout_id: UUID, limit: int) -> tuple[int, bool]:
        asked.append(limit)
        return await queue(self, mailout_id, limit)

    monkeypatch.setattr(Store, "queue_recipients", watched)
    await arrange.subscribers(31)
    mailout = await started(direct_store, arrange)
    rounds = Upkeep(direct_store, lambda: None)
    while await rounds.take_turns():
        pass
    assert asked == slices
    assert await arrange.counts(mailout) == {"queued": 31}


async def test_a_slice_that_the_database_cuts_off_is_tried_smaller(
    direct_store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As large, it would be cut off for ever, and with it all that comes after it in a round."""
    monkeypatch.setattr(upkeep, "SLICE", 20)
    queue = Store.queue_recipients

    async def slow(self: Store, mailout_id: UUID, limit: int) -> tuple[int, bool]:
        if limit > 5:
            raise DatabaseUnavailable("a statement took too long")
        return await queue(self, mailout_id, limit)

    monkeypatch.setattr(Store, "queue_recipients", slow)
    await arrange.subscribers(31)
    mailout = await started(direct_store, arrange)
    rounds = Upkeep(direct_store, lambda: None)
    for _ in range(40):
        with suppress(DatabaseUnavailable):
            await rounds.take_turns()
    assert await arrange.counts(mailout) == {"queued": 31}
