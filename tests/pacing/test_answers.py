"""What providers answer: it slows them down, and a warm-up's next day opens by it or doesn't."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from app.services.pacing.keep import KeepPacing
from app.settings import Settings
from app.store import Store
from tests.pacing.conftest import OTHER, a_mailout_to, a_warmup, all_domains, sender_on, used
from tests.support.factories import REGION, Arrange

DELAY = {"deliveryDelay": {"delayType": "TransientCommunicationFailure"}}
FULL = {"deliveryDelay": {"delayType": "MailboxFull"}}
REPLY = {"bounce": {"bounceType": "Transient", "bounceSubType": "General"}}
TIMEOUT = {
    "bounce": {
        "bounceType": "Transient",
        "bounceSubType": "General",
        "bouncedRecipients": [{"status": "4.4.7"}],
    }
}
HARD = {"bounce": {"bounceType": "Permanent", "bounceSubType": "NoEmail"}}


def keeping(store: Store, **settings: Any) -> KeepPacing:
    return KeepPacing(store, Settings(_env_file=None, provider_pacing=True, **settings))


async def sent_to(store: Store, arrange: Arrange, region: str = REGION, **readers: int) -> UUID:
    """A mailout whose recipients have all been claimed by a route."""
    mailout = await a_mailout_to(store, arrange, **readers)
    await all_domains(store, mailout, await sender_on(store, region), region)
    return mailout


async def told(
    arrange: Arrange, domain: str, kind: str, payload: dict[str, Any], count: int
) -> None:
    """That many events of mails to a domain; the first recipients first."""
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, send_log_id, payload, occurred_at) "
        "select gen_random_uuid()::text, %s, id, %s, now() from send_logs "
        "where email like '%%@' || %s order by id limit %s",
        [kind, Jsonb(payload), domain, count],
    )


async def paced(arrange: Arrange) -> dict[tuple[str, str], float]:
    done = await arrange.sql.execute("select region, key, rate from provider_paces")
    return {(row["region"], row["key"]): row["rate"] async for row in done}


async def test_a_provider_that_defers_is_slowed_on_its_route_alone(
    store: Store, arrange: Arrange
) -> None:
    await sent_to(store, arrange, gmail=60, example=60)
    keep = keeping(store)
    await told(arrange, "gmail.com", "delivery_delay", DELAY, 30)
    await told(arrange, "gmail.com", "delivery", {}, 30)
    await told(arrange, "example.com", "delivery", {}, 60)
    await keep.look(every_seconds=0)
    assert await paced(arrange) == {(REGION, "Gmail"): 0.5}, "half of one a second"
    await keep.look(every_seconds=0)
    assert await paced(arrange) == {(REGION, "Gmail"): 0.5}, "each event counts once"
    page = await store.pacing_overview()
    assert [(p["key"], p["deferred"], p["answered"]) for p in page["paces"]] == [("Gmail", 30, 60)]


async def test_what_is_nothing_of_the_providers_slows_nobody(
    store: Store, arrange: Arrange
) -> None:
    await sent_to(store, arrange, gmail=40)
    for payload, kind in ((FULL, "delivery_delay"), (REPLY, "bounce"), (HARD, "bounce")):
        await told(arrange, "gmail.com", kind, payload, 40)
    await keeping(store).look(every_seconds=0)
    assert await paced(arrange) == {}


async def test_an_unknown_domain_is_slowed_by_itself(store: Store, arrange: Arrange) -> None:
    await sent_to(store, arrange, example=20, elsewhere=20)
    await told(arrange, "example.com", "bounce", TIMEOUT, 20)
    await told(arrange, "elsewhere.com", "delivery_delay", DELAY, 9)
    await keeping(store).look(every_seconds=0)
    assert {key for _, key in await paced(arrange)} == {"example.com"}, "nine are too few"


async def test_of_many_that_defer_those_with_most_mail_are_slowed(
    store: Store, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.pacing.keep.MOST_PACED", 2)
    await sent_to(store, arrange, gmail=50, example=40, elsewhere=30)
    for domain, count in (("gmail.com", 50), ("example.com", 40), ("elsewhere.com", 30)):
        await told(arrange, domain, "delivery_delay", DELAY, count)
    await keeping(store).look(every_seconds=0)
    assert {key for _, key in await paced(arrange)} == {"Gmail", "example.com"}


async def test_it_is_mailed_faster_once_it_takes_them_again(store: Store, arrange: Arrange) -> None:
    await sent_to(store, arrange, gmail=40)
    keep = keeping(store)
    await told(arrange, "gmail.com", "delivery_delay", DELAY, 40)
    await keep.look(every_seconds=0)
    slow = await paced(arrange)
    await arrange.sql.execute(
        "update provider_paces set slowed_at = slowed_at - interval '20 minutes', "
        "raised_at = raised_at - interval '20 minutes'"
    )
    await arrange.sql.execute("delete from provider_answers")
    await keep.look(every_seconds=0)
    assert (await paced(arrange))[REGION, "Gmail"] > slow[REGION, "Gmail"]
    for _ in range(20):
        await arrange.sql.execute(
            "update provider_paces set raised_at = raised_at - interval '1 minute'"
        )
        await keep.look(every_seconds=0)
    assert await paced(arrange) == {}


async def test_off_it_looks_at_nothing(store: Store, arrange: Arrange) -> None:
    await sent_to(store, arrange, gmail=40)
    await told(arrange, "gmail.com", "delivery_delay", DELAY, 40)
    await KeepPacing(store, Settings(_env_file=None)).look(every_seconds=0)
    assert await paced(arrange) == {}
    assert await arrange.one("select count(*) from provider_answers") == 0


async def day_is_over(arrange: Arrange) -> None:
    await arrange.sql.execute(
        "update warmup_days set day = day - 1, ends_at = now() - interval '1 minute', "
        "opened_at = opened_at - interval '1 day'; "
        "update warmups set started_at = started_at - interval '1 day'"
    )


async def steps(arrange: Arrange) -> tuple[int, str | None, int]:
    done = await arrange.sql.execute(
        "select w.step, w.held, (select cap from warmup_days d order by day desc limit 1) as cap "
        "from warmups w"
    )
    row = await done.fetchone()
    assert row is not None
    return row["step"], row["held"], row["cap"]


async def test_the_next_day_opens_once_when_the_last_one_counted(
    store: Store, arrange: Arrange
) -> None:
    await a_warmup(store, [{"total": 10}, {"total": 20}])
    assert (await sent_to(store, arrange, example=30)) and await used(arrange) == (10, {})
    await day_is_over(arrange)
    one, other = keeping(store), keeping(store)
    await one.look()
    await other.look()
    assert await steps(arrange) == (1, None, 20)
    assert await used(arrange) == (0, {})
    await arrange.sql.execute("update warmup_days set used = cap")
    await day_is_over(arrange)
    await one.look()
    assert await arrange.one("select state from warmups") == "done"
    mailout = await arrange.one("select id from mailouts")
    rest, why = await all_domains(store, mailout, await sender_on(store))
    assert rest == {"example.com": 20} and why.reason == "empty", "no cap any more"


async def test_bounces_hold_the_ramp(store: Store, arrange: Arrange) -> None:
    await a_warmup(store, [{"total": 10}, {"total": 20}])
    await sent_to(store, arrange, example=10)
    await told(arrange, "example.com", "bounce", HARD, 4)
    await told(arrange, "example.com", "delivery", {}, 10)
    keep = keeping(store)
    await keep.look(every_seconds=0)
    await day_is_over(arrange)
    await keep.look(every_seconds=0)
    step, held, cap = await steps(arrange)
    assert (step, cap) == (0, 10)
    assert held == "4 of 14 bounced (28.6%), and the limit is 5.0%"


async def test_a_mailout_says_until_when_it_waits_and_no_longer(
    store: Store, arrange: Arrange
) -> None:
    await a_warmup(store, [{"total": 5}])
    mailout = await sent_to(store, arrange, example=9)
    keep = keeping(store)
    await keep.look()
    reason = await arrange.one("select status_reason from mailouts where id = %s", mailout)
    assert reason.startswith(f"Waiting for the warm-up of {REGION}: today's 5 mails are sent.")
    ends: datetime = await arrange.one("select ends_at from warmup_days")
    assert f"{ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC" in reason

    await sender_on(store, OTHER)
    await keep.look()
    assert await arrange.one("select status_reason from mailouts") is None, "another can send it"
    await arrange.sql.execute("delete from executors where region = %s", [OTHER])
    await keep.look()
    assert await arrange.one("select status_reason from mailouts") == reason
    await store.stop_warmup(REGION, by="test")
    await keep.look()
    assert await arrange.one("select status_reason from mailouts") is None


async def test_a_warmup_is_started_once_and_keeps_what_the_day_took(
    store: Store, arrange: Arrange
) -> None:
    await a_warmup(store, [{"total": 5}])
    await sent_to(store, arrange, example=5)
    again = await store.start_warmup(REGION, plan=[{"total": 9}], mailboxes=[], zone="UTC", by="me")
    assert again["outcome"] == "running"
    assert await store.stop_warmup(REGION, by="me")
    assert not await store.stop_warmup(REGION, by="me")
    await a_warmup(store, [{"total": 3}])
    assert await used(arrange) == (5, {}), "nobody gets more today than was sent"
    acts = await arrange.sql.execute("select action, by from audit_log order by id")
    assert [tuple(row.values()) async for row in acts] == [
        ("warmup.start", "test"), ("warmup.stop", "me"), ("warmup.start", "test"),
    ]  # fmt: skip
