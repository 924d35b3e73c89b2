"""EVENTS_RETENTION_DAYS: what SES said in the past loses its words, calls to SES their record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from psycopg.types.json import Jsonb

from app.settings import Settings
from app.store import Store
from tests.integration.test_guards import mailed
from tests.support.factories import REGION, Arrange
from tests.support.reads import reader

COUNTED = "update standing_state set counted_to = (select max(id) from ses_events)"
WORDS = "select payload from ses_events where sns_message_id = %s"


async def events_dropped(store: Store, days: int = 90) -> None:
    while await store.drop_old_events(days):
        pass


async def event(arrange: Arrange, age: str, *, row: int | None = 1, **payload: object) -> str:
    """A counted one; row: of the ledger that it fits."""
    name = uuid4().hex
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, send_log_id, payload, occurred_at, "
        "received_at) values (%s, 'delivery', %s, %s, now(), now() - %s::interval)",
        [name, row, Jsonb(payload or {"mail": {"destination": ["ann@example.com"]}}), age],
    )
    await arrange.sql.execute(COUNTED)
    return name


async def test_old_events_lose_their_words_and_stay_known_by_their_id(
    store: Store, arrange: Arrange
) -> None:
    old = await event(arrange, "91 days")
    other = await event(arrange, "91 days", provider="sendgrid", email="ann@example.com")
    young = await event(arrange, "89 days")
    await events_dropped(store)
    assert await arrange.one(WORDS, old) == {}
    assert await arrange.one(WORDS, other) == {"provider": "sendgrid"}
    assert await arrange.one(WORDS, young) != {}


async def test_a_message_that_comes_again_after_its_words_went_changes_nothing(
    store: Store, arrange: Arrange
) -> None:
    """A person who was brought back since stays on the list."""
    one = await mailed(store, arrange, 1)
    complaint = one.bounced([0])[0] | {"suppresses": "bounced"}
    assert (await store.apply_ses_events([complaint]))["matched"] == 1
    await arrange.sql.execute("update ses_events set received_at = now() - interval '100 days'")
    await arrange.sql.execute(COUNTED)
    await arrange.bring_back_everybody()
    await events_dropped(store)
    assert await arrange.one("select count(*) from ses_events where payload <> '{}'") == 0
    again = await store.apply_ses_events([complaint])
    assert (again["new"], again["copies"]) == (0, [complaint["sns_message_id"]])
    assert await arrange.one("select status from subscribers") == "active"


async def test_a_persons_history_says_that_the_words_were_dropped(
    store: Store, arrange: Arrange
) -> None:
    one = await mailed(store, arrange, 1)
    await store.apply_ses_events(one.bounced([0]))
    await arrange.sql.execute("update ses_events set received_at = now() - interval '100 days'")
    await arrange.sql.execute(COUNTED)
    await events_dropped(store)
    person = await arrange.one("select subscriber_id from send_logs where status = 'bounced'")
    history = await arrange.one("select subscriber_history(%s, 100)", person)
    [told] = [item for item in history if item["kind"] == "event"]
    assert told["detail"]["details"] == "dropped"
    [mail] = [item for item in history if item["kind"] == "mail"]
    assert (mail["detail"]["status"], mail["detail"]["bounce_type"]) == ("bounced", "Permanent")


async def test_events_that_fitted_nobody_go_as_a_whole(store: Store, arrange: Arrange) -> None:
    await event(arrange, "91 days", row=None)
    kept = await event(arrange, "89 days", row=None)
    await events_dropped(store)
    assert await arrange.one("select array_agg(sns_message_id) from ses_events") == [kept]


async def test_what_the_standing_has_not_counted_yet_keeps_its_words(
    store: Store, arrange: Arrange
) -> None:
    waiting = await event(arrange, "91 days")
    await arrange.sql.execute("update standing_state set counted_to = 0")
    await events_dropped(store)
    assert await arrange.one(WORDS, waiting) != {}
    await arrange.sql.execute(COUNTED)
    await events_dropped(store)
    assert await arrange.one(WORDS, waiting) == {}


async def test_an_event_that_somebody_has_in_hand_is_for_the_next_call(
    direct_store: Store, arrange: Arrange
) -> None:
    first, held, last = [await event(arrange, "91 days") for _ in range(3)]
    async with arrange.sql.transaction():
        await arrange.sql.execute(
            "select from ses_events where sns_message_id = %s for update", [held]
        )
        assert not await direct_store.drop_old_events(90)
    assert [await arrange.one(WORDS, name) == {} for name in (first, held, last)] == [
        True, False, False,
    ]  # fmt: skip
    await events_dropped(direct_store)
    assert [await arrange.one(WORDS, name) for name in (held, last)] == [{}, {}]


async def test_one_process_drops_at_a_time_and_the_other_does_not_wait(
    direct_store: Store, arrange: Arrange
) -> None:
    old = await event(arrange, "91 days")
    async with arrange.sql.transaction():
        await arrange.sql.execute("select may_drop(90)")
        assert not await direct_store.drop_old_events(90)
    assert await arrange.one(WORDS, old) != {}


async def test_less_than_a_month_drops_nothing_whoever_asks(store: Store, arrange: Arrange) -> None:
    old = await event(arrange, "91 days")
    await events_dropped(store, 29)
    assert await arrange.one(WORDS, old) != {}
    with pytest.raises(ValueError, match="events_retention_days"):
        Settings(_env_file=None, events_retention_days=29)


async def test_a_slice_reads_no_more_because_there_are_more(dsn: str, arrange: Arrange) -> None:
    """Beside thousands of events that are older, dropped long ago, and thousands that are young."""
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, send_log_id, payload, occurred_at, "
        "received_at) select 'm' || n, 'send', n, '{\"a\": 1}', now(), now() - case when n <= 6000 "
        "then interval '1 year' else interval '1 day' end from generate_series(1, 12000) n"
    )
    await arrange.sql.execute(
        "update retention set events_to = "
        "(select id from ses_events where sns_message_id = 'm5000')"
    )
    async with reader(dsn) as own:
        answer, rows = await own.call("drop_old_events", p_days=90, p_limit=500)
    assert answer["events"] == 500
    assert rows < 10 * 500


# ------------------------------------------------------------------------------------------------
# Calls to SES


async def batch(
    arrange: Arrange, mailout: UUID, age: str, rows: list[int], *, counted: bool = True
) -> UUID:
    attempt = uuid4()
    await arrange.sql.execute(
        "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
        "token_at, claimed_at, recorded_at, accepted, counted) values (%s, %s, "
        "gen_random_uuid(), %s, %s, now(), now() - %s::interval, now(), 1, %s)",
        [attempt, mailout, REGION, rows, age, counted],
    )
    return attempt


async def row_of(arrange: Arrange, mailout: UUID, attempt: UUID | None = None) -> int:
    return int(
        await arrange.one(
            "insert into send_logs (mailout_id, subscriber_id, email, status, attempt_id) "
            "values (%s, gen_random_uuid(), 'a@example.com', 'sent', %s) returning id",
            mailout,
            attempt,
        )
    )


async def batches(store: Store, arrange: Arrange) -> list[UUID]:
    while await store.drop_old_batches(90):
        pass
    return list(await arrange.one("select array_agg(attempt_id) from send_batches") or [])


async def test_records_of_old_calls_go(store: Store, arrange: Arrange) -> None:
    sent = await arrange.mailout("sent")
    for _ in range(3):
        row = await row_of(arrange, sent)
        attempt = await batch(arrange, sent, "91 days", [row])
        await arrange.sql.execute(
            "update send_logs set attempt_id = %s where id = %s", [attempt, row]
        )
    young = await batch(arrange, sent, "89 days", [])
    assert await batches(store, arrange) == [young]


async def test_calls_of_an_earlier_release_stay_until_they_are_counted(
    store: Store, arrange: Arrange
) -> None:
    """Charts are made of them until then; the rows of a mailout go with its calls, so they wait."""
    sent = await arrange.mailout(
        "sent",
        started_at=datetime.now(UTC) - timedelta(days=100),
        sent_at=datetime.now(UTC) - timedelta(days=90),
    )
    old = await batch(arrange, sent, "99 days", [], counted=False)
    chart = await store.mailout_series(sent)
    assert chart is not None
    assert [point["n"] for point in chart["points"] if point["kind"] == "accepted"] == [1]
    assert await batches(store, arrange) == [old]
    assert (await store.shrink_old_mailouts(90)) is False
    await store.keep_house()
    assert await batches(store, arrange) == []
    assert await store.mailout_series(sent) == chart


async def test_a_call_that_a_late_event_may_name_is_kept(store: Store, arrange: Arrange) -> None:
    """An earlier attempt of a row that was tried again, and those of a mailout that isn't over."""
    sent, paused = await arrange.mailout("sent"), await arrange.mailout("paused")
    earlier = await batch(arrange, sent, "100 days", [await row_of(arrange, sent, uuid4())])
    running = await batch(arrange, paused, "100 days", [])
    assert set(await batches(store, arrange)) == {earlier, running}
