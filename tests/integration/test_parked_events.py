"""Events that fit no recipient yet are kept for their time and cost nothing, however many."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from app.services.watching.watchdog import watchdog_findings
from app.store import Store
from tests.integration.test_guards import mailed
from tests.support.factories import Arrange

PARKED = "select count(*) from ses_events where parked is not null"


async def foreign_events(arrange: Arrange, count: int, age: str) -> None:
    """Of another program that sends through our topic."""
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, message_id, payload, parked, occurred_at, "
        "received_at) select gen_random_uuid()::text, 'delivery', 'foreign' || n, '{}', %s, now(), "
        "now() - %s::interval from generate_series(1, %s) n",
        [Jsonb({"type": "delivery"}), age, count],
    )


async def house_kept(store: Store) -> None:
    while await store.keep_house():
        pass


async def test_what_fits_nobody_for_a_week_is_no_longer_looked_at(
    store: Store, arrange: Arrange
) -> None:
    """The events themselves stay."""
    await foreign_events(arrange, 1_500, "8 days")
    await foreign_events(arrange, 3, "6 days")
    await house_kept(store)
    assert await arrange.one(PARKED) == 3
    assert await arrange.one("select count(*) from ses_events") == 1_503


def untagged(event: dict[str, Any]) -> dict[str, Any]:
    """In the older form, which names the mail by SES's message id alone."""
    return event | {"send_log_id": None, "mailout_id": None, "attempt": None}


async def parked(store: Store, arrange: Arrange, age: str) -> None:
    """A bounce whose mail's message id was recorded while it was being stored."""
    one = await mailed(store, arrange, 1)
    bounce = untagged(one.bounced([0])[0]) | {"suppresses": "bounced"}
    await arrange.sql.execute("update send_logs set message_id = null")
    assert (await store.apply_ses_events([bounce]))["matched"] == 0
    await arrange.sql.execute(
        "update send_logs set message_id = %s where status = 'sent'", [bounce["message_id"]]
    )
    await arrange.sql.execute("update ses_events set received_at = now() - %s::interval", [age])


async def test_a_sweep_finds_the_one_among_many(store: Store, arrange: Arrange) -> None:
    await parked(store, arrange, "1 minute")
    await foreign_events(arrange, 300, "2 minutes")
    assert await store.apply_parked_events() == 1
    assert await arrange.one("select count(*) from subscribers where status = 'bounced'") == 1


async def test_what_no_sweep_saw_counts_when_it_is_given_up(store: Store, arrange: Arrange) -> None:
    """No sender ran in the hours after it, say."""
    await parked(store, arrange, "8 days")
    assert await store.apply_parked_events() == 0
    await house_kept(store)
    assert await arrange.one("select count(*) from subscribers where status = 'bounced'") == 1
    assert await arrange.one(PARKED) == 0


async def test_a_flood_of_foreign_events_hides_neither_silence_nor_life(
    store: Store, arrange: Arrange
) -> None:
    """The watchdog looks at the newest 1,000 events; beyond them, at the mails themselves."""
    one = await mailed(store, arrange, 30)
    await foreign_events(arrange, 1_200, "1 minute")
    await arrange.sql.execute("select pg_sleep(0.01)")
    found = {f.code: f.count for f in await watchdog_findings(store, 0.001)}
    assert found == {"events_missing": 30, "events_unmatched": 1_000}
    await store.apply_ses_events(one.delivered(range(20)))
    await foreign_events(arrange, 1_200, "1 minute")
    found = {f.code: f.count for f in await watchdog_findings(store, 0.001)}
    assert found == {"events_unmatched": 1_000}


async def test_two_events_of_a_group_about_one_mail_both_count(
    store: Store, arrange: Arrange
) -> None:
    """A group is applied at once; what is about the same row, one after the other."""
    one = await mailed(store, arrange, 3)
    group = one.complained([0]) + one.delivered([0, 1]) + [one.event(1, "send")]
    again = dict(group[0])
    told = await store.apply_ses_events([*group, again])
    assert (told["new"], told["matched"]) == (4, 4)
    assert told["copies"] == [again["sns_message_id"]]
    assert await arrange.counts(one.mailout) == {
        "complained": 1, "delivered": 1, "sent": 1, **await queued(arrange),
    }  # fmt: skip
    assert await arrange.one("select outcomes from guard_figures") == 2


async def queued(arrange: Arrange) -> dict[str, int]:
    left = await arrange.one("select count(*) from send_logs where status = 'queued'")
    return {"queued": left} if left else {}
