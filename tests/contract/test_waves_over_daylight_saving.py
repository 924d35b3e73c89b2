"""Every recipient exactly once, within the hour of their own clock, over both changes of daylight
saving: the instants of a schedule meet a real database whose time passes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from app.domain.schedules.plan import LATE
from app.domain.schedules.times import instant
from app.domain.sending.batches import Idle
from app.store import Store
from tests.support.factories import REGION, Arrange, all_sent, living_sender
from tests.support.schedules import passes, schedule
from tests.support.wide import examples

CHANGES = {
    "Europe/Berlin": ("2027-03-28T02:30", "2027-10-31T02:30"),
    "America/New_York": ("2027-03-14T02:30", "2027-11-07T01:30"),
    "Australia/Lord_Howe": ("2027-10-03T02:15", "2027-04-04T01:45"),
}
"""A time that doesn't exist, and one that comes twice."""
ZONES = [*CHANGES, "America/Sao_Paulo", "Asia/Kathmandu", "Pacific/Kiritimati", "Pacific/Niue",
         None, "Nowhere/Land"]  # fmt: skip
STEP = timedelta(minutes=30)


@pytest.mark.parametrize(
    "change", [0, pytest.param(1, marks=pytest.mark.short)], ids=["spring", "autumn"]
)
@given(
    place=st.sampled_from(sorted(CHANGES)),
    minutes=st.integers(-100, 100),
    people=st.lists(st.sampled_from(ZONES), min_size=1, max_size=8),
    passed=st.sampled_from(["now", "next_day"]),
    ahead=st.integers(1, 30),
)
@settings(
    max_examples=examples(6),
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # each example takes a second or two
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_each_is_mailed_once_within_their_hour(
    direct_store: Store,
    arrange: Arrange,
    change: int,
    place: str,
    minutes: int,
    people: list[str | None],
    passed: str,
    ahead: int,
) -> None:
    store = direct_store
    wall = datetime.fromisoformat(CHANGES[place][change]) + timedelta(minutes=minutes)
    # It is scheduled `ahead` hours before the hour of those who are mailed last.
    homes = {zone: ZoneInfo(zone if zone in ZONES[:7] and zone else place) for zone in people}
    now = max(instant(wall, home).at for home in homes.values()) - timedelta(hours=ahead)
    asked_at = now
    await arrange.sql.execute("truncate subscribers, send_logs, mailouts cascade")
    living = {await arrange.subscriber(timezone=zone): zone for zone in people}
    mailout = await arrange.mailout()
    wish = {"at": wall.isoformat(), "zone": "recipient", "fallback": place, "passed": passed}
    done = await schedule(store, mailout, wish, now=now)
    assert done.outcome == "scheduled"
    await passes(arrange, now - datetime.now(UTC))  # for the database, it is `now` as well
    sender = await living_sender(store)
    mailed: dict[UUID, datetime] = {}
    status = "scheduled"
    while status not in {"sent", "failed"}:
        due = await store.start_due_mailouts()
        assert due["held"] == [] and due.get("status") != "paused", await arrange.one(
            "select status_reason from mailouts where id = %s", mailout
        )
        if due["started"]:
            status = due["status"]
        if status != "scheduled":
            status = await _send(store, mailout, sender, mailed, now)
        assert now < max(instant(wall, home).at for home in homes.values()) + timedelta(hours=26)
        await passes(arrange, STEP)
        now += STEP
    assert mailed.keys() == living.keys()
    for person, at in mailed.items():
        home = homes[living[person]]
        hour = instant(wall, home).at
        if hour <= asked_at - LATE:  # it had passed when it was scheduled
            following = (instant(wall + timedelta(days=n), home).at for n in range(1, 4))
            hour = asked_at if passed == "now" else next(at for at in following if at > asked_at)
        assert hour <= at + timedelta(seconds=5) < hour + LATE, (living[person], hour, at)


async def _send(
    store: Store, mailout: UUID, sender: UUID, mailed: dict[UUID, datetime], now: datetime
) -> str:
    while not (await store.queue_recipients(mailout, 1_000))[1]:
        pass
    while True:
        claimed = await store.claim_batches(
            mailout, sender, attempts=[uuid4()], region=REGION, limit=3
        )
        if isinstance(claimed, Idle):
            assert claimed.reason in {"ahead", "empty", "not_sending"}  # the last: it is sent
            return str(await store.finish_mailout(mailout))
        for batch in claimed:
            for one in batch.recipients:
                assert one.subscriber_id is not None
                reader = UUID(bytes=one.subscriber_id)
                assert reader not in mailed
                mailed[reader] = now
            await store.record_results(batch.attempt_id, all_sent(batch))
