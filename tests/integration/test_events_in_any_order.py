"""Events come doubled, late and reordered; the end is the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Result
from app.store import Store
from tests.support.factories import Arrange, all_sent, claim, living_sender, start


async def one_in_flight(store: Store, arrange: Arrange) -> tuple[UUID, Batch]:
    await arrange.subscriber("a@example.com")
    mailout = await arrange.mailout()
    await start(store, mailout)
    return mailout, await claim(store, mailout, await living_sender(store))


def event(batch: Batch, kind: str, **changes: Any) -> dict[str, Any]:
    row = batch.recipients[0].send_log_id
    return {
        "sns_message_id": str(uuid4()),
        "type": kind,
        "message_id": f"message-{row}",
        "occurred_at": "2026-11-24T12:00:00+00:00",
        "mailout_id": str(batch.mailout_id),
        "send_log_id": str(row),
        "attempt": str(batch.attempt_id),
        "bounce_type": None,
        "bounce_subtype": None,
        "suppresses": None,
        "detail": None,
        "payload": {},
    } | changes


def hard_bounce(batch: Batch) -> dict[str, Any]:
    return event(
        batch, "bounce", bounce_type="Permanent", bounce_subtype="General", suppresses="bounced"
    )


def soft_bounce(batch: Batch) -> dict[str, Any]:
    return event(batch, "bounce", bounce_type="Transient", bounce_subtype="MailboxFull")


def complaint(batch: Batch) -> dict[str, Any]:
    return event(batch, "complaint", suppresses="complained")


async def state(arrange: Arrange) -> tuple[str, str | None, str]:
    done = await arrange.sql.execute(
        "select l.status, l.bounce_type, s.status as subscriber from send_logs l "
        "join subscribers s on s.id = l.subscriber_id"
    )
    row = await done.fetchone()
    assert row is not None
    return row["status"], row["bounce_type"], row["subscriber"]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("recorded_at", [0, 2, 4])
async def test_every_order_ends_in_the_same_state(
    direct_store: Store, arrange: Arrange, recorded_at: int
) -> None:
    """Send, delivery, hard bounce and complaint in each order, with SES's own answer recorded
    first, in the middle or last, and each event doubled."""
    mailout, batch = await one_in_flight(direct_store, arrange)
    kinds: list[Callable[[], dict[str, Any]]] = [
        lambda: event(batch, "send"),
        lambda: event(batch, "delivery"),
        lambda: hard_bounce(batch),
        lambda: complaint(batch),
    ]
    for order in itertools.permutations(kinds):
        await arrange.sql.execute(
            "update send_logs set status = 'sending', message_id = null, bounce_type = null"
        )
        await arrange.bring_back_everybody()
        for position, make in enumerate(order):
            if position == recorded_at:
                await direct_store.record_results(batch.attempt_id, all_sent(batch))
            row = make()
            await direct_store.apply_ses_events([row])
            assert (await direct_store.apply_ses_events([row]))["new"] == 0
        if recorded_at >= len(order):
            await direct_store.record_results(batch.attempt_id, all_sent(batch))
        assert await state(arrange) == ("complained", "Permanent", "complained") or await state(
            arrange
        ) == ("complained", None, "complained")
    assert mailout == batch.mailout_id


async def test_a_transient_bounce_never_undoes_a_delivery_nor_suppresses(
    direct_store: Store, arrange: Arrange
) -> None:
    _, batch = await one_in_flight(direct_store, arrange)
    await direct_store.apply_ses_events([soft_bounce(batch)])
    assert await state(arrange) == ("bounced", "Transient", "active")
    await direct_store.apply_ses_events([event(batch, "delivery")])
    await direct_store.apply_ses_events([soft_bounce(batch)])
    assert (await state(arrange))[0] == "delivered"
    await direct_store.apply_ses_events([hard_bounce(batch)])
    assert await state(arrange) == ("bounced", "Permanent", "bounced")


async def test_an_event_settles_an_unknown_row_and_the_mailouts_reason(
    store: Store, arrange: Arrange
) -> None:
    mailout, batch = await one_in_flight(store, arrange)
    row = batch.recipients[0].send_log_id
    await store.record_results(batch.attempt_id, [Result(row, "unknown", code="no_answer")])
    assert "unknown" in (await store.show_mailout(mailout))["status_reason"]
    await store.apply_ses_events([event(batch, "send")])
    shown = await store.show_mailout(mailout)
    assert shown["counts"]["sent"] == 1
    assert shown["status_reason"] is None


async def test_an_event_of_an_earlier_attempt_stops_a_resend(
    store: Store, arrange: Arrange
) -> None:
    """Proof that the unknown attempt was accepted moves the row out of the queue."""
    mailout, batch = await one_in_flight(store, arrange)
    row = batch.recipients[0].send_log_id
    await store.record_results(batch.attempt_id, [Result(row, "unknown")])
    await store.resend_mailout(mailout, ["unknown"], force=True)
    assert await arrange.counts(mailout) == {"queued": 1}
    await store.apply_ses_events([event(batch, "delivery")])
    assert await arrange.counts(mailout) == {"delivered": 1}


async def test_reject_and_rendering_failure_fail_what_was_accepted(
    store: Store, arrange: Arrange
) -> None:
    mailout, batch = await one_in_flight(store, arrange)
    await store.record_results(batch.attempt_id, all_sent(batch))
    await store.apply_ses_events([event(batch, "rendering_failure", detail="no value")])
    await store.apply_ses_events([event(batch, "send")])
    assert await arrange.counts(mailout) == {"failed": 1}


async def test_an_untagged_event_waits_for_its_message_id(store: Store, arrange: Arrange) -> None:
    """The older notifications carry no tags, and may be faster than SES's answer."""
    mailout, batch = await one_in_flight(store, arrange)
    untagged = hard_bounce(batch) | {"mailout_id": None, "send_log_id": None, "attempt": None}
    assert (await store.apply_ses_events([untagged]))["matched"] == 0
    assert await arrange.counts(mailout) == {"sending": 1}
    await store.record_results(batch.attempt_id, all_sent(batch))
    assert await state(arrange) == ("bounced", "Permanent", "bounced")


async def test_an_event_that_fits_no_attempt_changes_nobody(store: Store, arrange: Arrange) -> None:
    """Tags of another mailout, unknown ids, an attempt never made, a contradicting message id, or
    a mere address: stored, and nothing moves."""
    mailout, batch = await one_in_flight(store, arrange)
    await store.record_results(batch.attempt_id, all_sent(batch))
    strangers = [
        hard_bounce(batch) | {"mailout_id": str(uuid4())},
        hard_bounce(batch) | {"send_log_id": "999999"},
        hard_bounce(batch) | {"attempt": str(uuid4())},
        hard_bounce(batch) | {"message_id": "another"},
        hard_bounce(batch) | {"message_id": "another", "mailout_id": None, "send_log_id": None},
    ]
    assert (await store.apply_ses_events(strangers))["matched"] == 0
    assert await state(arrange) == ("sent", None, "active")
    assert mailout == batch.mailout_id


async def test_not_spam_is_no_complaint(store: Store, arrange: Arrange) -> None:
    _, batch = await one_in_flight(store, arrange)
    await store.apply_ses_events([event(batch, "complaint", suppresses=None)])
    assert await state(arrange) == ("sent", None, "active")


def left_ses_list(batch: Batch) -> dict[str, Any]:
    """The reader left by SES's own footer, from all topics."""
    return event(batch, "subscription", suppresses="unsubscribed")


def refused_by_ses_list(batch: Batch) -> dict[str, Any]:
    """SES didn't even try: the reader had left there before."""
    return event(
        batch, "bounce", bounce_type="Permanent", bounce_subtype="UnsubscribedRecipient",
        suppresses="unsubscribed",
    )  # fmt: skip


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("leave", [left_ses_list, refused_by_ses_list])
@pytest.mark.parametrize("first", [0, 1])
async def test_leaving_by_ses_counts_before_and_after_a_bounce(
    direct_store: Store,
    arrange: Arrange,
    leave: Callable[[Batch], dict[str, Any]],
    first: int,
) -> None:
    """The reader's own word is the stronger one, though the row itself moves no further."""
    _, batch = await one_in_flight(direct_store, arrange)
    events = [hard_bounce(batch), leave(batch)]
    await direct_store.apply_ses_events([events[first]])
    await direct_store.apply_ses_events([events[1 - first]])
    assert await state(arrange) == ("bounced", "Permanent", "unsubscribed")
    await direct_store.apply_ses_events([complaint(batch)])
    assert (await state(arrange))[2] == "complained"
    await direct_store.apply_ses_events([leave(batch)])
    assert (await state(arrange))[2] == "complained"


async def test_an_unsubscribed_person_who_bounces_stays_unsubscribed(
    store: Store, arrange: Arrange
) -> None:
    mailout, batch = await one_in_flight(store, arrange)
    someone = batch.recipients[0].subscriber_id
    assert someone is not None
    await store.unsubscribe(UUID(bytes=someone), mailout)
    await store.apply_ses_events([hard_bounce(batch)])
    assert (await state(arrange))[2] == "unsubscribed"
