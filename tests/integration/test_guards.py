"""A mailout whose mails bounce or are complained about stops by itself, and not too early."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Idle, Recipient
from app.domain.sending.guards import GuardLimits
from app.services.sending.pausing import Guards
from app.store import Store
from tests.support.factories import (
    Arrange,
    all_sent,
    claim_mailout,
    living_sender,
    start,
    started_mailout,
    try_claim,
)

LIMITS = GuardLimits(bounce_rate=0.05, complaint_rate=0.001)


@dataclass
class Mailed:
    """A mailout of which `rows` were accepted, while others are still queued."""

    store: Store
    mailout: UUID
    sender: UUID
    rows: list[tuple[Recipient, UUID]]

    def event(self, position: int, kind: str, **changes: Any) -> dict[str, Any]:
        """A row as /ses-events would make it, of the recipient at `position`."""
        recipient, attempt = self.rows[position]
        return {
            "sns_message_id": str(uuid4()),
            "type": kind,
            "message_id": f"message-{recipient.send_log_id}",
            "occurred_at": "2026-11-24T12:00:00+00:00",
            "mailout_id": str(self.mailout),
            "send_log_id": str(recipient.send_log_id),
            "attempt": str(attempt),
            "payload": {},
        } | changes

    def delivered(self, positions: Sequence[int]) -> list[dict[str, Any]]:
        return [self.event(n, "delivery") for n in positions]

    def bounced(
        self, positions: Sequence[int], subtype: str = "General", kind: str = "Permanent"
    ) -> list[dict[str, Any]]:
        return [
            self.event(n, "bounce", bounce_type=kind, bounce_subtype=subtype) for n in positions
        ]

    def complained(self, positions: Sequence[int], **changes: Any) -> list[dict[str, Any]]:
        return [self.event(n, "complaint", suppresses="complained", **changes) for n in positions]

    async def apply(self, events: Sequence[dict[str, Any]]) -> list[str]:
        """The mailouts that the guards stop then."""
        tripped: list[str] = (await self.store.apply_ses_events(events, LIMITS))["tripped"]
        return tripped

    async def claim(self, limit: int = 1) -> Batch | Idle:
        return await try_claim(self.store, self.mailout, self.sender, limit=limit, guards=LIMITS)

    async def enforce(self) -> str:
        """The mailout's status after the guards had their say."""
        await Guards(self.store, LIMITS).enforce(self.mailout)
        status: str = (await self.store.show_mailout(self.mailout))["status"]
        return status

    async def stopped(self) -> bool:
        return await self.claim() == Idle("guard")


async def mailed(store: Store, arrange: Arrange, accepted: int, queued: int = 5) -> Mailed:
    await arrange.sql.execute(
        "insert into subscribers (email, created_at) select gen_random_uuid() || '@example.com', "
        "now() - interval '1 day' from generate_series(1, %s)",
        [accepted + queued],
    )
    mailout = await arrange.mailout()
    await start(store, mailout)
    sender = await living_sender(store)
    rows: list[tuple[Recipient, UUID]] = []
    while len(rows) < accepted:
        batch = await try_claim(store, mailout, sender, limit=min(500, accepted - len(rows)))
        assert isinstance(batch, Batch), batch
        await store.record_results(batch.attempt_id, all_sent(batch))
        rows += [(recipient, batch.attempt_id) for recipient in batch.recipients]
    return Mailed(store, mailout, sender, rows)


async def figures(arrange: Arrange, mailout: UUID) -> tuple[int, int, int]:
    done = await arrange.sql.execute(
        "select outcomes, bounces, complaints from guard_figures where mailout_id = %s", [mailout]
    )
    row = await done.fetchone()
    return (row["outcomes"], row["bounces"], row["complaints"]) if row else (0, 0, 0)


async def recount(arrange: Arrange, mailout: UUID) -> tuple[int, int, int]:
    """The contract's definition, counted over the ledger."""
    done = await arrange.sql.execute(
        "select count(*) filter (where status in ('delivered', 'bounced', 'complained')) as o, "
        "count(*) filter (where status = 'bounced' and bounce_type = 'Permanent' "
        "and bounce_subtype <> 'OnAccountSuppressionList') as b, "
        "count(*) filter (where status = 'complained') as c from send_logs where mailout_id = %s",
        [mailout],
    )
    row = await done.fetchone()
    assert row is not None
    return row["o"], row["b"], row["c"]


async def test_bounces_past_the_threshold_stop_the_next_claim_and_pause_the_mailout(
    store: Store, arrange: Arrange
) -> None:
    """No batch is claimed once the events' transaction is through; the reason has the figures."""
    one = await mailed(store, arrange, 100)
    assert await one.apply(one.delivered(range(94))) == []
    assert isinstance(await one.claim(), Batch)
    assert await one.apply(one.bounced(range(94, 100))) == [str(one.mailout)]
    assert await one.stopped()
    assert await one.enforce() == "paused"
    shown = await store.show_mailout(one.mailout)
    assert "6 of 100 (6 %)" in shown["status_reason"]
    assert await arrange.one("select pause_code from mailouts") == "guard"
    assert await store.resume_waiting_mailouts() == []


async def test_one_of_three_does_not_stop_a_mailout(direct_store: Store, arrange: Arrange) -> None:
    one = await mailed(direct_store, arrange, 99)
    assert await one.apply(one.bounced(range(99))) == []
    assert not await one.stopped()


async def test_the_threshold_itself_is_allowed(direct_store: Store, arrange: Arrange) -> None:
    one = await mailed(direct_store, arrange, 102)
    assert await one.apply(one.bounced(range(5)) + one.delivered(range(5, 100))) == []
    assert await one.apply(one.bounced([100])) == [str(one.mailout)]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("kind", "subtype"),
    [
        ("Permanent", "OnAccountSuppressionList"),
        ("Permanent", "Suppressed"),
        ("Transient", "MailboxFull"),
        ("Undetermined", "Undetermined"),
    ],
)
async def test_what_says_nothing_about_the_list_is_an_outcome_and_no_bounce(
    direct_store: Store, arrange: Arrange, kind: str, subtype: str
) -> None:
    one = await mailed(direct_store, arrange, 100)
    assert await one.apply(one.bounced(range(100), subtype, kind)) == []
    assert await figures(arrange, one.mailout) == (100, 0, 0)


async def test_three_complaints_stop_a_mailout_two_do_not(
    direct_store: Store, arrange: Arrange
) -> None:
    one = await mailed(direct_store, arrange, 150)
    assert await one.apply(one.delivered(range(150)) + one.complained([0, 1])) == []
    listed = one.complained([2, 3], complaint_subtype="OnAccountSuppressionList")
    assert await one.apply(listed) == []
    assert await one.apply(one.complained([4])) == [str(one.mailout)]
    await one.enforce()
    assert "reported as spam" in (await direct_store.show_mailout(one.mailout))["status_reason"]


async def test_test_mails_count_for_nothing(direct_store: Store, arrange: Arrange) -> None:
    mailout = await arrange.mailout()
    await direct_store.queue_test(mailout, [f"t{n}@example.com" for n in range(100)])
    sender = await living_sender(direct_store)
    batch = await try_claim(direct_store, mailout, sender, limit=100, test=True)
    assert isinstance(batch, Batch)
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    rows = [(recipient, batch.attempt_id) for recipient in batch.recipients]
    one = Mailed(direct_store, mailout, sender, rows)
    await one.apply(one.bounced(range(100)))
    assert await figures(arrange, mailout) == (0, 0, 0)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("seed", range(5))
async def test_doubled_and_reordered_events_of_several_processes_come_to_the_ledgers_figures(
    direct_store: Store, arrange: Arrange, seed: int
) -> None:
    """Whatever the order, the figures are what a count over the ledger would give."""
    dice = random.Random(seed)
    one = await mailed(direct_store, arrange, 40)
    events: list[dict[str, Any]] = []
    for n in range(40):
        choices = [
            one.delivered([n]),
            one.bounced([n]),
            one.bounced([n], "MailboxFull", "Transient"),
            one.bounced([n], "OnAccountSuppressionList"),
            one.complained([n]),
            [one.event(n, "send"), one.event(n, "open")],
        ]
        for chosen in dice.sample(choices, dice.randint(1, 4)):
            events += chosen * dice.randint(1, 2)
    dice.shuffle(events)
    groups = [events[i::6] for i in range(6)]
    await asyncio.gather(*map(one.apply, groups))
    assert await figures(arrange, one.mailout) == await recount(arrange, one.mailout)


async def test_an_event_without_tags_counts_when_its_message_id_is_recorded(
    direct_store: Store, arrange: Arrange
) -> None:
    """The older notifications may be faster than SES's own answer."""
    mailout = await started_mailout(direct_store, arrange, 1)
    sender = await living_sender(direct_store)
    batch = await try_claim(direct_store, mailout, sender, limit=1)
    assert isinstance(batch, Batch)
    one = Mailed(direct_store, mailout, sender, [(batch.recipients[0], batch.attempt_id)])
    untagged = dict.fromkeys(("mailout_id", "send_log_id", "attempt"))
    await one.apply([one.bounced([0])[0] | untagged])
    assert await figures(arrange, mailout) == (0, 0, 0)
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await figures(arrange, mailout) == (1, 1, 0)


async def test_after_a_persons_resume_only_later_events_count(
    store: Store, arrange: Arrange
) -> None:
    """The resume re-arms: the old bounces are forgiven, new ones stop it again."""
    one = await mailed(store, arrange, 220)
    await one.apply(one.bounced(range(10)) + one.delivered(range(10, 100)))
    assert await one.enforce() == "paused"
    assert (await store.resume_mailout(one.mailout)).changed
    assert not await one.stopped()
    assert await one.apply(one.bounced(range(100, 110)) + one.delivered(range(110, 199))) == []
    assert await one.apply(one.delivered([199])) == [str(one.mailout)]
    assert await one.enforce() == "paused"
    assert "10 of 100" in (await store.show_mailout(one.mailout))["status_reason"]


async def test_going_on_by_itself_after_the_account_forgives_nothing(
    direct_store: Store, arrange: Arrange
) -> None:
    one = await mailed(direct_store, arrange, 100)
    await direct_store.pause_mailout(one.mailout, "quota", "The quota is used up.")
    assert await one.apply(one.bounced(range(100))) == []  # it isn't sending
    assert await direct_store.resume_waiting_mailouts() == [one.mailout]
    assert await one.stopped()


async def test_a_late_pause_does_not_undo_a_persons_resume(
    direct_store: Store, arrange: Arrange
) -> None:
    """Another process may have decided before the resume and pause after it."""
    one = await mailed(direct_store, arrange, 100)
    await one.apply(one.bounced(range(100)))
    await one.enforce()
    await direct_store.resume_mailout(one.mailout)
    assert not (await direct_store.pause_tripped(one.mailout, "late", LIMITS)).changed
    assert await one.enforce() == "sending"


async def test_a_mailout_that_is_through_is_closed_and_not_paused(
    direct_store: Store, arrange: Arrange
) -> None:
    one = await mailed(direct_store, arrange, 100, queued=1)
    last = await one.claim()
    assert isinstance(last, Batch)
    await one.apply(one.bounced(range(100)))
    assert await one.enforce() == "sending"
    await direct_store.record_results(last.attempt_id, all_sent(last))
    assert (await direct_store.show_mailout(one.mailout))["status"] == "sent"


async def test_a_mailout_of_which_only_the_first_slice_is_queued_is_paused(
    direct_store: Store, arrange: Arrange
) -> None:
    """Nobody waits at this moment, but the rest of the list is still to come."""
    await arrange.subscribers(150)
    mailout = await arrange.mailout()
    await claim_mailout(direct_store, mailout)
    await direct_store.queue_recipients(mailout, 100)
    sender = await living_sender(direct_store)
    batch = await try_claim(direct_store, mailout, sender, limit=100)
    assert isinstance(batch, Batch)
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    rows = [(recipient, batch.attempt_id) for recipient in batch.recipients]
    one = Mailed(direct_store, mailout, sender, rows)
    await one.apply(one.bounced(range(100)))
    assert await one.enforce() == "paused"


async def test_many_small_mailouts_together_are_stopped_by_the_accounts_rate(
    direct_store: Store, arrange: Arrange
) -> None:
    """Over 24 hours and all mailouts, from 1,000 mails with an outcome on."""
    first = await mailed(direct_store, arrange, 999)
    assert await first.apply(first.bounced(range(49)) + first.delivered(range(49, 999))) == []
    second = await mailed(direct_store, arrange, 60)
    stopped = await second.apply(second.bounced(range(10)) + second.delivered(range(10, 60)))
    assert set(stopped) == {str(first.mailout), str(second.mailout)}
    assert await second.enforce() == "paused"
    assert "last 24 hours" in (await direct_store.show_mailout(second.mailout))["status_reason"]
    # A person's word forgives the account's rate too, for every mailout.
    await direct_store.resume_mailout(second.mailout)
    assert not await second.stopped()
    assert not await first.stopped()


async def test_a_person_who_paused_it_for_another_reason_forgives_the_account_nothing(
    direct_store: Store, arrange: Arrange
) -> None:
    """Only who was told of the rate, by the guards' own pause, has looked at it."""
    first = await mailed(direct_store, arrange, 1_000)
    second = await mailed(direct_store, arrange, 1)
    await direct_store.pause_mailout(second.mailout, "person", "Paused by a person.")
    await first.apply(first.bounced(range(1_000)))
    await direct_store.resume_mailout(second.mailout)
    assert await second.stopped()
    assert await second.enforce() == "paused"
    await direct_store.resume_mailout(second.mailout)
    assert not await second.stopped()


async def test_what_is_older_than_a_day_no_longer_counts_for_the_account(
    direct_store: Store, arrange: Arrange
) -> None:
    first = await mailed(direct_store, arrange, 1_000)
    await direct_store.apply_ses_events(first.bounced(range(1_000)))
    second = await mailed(direct_store, arrange, 1)
    assert await second.stopped()
    await arrange.sql.execute("update guard_hours set hour = hour - interval '24 hours'")
    assert not await second.stopped()
