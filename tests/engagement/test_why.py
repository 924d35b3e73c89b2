"""Why somebody got a mailout, or why not: every fact that is known, and what isn't."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from psycopg.types.json import Jsonb

from app.domain.engagement.reasons import WORDS
from app.domain.sending.batches import Result
from app.errors import MailoutNotFound, SubscriberNotFound
from app.services.readership.why import why_mailed
from app.store import Store
from tests.support.factories import Arrange, all_sent, claim, living_sender, start

ANN, BOB = "ann@example.com", "bob@example.com"
RULE = {
    "all": [
        {"tags": ["news"]},
        {"not": {"field": "fields.plan", "op": "is", "value": "free"}},
    ]
}


async def sent_to(store: Store, arrange: Arrange, **columns: Any) -> UUID:
    """A mailout that was sent to everybody who fits."""
    mailout = await arrange.mailout(**columns)
    await start(store, mailout)
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    await store.record_results(batch.attempt_id, all_sent(batch))
    return mailout


async def tell(arrange: Arrange, mailout: UUID, kind: str, payload: Any = None) -> None:
    """An event of the only mail of a mailout, as it is kept."""
    await arrange.sql.execute(
        "insert into ses_events (sns_message_id, type, mailout_id, send_log_id, payload, "
        "occurred_at) select gen_random_uuid()::text, %s, mailout_id, id, %s, now() "
        "from send_logs where mailout_id = %s",
        [kind, Jsonb(payload or {}), mailout],
    )


async def test_all_that_led_to_a_mail_is_told(store: Store, arrange: Arrange) -> None:
    consent = {
        "source": "sign-up",
        "at": "2026-01-02T10:00:00+00:00",
        "text": "News, please.",
        "page": "https://example.com/news",
        "ip": "203.0.113.9",
        "Optin_IP": "203.0.113.9",
    }
    await arrange.subscriber(ANN, tags=["news"], fields={"plan": "pro"}, consent=Jsonb(consent))
    mailout = await sent_to(store, arrange, audience=RULE, tracking=True)
    await tell(arrange, mailout, "send")
    await tell(arrange, mailout, "delivery", {"delivery": {"smtpResponse": "250 ok"}})
    await arrange.sql.execute(
        "with link as (insert into mailout_links (mailout_id, url, position, place) "
        "  values (%(m)s, 'https://example.com/x', 0, 'body') returning id) "
        "insert into engagement_signals (send_log_id, mailout_id, kind, link_id, slot, first_at, "
        "  last_at, events, class, reason, rules) select l.id, l.mailout_id, 'click', link.id, "
        "  now(), now(), now(), 3, 'human', 'click', 1 from send_logs l, link",
        {"m": mailout},
    )
    why = await why_mailed(store, mailout, email=" Ann@EXAMPLE.com ")
    assert (why["got"], why["code"]) == (True, "sent")
    assert why["consent"]["recorded"] == {
        name: value for name, value in consent.items() if "ip" not in name.lower()
    }
    assert why["consent"]["added"]["by"] == "database"
    [all_, tags, not_, plan] = why["audience"]["conditions"]
    assert [one["depth"] for one in (all_, tags, not_, plan)] == [0, 1, 1, 2]
    assert (all_["now"], all_["then"], tags["had"]) == (True, True, "“news”")
    assert (not_["now"], plan["now"], plan["had"]) == (True, False, "“pro”")
    assert why["audience"]["frozen"]
    [attempt] = why["claim"]
    assert (attempt["region"], attempt["executor"], attempt["batch"]) == ("us-east-1", "test", 1)
    [mail] = why["mails"]
    assert mail["message_id"] == f"message-{mail['id']}"
    assert len(why["content"]["hash"]) == 32
    assert [event["type"] for event in why["events"]] == ["send", "delivery"]
    assert why["events"][1]["said"] == "250 ok"
    [click] = why["signals"]
    assert (click["url"], click["events"], click["class"]) == ("https://example.com/x", 3, "human")
    assert click["because"] == WORDS["click"]


async def test_what_the_rule_asked_is_told_as_it_was_and_as_it_is(
    store: Store, arrange: Arrange
) -> None:
    ann = await arrange.subscriber(ANN, tags=["news"], fields={"plan": "pro"})
    bob = await arrange.subscriber(BOB, tags=[])
    mailout = await sent_to(store, arrange, audience=RULE)
    await arrange.sql.execute("update subscribers set tags = '{other}' where id = %s", [ann])
    await arrange.sql.execute("update subscribers set tags = '{news}' where id = %s", [bob])
    why = await why_mailed(store, mailout, email=ANN)
    tags = why["audience"]["conditions"][1]
    assert (tags["then"], tags["had_then"]) == (True, "“news”")
    assert (tags["now"], tags["had"]) == (False, "“other”")
    assert (why["got"], why["audience"]["fitted"], why["audience"]["fits"]) == (True, True, False)
    missed = await why_mailed(store, mailout, email=BOB)
    assert (missed["got"], missed["code"], missed["mails"]) == (False, "not_in_audience", [])
    assert "It would today" in missed["reason"]


async def test_what_the_history_does_not_tell_is_said(store: Store, arrange: Arrange) -> None:
    """Subscribers from before there was a history."""
    await arrange.subscriber(ANN, tags=["news"])
    await arrange.subscriber(BOB)
    mailout = await sent_to(store, arrange, audience={"tags": ["news"]})
    await arrange.sql.execute("delete from subscriber_changes")
    why = await why_mailed(store, mailout, email=ANN)
    assert not why["audience"]["then"]
    [tags] = why["audience"]["conditions"]
    assert (tags["then"], tags["had_then"], tags["now"]) == (None, None, True)
    assert (why["consent"]["recorded"], why["consent"]["added"]) == (None, None)
    assert "doesn't tell" in (await why_mailed(store, mailout, email=BOB))["reason"]


async def test_why_somebody_did_not_get_it(store: Store, arrange: Arrange) -> None:
    left = await arrange.subscriber("left@example.com")
    pending = await arrange.subscriber("pending@example.com", status="pending")
    skipped = await arrange.subscriber("skipped@example.com")
    await arrange.subscriber("bounced@example.com")
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where id = %s", [left]
    )
    mailout = await arrange.mailout()
    soon = await why_mailed(store, mailout, email="skipped@example.com")
    assert (soon["got"], soon["code"]) == (None, "not_started")
    await start(store, mailout)
    await arrange.sql.execute(
        "update subscribers set status = 'unsubscribed' where id = %s", [skipped]
    )
    await arrange.subscriber("late@example.com")
    sender = await living_sender(store)
    batch = await claim(store, mailout, sender)
    await store.record_results(batch.attempt_id, all_sent(batch))
    await arrange.sql.execute(
        "update send_logs set status = 'bounced', bounce_type = 'Permanent' "
        "where email = 'bounced@example.com'"
    )
    # They came back since: what counts is how they were.
    async with arrange.sql.transaction():
        await arrange.sql.execute("select acting('database', 'asked')")
        await arrange.sql.execute(
            "update subscribers set status = 'active' where id = %s", [pending]
        )

    async def code(email: str) -> tuple[Any, str]:
        why = await why_mailed(store, mailout, email=email)
        return why["got"], why["code"]

    assert await code("left@example.com") == (False, "unsubscribed")
    assert await code("pending@example.com") == (False, "pending")
    assert await code("skipped@example.com") == (False, "skipped_unsubscribed")
    assert await code("late@example.com") == (False, "added_later")
    assert await code("bounced@example.com") == (False, "bounced")
    with pytest.raises(SubscriberNotFound) as nobody:
        await code("nobody@example.com")
    assert nobody.value.extra == {"reason": "nobody"}
    with pytest.raises(MailoutNotFound):
        await why_mailed(store, left, email="late@example.com")


async def test_of_erased_people_nothing_personal_is_told(store: Store, arrange: Arrange) -> None:
    ann = await arrange.subscriber(ANN, name="Ann Smith", tags=["news"])
    mailout = await sent_to(store, arrange, audience={"tags": ["news"]})
    await tell(arrange, mailout, "delivery", {"delivery": {"smtpResponse": f"250 {ANN}"}})
    await store.erase_subscriber(ANN, "owner")
    with pytest.raises(SubscriberNotFound) as erased:
        await why_mailed(store, mailout, email=ANN)
    assert erased.value.extra == {"reason": "erased"}
    why = await why_mailed(store, mailout, subscriber_id=ann)  # as the ledger still names the row
    assert (why["got"], why["found"], why["person"]) == (True, "erased", None)
    assert "ann" not in str(why).lower()


async def test_merged_people_and_earlier_addresses_are_found(
    store: Store, arrange: Arrange
) -> None:
    """Two subscribers who turned out to be one person; one who has another address now."""
    first = await arrange.subscriber(ANN)
    second = await arrange.subscriber(BOB)
    mailout = await sent_to(store, arrange)
    await arrange.sql.execute("select merge_subscribers(%s, %s)", [second, first])
    await arrange.sql.execute("update subscribers set email = 'new@example.com'")
    for found in (
        await why_mailed(store, mailout, email="new@example.com"),
        await why_mailed(store, mailout, email=BOB),
        await why_mailed(store, mailout, subscriber_id=second),
    ):
        assert found["person"]["email"] == "new@example.com"
        assert [one["email"] for one in found["person"]["others"]] == [BOB]
        assert {mail["email"] for mail in found["mails"]} == {ANN, BOB}
        assert found["got"]


async def test_got_opened_and_clicked_count_as_far_as_they_had_happened(
    store: Store, arrange: Arrange
) -> None:
    """The mail itself doesn't count against a rule that asks for earlier ones."""
    await arrange.subscriber(ANN)
    rule = {"field": "received", "op": "is_not", "value": "any", "days": 7}
    mailout = await sent_to(store, arrange, audience=rule)
    why = await why_mailed(store, mailout, email=ANN)
    [received] = why["audience"]["conditions"]
    assert (received["then"], received["now"], received["had"]) == (True, False, "none")
    asked = {"field": "received", "op": "is", "value": str(mailout)}
    second = await sent_to(store, arrange, subject="Second", audience=asked)
    [received] = (await why_mailed(store, second, email=ANN))["audience"]["conditions"]
    assert (received["then"], received["had"]) == (True, "“Hello” (sent)")


async def test_an_import_and_overrides_stand_with_the_consent(
    direct_store: Store, arrange: Arrange
) -> None:
    imported = await arrange.one(
        "insert into imports (by, file_name, state) values ('key shop', 'list.csv', 'done') "
        "returning id"
    )
    consent = {"source": "import", "import_id": str(imported), "at": "2024-05-06T00:00:00+00:00"}
    await arrange.subscriber(ANN, consent=Jsonb(consent), status="unsubscribed")
    async with arrange.sql.transaction():
        await arrange.sql.execute("select acting('dashboard', 'She asked by phone.')")
        await arrange.sql.execute("update subscribers set status = 'active'")
    mailout = await sent_to(direct_store, arrange)
    known = (await why_mailed(direct_store, mailout, email=ANN))["consent"]
    assert known["recorded"]["at"].startswith("2024-05-06")
    assert (known["import"]["file_name"], known["import"]["by"]) == ("list.csv", "key shop")
    [raised] = known["raised"]
    assert (raised["by"], raised["from"]) == ("dashboard", "unsubscribed")
    assert raised["reason"] == "She asked by phone."
    # What is no import's id, as an import of our own export may hold, is none.
    await arrange.sql.execute('update subscribers set consent = \'{"import_id": "x"}\'')
    assert (await why_mailed(direct_store, mailout, email=ANN))["consent"]["import"] is None


async def test_whose_turn_was_by_their_own_time_zone(direct_store: Store, arrange: Arrange) -> None:
    await arrange.subscriber(ANN, timezone="Europe/Vienna")
    await arrange.subscriber(BOB, timezone="Moon/Base")
    mailout = await arrange.mailout(
        "sending", waves=True, started_at="2026-05-01",
        schedule=Jsonb({"at": "2026-05-02T09:00", "zone": "recipient", "fallback": "UTC"}),
    )  # fmt: skip
    await arrange.sql.execute(
        "insert into mailout_zones (mailout_id, zone, at, next_at) values "
        "(%(m)s, 'europe/vienna', '2026-05-02T07:00Z', now()), "
        "(%(m)s, '', '2026-05-02T09:00Z', now())",
        {"m": mailout},
    )
    turn = (await why_mailed(direct_store, mailout, email=ANN))["schedule"]
    assert turn["their_turn"].startswith("2026-05-02T07:00")
    assert (turn["their_zone"], turn["their_zone_listed"]) == ("Europe/Vienna", True)
    other = (await why_mailed(direct_store, mailout, email=BOB))["schedule"]
    assert other["their_turn"].startswith("2026-05-02T09:00")
    assert not other["their_zone_listed"]


async def test_earlier_attempts_and_resends_are_told(direct_store: Store, arrange: Arrange) -> None:
    await arrange.subscriber(ANN)
    mailout = await arrange.mailout(canary=Jsonb({"share": 0.5, "wait": "1m"}))
    await start(direct_store, mailout)
    sender = await living_sender(direct_store)
    first = await claim(direct_store, mailout, sender)
    refused = Result(first.recipients[0].send_log_id, "requeue")
    await direct_store.record_results(first.attempt_id, [refused])
    await arrange.sql.execute("update send_logs set next_attempt_at = null")
    second = await claim(direct_store, mailout, sender)
    await direct_store.record_results(second.attempt_id, all_sent(second))
    await arrange.sql.execute(
        "insert into audit_log (by, action, target, after) "
        "values ('owner', 'mailout.resend', %s, '{\"statuses\": [\"failed\"]}')",
        [str(mailout)],
    )
    why = await why_mailed(direct_store, mailout, email=ANN)
    assert [(one["attempt_id"], one["latest"]) for one in why["claim"]] == [
        (str(first.attempt_id), False), (str(second.attempt_id), True),
    ]  # fmt: skip
    assert why["mails"][0]["canary"]
    assert [one["statuses"] for one in why["resends"]] == [["failed"]]


async def test_who_was_deleted_is_found_in_the_ledger(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber(ANN)
    mailout = await sent_to(store, arrange)
    await arrange.sql.execute("delete from subscribers")
    why = await why_mailed(store, mailout, email=f" {ANN.upper()} ")
    assert (why["found"], why["got"], why["person"]) == ("deleted", True, None)


async def test_of_a_long_ledger_it_says_how_many_it_looked_through(
    direct_store: Store, arrange: Arrange
) -> None:
    await arrange.subscriber(ANN)
    mailout = await sent_to(direct_store, arrange)
    reached = "select in_ledger(%s, array[%s], %s)"
    assert await arrange.one(reached, mailout, ANN, 1) is not None
    assert await arrange.one(reached, mailout, ANN, 0) is None
    await arrange.sql.execute("update recipient_counts set recipients = 300000")
    with pytest.raises(SubscriberNotFound, match="among the first 50,000 of this mailout"):
        await why_mailed(direct_store, mailout, email="nobody@example.com")
