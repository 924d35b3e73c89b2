"""LEDGER_RETENTION_DAYS: a mailout that ended long ago shrinks to its counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import psycopg
import pytest

from app.domain.notion.answers import why_words
from app.domain.reports.people import line
from app.errors import DetailsDropped
from app.services.readership.why import why_mailed
from app.settings import Settings
from app.store import Store
from tests.support.engagement import Mailed, happened, judge_all, mailed, row, told, tracked_mailout
from tests.support.factories import Arrange, claim_mailout
from tests.support.reads import reader

LONG_AGO = datetime.now(UTC) - timedelta(days=400)
REPORT = (
    "select jsonb_build_array(engagement_totals(%(m)s), engagement_links(%(m)s, 2000), "
    "engagement_reasons(%(m)s), engagement_series(%(m)s), "
    "engagement_groups(%(m)s, 'domain', 500, 50000), engagement_groups(%(m)s, 'tag', 20, 50000))"
)
COUNTS = (
    "select jsonb_build_array(mailout_counts(%(m)s), unsubscribed_count(%(m)s), "
    "mailout_routes(%(m)s), mailout_outcomes(%(m)s))"
)


async def shrunk(store: Store, days: int | None = 365) -> None:
    while await store.shrink_old_mailouts(days):
        pass


async def answer(arrange: Arrange, query: str, mailout: UUID) -> Any:
    done = await arrange.sql.execute(query.encode(), {"m": mailout})
    found = await done.fetchone()
    assert found is not None
    return next(iter(found.values()))


def who(mail: Mailed) -> UUID:
    assert mail.person is not None
    return mail.person


async def an_old_mailout(store: Store, arrange: Arrange) -> list[Mailed]:
    """To six people and two tests: some opened and clicked, one bounced, one unsubscribed."""
    mailout = await tracked_mailout(arrange, sent_at=LONG_AGO, started_at=LONG_AGO, recipients=6)
    mails = [await mailed(arrange, mailout) for _ in range(6)]
    for _ in range(2):
        await mailed(arrange, mailout, is_test=True)
    await happened(store, *(told(mail, "Delivery", 5) for mail in mails[:4]))
    await happened(store, *(told(mail) for mail in mails[:3]), told(mails[0], "Click", 4000))
    await judge_all(store)
    await store.apply_ses_events([bounce(mails[5])])
    await store.unsubscribe(who(mails[1]), mailout)
    await arrange.sql.execute("update send_logs set sent_at = %s", [LONG_AGO])
    return mails


def bounce(mail: Mailed, at: datetime | None = None, kind: str = "Bounce") -> dict[str, Any]:
    """As SES tells it; kind: or Complaint."""
    event = told(mail, "Delivery")
    del event["delivery"]
    when = (at or datetime.now(UTC)).isoformat()
    about: dict[str, Any] = {"timestamp": when}
    if kind == "Bounce":
        about |= {
            "bounceType": "Permanent",
            "bounceSubType": "General",
            "bouncedRecipients": [{"emailAddress": mail.email}],
        }
    else:
        about |= {
            "complainedRecipients": [{"emailAddress": mail.email}],
            "complaintFeedbackType": "abuse",
        }
    return row(event | {"eventType": kind, kind.lower(): about})


async def test_a_mailout_that_ended_long_ago_shrinks_to_its_counts(
    store: Store, arrange: Arrange
) -> None:
    """Figures, report and page say what they said; nobody is in it any more."""
    mails = await an_old_mailout(store, arrange)
    mailout = mails[0].mailout
    counts, report = [await answer(arrange, q, mailout) for q in (COUNTS, REPORT)]
    assert counts[0]["bounced"] == 1
    assert counts[1] == 1
    await shrunk(store)
    for table in ("send_logs", "engagement_recipients", "engagement_signals", "send_batches"):
        assert await arrange.one(f"select count(*) from {table}") == 0, table
    assert await arrange.one("select count(*) from ses_events where payload <> '{}'") == 0
    assert await answer(arrange, COUNTS, mailout) == counts
    assert await answer(arrange, REPORT, mailout) == report
    await arrange.sql.execute("select recount()")
    assert await answer(arrange, COUNTS, mailout) == counts
    assert (await store.show_mailout(mailout))["details_dropped_at"] is not None


@pytest.mark.parametrize("status", ["draft", "ready", "scheduled", "sending", "paused"])
async def test_only_what_is_over_shrinks(
    direct_store: Store, arrange: Arrange, status: str
) -> None:
    await tracked_mailout(arrange, status, started_at=LONG_AGO, sent_at=LONG_AGO)
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts") == 0


async def test_what_ended_later_or_still_has_work_keeps_its_ledger(
    direct_store: Store, arrange: Arrange
) -> None:
    recent = await tracked_mailout(arrange, sent_at=LONG_AGO + timedelta(days=40))
    cancelling = await tracked_mailout(arrange, "cancelled", sent_at=LONG_AGO)
    await mailed(arrange, cancelling, status="queued")
    await mailed(arrange, recent)
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from send_logs") == 2


async def test_without_the_setting_or_with_too_few_days_nothing_shrinks(
    store: Store, arrange: Arrange
) -> None:
    await an_old_mailout(store, arrange)
    await shrunk(store, None)
    await shrunk(store, 29)
    assert await arrange.one("select count(*) from send_logs") == 8
    with pytest.raises(ValueError, match="ledger_retention_days"):
        Settings(_env_file=None, ledger_retention_days=29)


# ------------------------------------------------------------------------------------------------
# Never twice: who got it isn't known any more


async def test_a_shrunk_mailout_is_never_sent_again(store: Store, arrange: Arrange) -> None:
    """Not by a resend, and not by SQL."""
    mails = await an_old_mailout(store, arrange)
    mailout = mails[0].mailout
    await shrunk(store)
    with pytest.raises(DetailsDropped, match="nobody can be mailed again"):
        await store.resend_mailout(mailout, ["failed", "unknown"], force=True, by="test")
    for status in ("ready", "sending", "paused", "scheduled", "draft"):
        with pytest.raises(psycopg.Error, match="never be sent again"):
            await arrange.sql.execute(
                "update mailouts set status = %s where id = %s", [status, mailout]
            )
    with pytest.raises(psycopg.Error, match="can't be deleted"):
        await arrange.sql.execute("delete from mailouts where id = %s", [mailout])
    assert (await store.show_mailout(mailout))["status"] == "sent"
    copy = await store.duplicate_mailout(mailout, by="test")
    assert (await store.show_mailout(copy))["details_dropped_at"] is None


async def test_a_rule_that_asks_who_got_it_is_refused(store: Store, arrange: Arrange) -> None:
    """“Not those who got X” would else mail them all."""
    mails = await an_old_mailout(store, arrange)
    await shrunk(store)
    names: list[dict[str, Any]] = [{"value": str(mails[0].mailout)}, {"value": "any", "days": 500}]
    for named in names:
        for field in ("received", "opened", "clicked"):
            rule = {"not": {"field": field, "op": "is", **named}}
            with pytest.raises(DetailsDropped, match="audience: "):
                await store.preview_audience(rule)
            mailout = await arrange.mailout(audience=rule)
            with pytest.raises(DetailsDropped):
                await claim_mailout(store, mailout)
            assert (
                await arrange.one("select status from mailouts where id = %s", mailout) == "ready"
            )
    shorter = {"not": {"field": "received", "op": "is", "value": "any", "days": 300}}
    assert await store.preview_audience(shorter) is not None


async def test_what_a_scheduled_mailouts_rule_asks_about_waits_for_it(
    direct_store: Store, arrange: Arrange
) -> None:
    mails = await an_old_mailout(direct_store, arrange)
    rule = {"not": {"field": "received", "op": "is", "value": str(mails[0].mailout)}}
    asking = await arrange.mailout("scheduled", audience=rule)
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts") == 0
    await arrange.sql.execute("update mailouts set status = 'ready' where id = %s", [asking])
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts where done_at is not null") == 1
    with pytest.raises(psycopg.Error, match="not known any more"):
        await arrange.sql.execute(
            "update mailouts set status = 'scheduled' where id = %s", [asking]
        )


async def test_nothing_begins_to_shrink_while_an_audience_is_being_queued(
    direct_store: Store, arrange: Arrange
) -> None:
    await an_old_mailout(direct_store, arrange)
    other = await arrange.mailout("sending")
    await arrange.sql.execute("insert into mailout_queues (mailout_id) values (%s)", [other])
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts") == 0


async def test_an_audience_that_came_in_between_takes_the_mark_back(
    direct_store: Store, arrange: Arrange
) -> None:
    mails = await an_old_mailout(direct_store, arrange)
    await direct_store.shrink_old_mailouts(365)
    other = await arrange.mailout("sending")
    await arrange.sql.execute("insert into mailout_queues (mailout_id) values (%s)", [other])
    await shrunk(direct_store)
    assert await arrange.one("select count(*) from shrunk_mailouts") == 0
    assert await arrange.one("select count(*) from send_logs") == 8
    await arrange.sql.execute("update mailout_queues set done_at = now()")
    await shrunk(direct_store)
    assert (await direct_store.show_mailout(mails[0].mailout))["details_dropped_at"] is not None


# ------------------------------------------------------------------------------------------------
# Nobody is lost: what comes later


async def status_of(arrange: Arrange, mail: Mailed) -> str:
    return str(await arrange.one("select status from subscribers where id = %s", mail.person))


async def test_a_late_bounce_or_complaint_still_suppresses(store: Store, arrange: Arrange) -> None:
    mails = await an_old_mailout(store, arrange)
    mailout = mails[0].mailout
    counts = await answer(arrange, COUNTS, mailout)
    await shrunk(store)
    done = await store.apply_ses_events([bounce(mails[2]), bounce(mails[3], kind="Complaint")])
    assert (done["new"], done["matched"]) == (2, 2)
    assert await status_of(arrange, mails[2]) == "bounced"
    assert await status_of(arrange, mails[3]) == "complained"
    assert await answer(arrange, COUNTS, mailout) == counts
    assert await arrange.one("select count(*) from ses_events where parked is not null") == 0
    assert await arrange.one("select count(*) from ses_events where payload <> '{}'") == 0


async def test_a_late_event_needs_row_address_and_mailout_of_one_mail(
    store: Store, arrange: Arrange
) -> None:
    """Somebody else's row, an address that was never mailed, another mailout: nobody is touched."""
    mails = await an_old_mailout(store, arrange)
    stranger = await arrange.subscriber("stranger@example.com")
    await shrunk(store)
    one, other = mails[2], mails[3]
    wrong = [
        Mailed(one.mailout, other.log, one.attempt, one.email, None),
        Mailed(one.mailout, one.log, one.attempt, "stranger@example.com", None),
        Mailed(uuid4(), one.log, one.attempt, one.email, None),
        Mailed(one.mailout, 10**9, one.attempt, one.email, None),
    ]
    odd = bounce(one) | {"odd": True}  # its tags contradict each other
    done = await store.apply_ses_events([*(bounce(mail) for mail in wrong), odd])
    assert (done["new"], done["matched"]) == (5, 0)
    assert {await status_of(arrange, mail) for mail in (one, other)} == {"active"}
    assert await arrange.one("select status from subscribers where id = %s", stranger) == "active"


async def test_a_copy_of_what_happened_before_changes_nothing(
    store: Store, arrange: Arrange
) -> None:
    """The event is gone with its row; who was brought back since stays."""
    mails = await an_old_mailout(store, arrange)
    long_ago = datetime.now(UTC) - timedelta(days=100)
    complaint = bounce(mails[3], long_ago, "Complaint")
    await store.apply_ses_events([complaint])
    await arrange.sql.execute("update ses_events set received_at = now() - interval '100 days'")
    await arrange.bring_back_everybody()
    await shrunk(store)
    assert await arrange.one("select count(*) from ses_events") == 0
    assert (await store.apply_ses_events([complaint]))["matched"] == 0
    assert await status_of(arrange, mails[3]) == "active"


async def test_a_copy_of_a_late_event_changes_nothing(store: Store, arrange: Arrange) -> None:
    """Its id is kept for good, though its words go."""
    mails = await an_old_mailout(store, arrange)
    await shrunk(store)
    complaint = bounce(mails[3], kind="Complaint")
    await store.apply_ses_events([complaint])
    await arrange.sql.execute("update ses_events set received_at = now() - interval '1 year'")
    await arrange.bring_back_everybody()
    while await store.drop_old_events(90):
        pass
    assert (await store.apply_ses_events([complaint]))["new"] == 0
    assert await status_of(arrange, mails[3]) == "active"


async def test_the_link_of_an_old_mail_still_unsubscribes(store: Store, arrange: Arrange) -> None:
    mails = await an_old_mailout(store, arrange)
    await shrunk(store)
    await store.unsubscribe(who(mails[4]), mails[4].mailout)
    assert await status_of(arrange, mails[4]) == "unsubscribed"


async def test_an_import_that_is_taken_back_deletes_nobody_who_may_have_been_mailed(
    store: Store, arrange: Arrange
) -> None:
    mails = await an_old_mailout(store, arrange)
    await shrunk(store)
    asked = "select mailed_since(array[%s::uuid], %s)"
    before, after = LONG_AGO - timedelta(days=1), datetime.now(UTC)
    assert await arrange.one(asked, mails[0].person, before) == [mails[0].person]
    assert await arrange.one(asked, mails[0].person, after) == []


async def test_a_slice_reads_no_more_because_there_are_more(
    direct_store: Store, arrange: Arrange, dsn: str
) -> None:
    mails = await an_old_mailout(direct_store, arrange)
    other = await arrange.mailout("paused")
    for mailout in (mails[0].mailout, other):
        await arrange.sql.execute(
            "insert into send_logs (mailout_id, subscriber_id, email, status) "
            "select %s, gen_random_uuid(), n || '@example.org', 'delivered' "
            "from generate_series(1, 6000) n",
            [mailout],
        )
    read = []
    async with reader(dsn) as own:
        while True:
            done, rows = await own.call("shrink_old_mailouts", p_days=365, p_limit=200)
            read.append(rows if done["rows"] else 0)
            if not done["more"]:
                break
    assert max(read) < 30 * 200
    assert await arrange.one("select count(*) from send_logs") == 6000


async def test_a_persons_history_and_export_say_that_mails_are_missing(
    store: Store, arrange: Arrange
) -> None:
    mails = await an_old_mailout(store, arrange)
    await arrange.sql.execute("update subscribers set created_at = now() - interval '3 years'")
    await shrunk(store)
    later = await arrange.subscriber("later@example.com")
    told_of = await store.subscriber_history(who(mails[0]), 100)
    [dropped] = [item for item in told_of if item["kind"] == "dropped"]
    assert dropped["detail"]["mailouts"] == 1
    assert not [item for item in told_of if item["kind"] in {"mail", "event"}]
    assert "were dropped" in line(dropped).title
    assert "dropped" not in {item["kind"] for item in await store.subscriber_history(later, 100)}
    exported = await arrange.one("select export_person(%s)", mails[0].email)
    assert "dropped" in {item["kind"] for item in exported["history"]}
    why = await why_mailed(store, mails[0].mailout, email=mails[0].email)
    assert (why["got"], why["code"]) == (None, "details_dropped")


async def test_a_comment_that_asks_why_is_told_that_nobody_knows(
    direct_store: Store, arrange: Arrange
) -> None:
    mails = await an_old_mailout(direct_store, arrange)
    await shrunk(direct_store)
    facts = await arrange.one("select notion_why(%s, %s)", mails[0].mailout, mails[0].email)
    words = why_words(mails[0].email, facts, None, ZoneInfo("UTC"), datetime.now(UTC))
    assert "not known any more" in words
