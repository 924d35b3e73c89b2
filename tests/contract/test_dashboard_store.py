"""What the dashboard reads, over each way to the database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.domain.sending.batches import Batch, Result
from app.errors import MailoutNotFound
from app.store import Store
from tests.support.factories import (
    REGION,
    Arrange,
    all_sent,
    claim,
    living_sender,
    start,
    started_mailout,
    try_claim,
)


async def test_a_mailout_in_figures(store: Store, arrange: Arrange) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout(subject="Three")
    await start(store, mailout)
    sender = await living_sender(store)
    one = await claim(store, mailout, sender, limit=1)
    await store.record_results(one.attempt_id, all_sent(one))
    two = await claim(store, mailout, sender, limit=1)
    refused = Result(two.recipients[0].send_log_id, "failed", code="Refused", message="no")
    await store.record_results(two.attempt_id, [refused])

    assert (await store.mailout_headline(mailout))["subject"] == "Three"
    overview = await store.mailout_overview()
    assert overview["statuses"] == {"sending": 1}
    assert [one["id"] for one in overview["sending"]] == [str(mailout)]
    outcomes = await store.mailout_outcomes(mailout)
    assert {s: n for s, n in outcomes["counts"].items() if n} == {
        "sent": 1,
        "failed": 1,
        "queued": 1,
    }
    assert outcomes["unsubscribed"] == 0
    [group] = outcomes["groups"]
    assert (group["status"], group["error_code"], group["n"], group["message"]) == (
        "failed", "Refused", 1, "no",
    )  # fmt: skip
    series = await store.mailout_series(mailout)
    assert series is not None
    assert [(point["kind"], point["n"]) for point in series["points"]] == [("accepted", 1)]
    pace_of_all = await store.sending_pace()  # it falls as time passes, so it is asked first
    assert 0 < await store.sending_pace(mailout) <= min(1, pace_of_all)


async def test_events_stand_at_their_time_and_by_their_kind(
    direct_store: Store, arrange: Arrange
) -> None:
    """In steps of ten seconds; a report that no reader wrote is no complaint here, either."""
    mailout = await started_mailout(direct_store, arrange, 7)
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    begun = await arrange.one("select date_bin('10 seconds', started_at, 'epoch') from mailouts")
    told: list[tuple[str, int, dict[str, Any]]] = [
        ("delivery", 1, {}),
        ("delivery", 9, {}),
        ("delivery", 31, {}),
        ("complaint", 45, {"complaintFeedbackType": "abuse"}),
        ("complaint", 45, {"complaintFeedbackType": "Fraud"}),
        ("bounce", 45, {"bounceType": "Permanent", "bounceSubType": "OnAccountSuppressionList"}),
        ("bounce", 45, {"bounceType": "Transient", "bounceSubType": "MailboxFull"}),
    ]
    await direct_store.apply_ses_events(
        [
            {
                "sns_message_id": str(uuid4()), "type": kind,
                "message_id": f"message-{recipient.send_log_id}", "mailout_id": str(mailout),
                "send_log_id": recipient.send_log_id, "attempt": str(batch.attempt_id),
                "occurred_at": (begun + timedelta(seconds=second)).isoformat(),
                "bounce_type": about.get("bounceType"), "payload": {kind: about},
            }
            for recipient, (kind, second, about) in zip(batch.recipients, told, strict=True)
        ]
    )  # fmt: skip
    series = await direct_store.mailout_series(mailout)
    assert series is not None
    assert series["step"] == 10
    events = {(p["kind"], p["step"]): p["n"] for p in series["points"] if p["kind"] != "accepted"}
    assert events == {
        ("delivery", 0): 2,
        ("delivery", 3): 1,
        ("complaint", 4): 1,
        ("suppressed", 4): 1,
        ("soft_bounce", 4): 1,
    }


async def test_what_was_recorded_before_an_upgrade_is_charted_as_before(
    direct_store: Store, arrange: Arrange
) -> None:
    """Before it is counted, while a part of it is, and after; then a result that comes again
    changes nothing, and the calls themselves may go."""
    mailout = await started_mailout(direct_store, arrange, 6)
    sender = await living_sender(direct_store)
    batches = [await claim(direct_store, mailout, sender, limit=2) for _ in range(3)]
    for batch in batches:
        await direct_store.record_results(batch.attempt_id, all_sent(batch))
    await arrange.sql.execute("update send_batches set recorded_at = recorded_at + interval '70 s'")
    await arrange.sql.execute("update send_batches set counted = false")
    await arrange.sql.execute("truncate accepted_counts")
    before = await direct_store.mailout_series(mailout)
    assert before is not None
    assert sum(point["n"] for point in before["points"]) == 6
    for left in (2, 1, 0):
        assert await arrange.one("select count_accepted(1)") == 1
        assert await arrange.one("select count(*) from send_batches where not counted") == left
        assert await direct_store.mailout_series(mailout) == before
    assert await arrange.one("select count_accepted(1)") == 0
    await direct_store.record_results(batches[0].attempt_id, all_sent(batches[0]))
    await arrange.sql.execute("delete from send_batches")
    assert await direct_store.mailout_series(mailout) == before


async def test_test_mails_after_the_end_are_not_charted(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(direct_store, arrange, 1)
    sender = await living_sender(direct_store)
    batch = await claim(direct_store, mailout, sender)
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await arrange.one("select status from mailouts") == "sent"
    before = await direct_store.mailout_series(mailout)
    await direct_store.queue_test(mailout, ["me@example.com"])
    test = await try_claim(direct_store, mailout, sender, test=True)
    assert isinstance(test, Batch)
    await direct_store.record_results(test.attempt_id, all_sent(test))
    assert await direct_store.mailout_series(mailout) == before


async def test_the_pace_is_that_of_the_last_half_minute(
    direct_store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(direct_store, arrange, 2)
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    assert await direct_store.sending_pace(mailout) > 0
    await arrange.sql.execute("update send_batches set recorded_at = now() - interval '31 seconds'")
    assert await direct_store.sending_pace(mailout) == 0


async def test_an_unknown_mailout(store: Store) -> None:
    with pytest.raises(MailoutNotFound):
        await store.mailout_headline(uuid4())
    assert await store.mailout_series(uuid4()) is None


async def test_the_account_and_who_sends(store: Store) -> None:
    await living_sender(store, rate=14)
    overview = await store.account_overview(REGION)
    assert overview["rate"] == 14
    assert overview["account"]["production_access"] is True
    [sender] = overview["executors"]
    assert (sender["label"], sender["alive"]) == ("test", True)
    assert overview["day"] == {"outcomes": 0, "bounces": 0, "complaints": 0}
    assert (await store.account_overview("eu-west-3"))["account"] is None


async def test_an_ended_session_is_forgotten_when_it_would_be_over(
    store: Store, arrange: Arrange
) -> None:
    now = datetime.now(UTC)
    await store.end_session("old", now - timedelta(seconds=1))
    assert await store.session_ended("old")
    await store.end_session("new", now + timedelta(hours=1))
    await store.end_session("new", now + timedelta(hours=1))
    assert await store.session_ended("new")
    assert not await store.session_ended("old")
    assert await arrange.one("select count(*) from ended_sessions") == 1


async def test_who_signs_out_brings_nobody_elses_session_back(store: Store) -> None:
    """What is forgotten then are only those whose cookies have expired."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    await store.end_session("first", soon)
    await store.end_session("second", soon + timedelta(hours=12))
    assert await store.session_ended("first")
    assert await store.session_ended("second")
