"""Scheduled mailouts and waves in the database: who starts what, once, and what is held."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from app.domain.sending.batches import Batch, Idle, Result
from app.store import Store
from tests.support.factories import (
    Arrange,
    all_sent,
    claim,
    claim_mailout,
    living_sender,
    try_claim,
)
from tests.support.schedules import HOUR, in_hours, passes, schedule

BERLIN, TOKYO, NEW_YORK = "Europe/Berlin", "Asia/Tokyo", "America/New_York"


async def state(arrange: Arrange, mailout: UUID) -> tuple[str, str | None, str | None]:
    done = await arrange.sql.execute(
        "select status, pause_code, status_reason from mailouts where id = %s", [mailout]
    )
    row = await done.fetchone()
    assert row is not None
    return row["status"], row["pause_code"], row["status_reason"]


async def queue(store: Store, mailout: UUID) -> None:
    while not (await store.queue_recipients(mailout, 1_000))[1]:
        pass


async def test_a_schedule_freezes_and_taking_it_back_thaws(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    wish = {"at": in_hours(5), "zone": "UTC"}
    assert (await schedule(store, mailout, wish)).outcome == "scheduled"
    assert (await schedule(store, mailout, wish)).outcome == "repeat"
    assert (await schedule(store, mailout, {"at": in_hours(9)})).outcome == "not_ready"
    assert (await claim_mailout(store, mailout)).outcome == "not_ready"
    await arrange.sql.execute("update mailouts set subject = 'Edited' where id = %s", [mailout])
    assert (await store.snapshot_content(mailout))[0].subject == "Hello"

    taken_back = await store.unschedule_mailout(mailout, by="owner")
    assert (taken_back.changed, taken_back.status) == (True, "ready")
    assert not (await store.unschedule_mailout(mailout)).changed
    found = await store.show_mailout(mailout)
    assert (found["scheduled_at"], found["schedule"]) == (None, None)
    assert await arrange.one("select count(*) from mailout_snapshots") == 0
    actions = await arrange.sql.execute("select action from audit_log order by id")
    assert [row["action"] async for row in actions] == ["mailout.unschedule"]


async def test_of_a_start_and_a_schedule_one_wins(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    start, planned = await asyncio.gather(
        claim_mailout(store, mailout), schedule(store, mailout, {"at": in_hours(5)})
    )
    assert {start.outcome, planned.outcome} in (
        {"claimed", "not_ready"},
        {"scheduled", "not_ready"},
    )
    status = (await state(arrange, mailout))[0]
    assert status == ("sending" if start.outcome == "claimed" else "scheduled")


@pytest.mark.parametrize("status", ["draft", "sending", "paused", "sent", "failed", "cancelled"])
async def test_only_what_is_ready_is_scheduled(
    direct_store: Store, arrange: Arrange, status: str
) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout(status)
    refused = await schedule(direct_store, mailout, {"at": in_hours(5)})
    assert (refused.outcome, refused.status) == ("not_ready", status)


async def test_when_due_one_of_many_senders_starts_it(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    await schedule(store, mailout, {"at": in_hours(2)})
    assert (await store.start_due_mailouts())["started"] is None
    await passes(arrange, 2 * HOUR)
    due = await asyncio.gather(*(store.start_due_mailouts() for _ in range(6)))
    assert [d["started"] for d in due if d["started"]] == [str(mailout)]
    assert (await state(arrange, mailout))[0] == "sending"
    await queue(store, mailout)  # another one may do this: the start left it in the database
    assert await arrange.counts(mailout) == {"queued": 3}
    assert len((await claim(store, mailout, await living_sender(store))).recipients) == 3


async def test_late_by_less_than_an_hour_it_still_goes(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await schedule(store, mailout, {"at": in_hours(1)})
    await passes(arrange, timedelta(hours=1, minutes=59))
    await store.start_due_mailouts()
    assert (await state(arrange, mailout))[0] == "sending"


async def test_later_it_is_held_until_a_person_resumes_it(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(2)
    mailout = await arrange.mailout()
    await schedule(store, mailout, {"at": in_hours(1)})
    await passes(arrange, timedelta(hours=2, minutes=1))
    await store.start_due_mailouts()
    status, code, reason = await state(arrange, mailout)
    assert (status, code) == ("paused", "held")
    assert reason is not None and "Resume it" in reason
    assert await arrange.one("select count(*) from owner_notices") == 1
    await queue(store, mailout)
    sender = await living_sender(store)
    assert await try_claim(store, mailout, sender) == Idle("not_sending")
    await store.resume_mailout(mailout)
    assert len((await claim(store, mailout, sender)).recipients) == 2


async def test_an_audience_of_nobody_by_then_is_held(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await schedule(store, mailout, {"at": in_hours(1)})
    await arrange.sql.execute("update subscribers set status = 'unsubscribed'")
    await passes(arrange, HOUR)
    await store.start_due_mailouts()
    status, code, reason = await state(arrange, mailout)
    assert (status, code) == ("paused", "held")
    assert reason is not None and "nobody is left" in reason
    await arrange.subscriber()
    await store.resume_mailout(mailout)
    await queue(store, mailout)
    assert await arrange.counts(mailout) == {"queued": 1}


async def test_a_schedule_of_another_database_is_held(
    direct_store: Store, arrange: Arrange
) -> None:
    """As in a restored backup: it may have been sent from elsewhere."""
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await schedule(direct_store, mailout, {"at": in_hours(1)})
    await arrange.sql.execute("update mailouts set started_in = '1:00000001:2'")
    await passes(arrange, HOUR)
    await direct_store.start_due_mailouts()
    status, code, reason = await state(arrange, mailout)
    assert (status, code) == ("paused", "held") and "copied" in str(reason)


async def test_a_scheduled_mailout_is_cancelled(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    await schedule(store, mailout, {"at": in_hours(1)})
    assert (await store.cancel_mailout(mailout)).changed
    await passes(arrange, HOUR)
    assert (await store.start_due_mailouts())["started"] is None


class TestWaves:
    """Each recipient at an hour of their own. The wish is always: in 30 hours, by UTC's clock."""

    async def start(self, store: Store, arrange: Arrange, **wish: str) -> UUID:
        """Tokyo is 9 hours before the fallback (UTC), New York 5 behind (4 in summer)."""
        for zone in (TOKYO, None, "Nowhere/Land", NEW_YORK, NEW_YORK):
            await arrange.subscriber(timezone=zone, fields={"zone": zone or ""})
        mailout = await arrange.mailout()
        wish = {"at": in_hours(30), "zone": "recipient", "fallback": "UTC"} | wish
        assert (await schedule(store, mailout, wish)).outcome == "scheduled"
        waves = await store.mailout_waves(mailout)
        assert waves is not None
        assert [(w["zones"], w["recipients"], w["unknown"]) for w in waves] == [
            (["asia/tokyo"], 1, 0), ([], 2, 2), (["america/new_york"], 2, 0),
        ]  # fmt: skip
        return mailout

    async def test_each_wave_goes_at_its_hour(self, store: Store, arrange: Arrange) -> None:
        mailout = await self.start(store, arrange)
        sender = await living_sender(store)
        await passes(arrange, 20 * HOUR)
        assert (await store.start_due_mailouts())["started"] is None
        await passes(arrange, timedelta(minutes=55))  # it is queued before the first wave
        assert (await store.start_due_mailouts())["started"] == str(mailout)
        await queue(store, mailout)
        assert await try_claim(store, mailout, sender) == Idle("ahead")
        seen = []
        for hours in (0.2, 8, 1, 4.0, 1):
            await passes(arrange, hours * HOUR)
            await store.start_due_mailouts()
            got = await try_claim(store, mailout, sender)
            seen.append(len(got.recipients) if isinstance(got, Batch) else got.reason)
            if isinstance(got, Batch):
                await store.record_results(got.attempt_id, all_sent(got))
        assert seen[:3] == [1, "ahead", 2]
        assert 2 in seen[3:]  # New York, by summer or winter time
        assert await store.finish_mailout(mailout) == "sent"
        waves = await store.mailout_waves(mailout)
        assert waves is not None
        assert [(w["recipients"], w["done"]) for w in waves] == [(1, 1), (2, 2), (2, 2)]

    async def test_who_left_before_their_wave_is_skipped(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        await passes(arrange, 21 * HOUR)
        await store.start_due_mailouts()
        await queue(store, mailout)
        await arrange.sql.execute(
            "update subscribers set status = 'bounced' where timezone is null"
        )
        assert await arrange.counts(mailout) == {"queued": 4, "skipped": 1}

    @pytest.mark.short
    async def test_retries_requeues_and_resends_have_their_turn(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        sender = await living_sender(store)
        await passes(arrange, 21 * HOUR)
        await store.start_due_mailouts()
        await queue(store, mailout)
        batch = await claim(store, mailout, sender)
        [tokyo] = batch.recipients
        await store.record_results(
            batch.attempt_id, [Result(tokyo.send_log_id, "retry", delay=0.0)]
        )
        batch = await claim(store, mailout, sender)
        assert await store.release_batches([batch.attempt_id]) == {batch.attempt_id}
        batch = await claim(store, mailout, sender)
        await store.record_results(
            batch.attempt_id, [Result(tokyo.send_log_id, "requeue", delay=60.0)]
        )
        assert await try_claim(store, mailout, sender) == Idle("ahead")
        await passes(arrange, timedelta(seconds=60))
        batch = await claim(store, mailout, sender)
        await store.record_results(batch.attempt_id, [Result(tokyo.send_log_id, "failed")])
        await passes(arrange, 15 * HOUR)
        await arrange.sql.execute("update mailout_waves set begun_at = at")
        batch = await claim(store, mailout, sender)
        await store.record_results(batch.attempt_id, all_sent(batch))
        assert await store.finish_mailout(mailout) == "sent"
        await store.resend_mailout(mailout, ["failed"], force=False)
        again = await claim(store, mailout, sender)
        assert [r.send_log_id for r in again.recipients] == [tokyo.send_log_id]

    async def test_a_row_without_an_instant_is_not_lost(
        self, direct_store: Store, arrange: Arrange
    ) -> None:
        """Such as one that a person changed by hand."""
        mailout = await self.start(direct_store, arrange)
        await passes(arrange, 21 * HOUR)
        await direct_store.start_due_mailouts()
        await queue(direct_store, mailout)
        await arrange.sql.execute("update send_logs set next_attempt_at = null")
        assert (
            len((await claim(direct_store, mailout, await living_sender(direct_store))).recipients)
            == 5
        )

    async def test_a_wave_that_nobody_was_there_for_is_held(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        sender = await living_sender(store)
        await passes(arrange, 21 * HOUR)
        await store.start_due_mailouts()
        await queue(store, mailout)
        batch = await claim(store, mailout, sender)
        await store.record_results(batch.attempt_id, all_sent(batch))
        await passes(arrange, 11 * HOUR)  # no sender runs; the fallback's hour is over
        assert await try_claim(store, mailout, sender) == Idle("late")
        assert (await store.start_due_mailouts())["held"] == [str(mailout)]
        status, code, reason = await state(arrange, mailout)
        assert (status, code) == ("paused", "held")
        assert reason is not None and reason.startswith("2 recipients were due from ")
        await store.resume_mailout(mailout)
        assert len((await claim(store, mailout, sender)).recipients) == 2
        assert await try_claim(store, mailout, sender) == Idle("ahead")

    @pytest.mark.short
    async def test_a_wave_missed_while_it_was_being_queued_is_held_too(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        await passes(arrange, 20.9 * HOUR)
        await store.start_due_mailouts()
        await passes(arrange, 11 * HOUR)  # no sender runs, and nobody was queued
        await arrange.sql.execute("update subscribers set created_at = now() - interval '2 days'")
        assert (await store.start_due_mailouts())["held"] == []
        await queue(store, mailout)
        assert await try_claim(store, mailout, await living_sender(store)) == Idle("late")
        assert (await store.start_due_mailouts())["held"] == [str(mailout)]
        reason = (await state(arrange, mailout))[2]
        assert reason is not None and reason.startswith("3 recipients were due from ")
        await passes(arrange, HOUR / 2)
        assert (await store.start_due_mailouts())["held"] == []

    @pytest.mark.short
    async def test_after_a_persons_pause_the_late_go_at_once(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        sender = await living_sender(store)
        await passes(arrange, 20.9 * HOUR)
        await store.start_due_mailouts()
        await queue(store, mailout)
        await store.pause_mailout(mailout, "person", "Paused by a person.")
        for _ in range(12):  # senders run all the while
            await passes(arrange, HOUR)
            assert (await store.start_due_mailouts())["held"] == []
        await store.resume_mailout(mailout)
        assert len((await claim(store, mailout, sender)).recipients) == 3
        assert await try_claim(store, mailout, sender) == Idle("ahead")

    @pytest.mark.short
    async def test_cancelling_leaves_nobody_for_later_waves(
        self, store: Store, arrange: Arrange
    ) -> None:
        mailout = await self.start(store, arrange)
        await passes(arrange, 21 * HOUR)
        await store.start_due_mailouts()
        await queue(store, mailout)
        await store.cancel_mailout(mailout)
        assert await arrange.counts(mailout) == {"cancelled": 5}
        await passes(arrange, 30 * HOUR)
        assert (await store.start_due_mailouts())["held"] == []

    @pytest.mark.few_variants(1)
    @pytest.mark.parametrize(
        ("passed", "now", "later", "skipped"),
        [("now", 3, 2, 0), ("next_day", 0, 5, 0), ("skip", 0, 2, 3)],
    )
    async def test_where_the_hour_has_passed_at_the_start(
        self, direct_store: Store, arrange: Arrange, passed: str, now: int, later: int, skipped: int
    ) -> None:
        """It starts late: the hour of Tokyo and of the fallback is over by then."""
        mailout = await self.start(direct_store, arrange, passed=passed)
        await passes(arrange, timedelta(hours=31, minutes=30))
        await direct_store.start_due_mailouts()
        await queue(direct_store, mailout)
        assert (await state(arrange, mailout))[:2] == ("paused", "held")
        await direct_store.resume_mailout(mailout)
        claimed = await try_claim(direct_store, mailout, await living_sender(direct_store))
        assert (len(claimed.recipients) if isinstance(claimed, Batch) else 0) == now
        counts = await arrange.counts(mailout)
        assert (counts.get("queued", 0), counts.get("skipped", 0)) == (later, skipped)
        codes = await arrange.one("select count(*) from send_logs where error_code = 'hour_passed'")
        assert codes == skipped


async def test_nobody_reads_past_those_who_wait(direct_store: Store, arrange: Arrange) -> None:
    """See test_reads_at_size.py for how many rows; here: two senders share one wave."""
    for _ in range(6):
        await arrange.subscriber(timezone=TOKYO)
    mailout = await arrange.mailout()
    await schedule(direct_store, mailout, {"at": in_hours(30), "zone": "recipient"})
    await passes(arrange, 21.5 * HOUR)
    await direct_store.start_due_mailouts()
    await queue(direct_store, mailout)
    sender = await living_sender(direct_store)
    seen: list[int] = []
    after = 0
    for _ in range(3):
        claimed = await direct_store.claim_batches(
            mailout, sender, attempts=[uuid4()], region="us-east-1", limit=2, after=after
        )
        assert not isinstance(claimed, Idle)
        seen += [r.send_log_id for r in claimed[0].recipients]
        after = seen[-1]
    assert len(set(seen)) == 6
