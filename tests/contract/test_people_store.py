"""People added, changed, found and erased, over each way to the database."""

from __future__ import annotations

import itertools
from typing import Any, Literal
from uuid import UUID

import pytest

from app.domain.people import Change, Filter
from app.domain.sending.batches import Result
from app.store import Store
from tests.support.factories import Arrange, claim, living_sender, start

ANN = "ann@xn--exmple-cua.de"


async def test_a_person_is_added_once_whatever_the_spelling(store: Store, arrange: Arrange) -> None:
    person = {"email": "Ann@Exämple.de", "name": "Ann", "tags": ["a"], "fields": {"n": 1}}
    added = await store.add_subscriber(person, "key shop")
    assert added["outcome"] == "added"
    assert added["subscriber"]["address"] == ANN
    again = await store.add_subscriber({"email": f" {ANN.upper()}"}, "key shop")
    assert again == {"outcome": "exists"}
    wrong = await store.add_subscriber({"email": "no address"}, "key shop")
    assert wrong["outcome"] == "invalid"
    audit = await arrange.one("select to_jsonb(a) from audit_log a")
    assert (audit["by"], audit["action"]) == ("key shop", "subscriber.add")
    assert audit["target"] == added["subscriber"]["id"]


async def test_a_change_says_who_made_it_and_why(store: Store, arrange: Arrange) -> None:
    ann = await arrange.subscriber(ANN, tags=["a", "b"], fields={"x": 1, "y": None, "z": 2})
    done = await store.change_subscriber(
        "ANN@exämple.de",
        Change(name="Ann", add_tags=["c", "a"], remove_tags=["b"], fields={"x": None, "new": "v"}),
        "owner",
        reason="She wrote.",
    )
    changed = done["subscriber"]
    assert changed["tags"] == ["a", "c"]
    assert changed["fields"] == {"y": None, "z": 2, "new": "v"}
    history = await store.subscriber_history(ann, 10)
    assert [(row["kind"], row["by"]) for row in history] == [
        ("changed", "owner"), ("added", "database"),
    ]  # fmt: skip
    assert history[0]["detail"]["reason"] == "She wrote."
    assert history[0]["detail"]["before"]["tags"] == ["a", "b"]
    assert (await store.change_subscriber("x@y.org", Change(name="x"), "owner")) == {
        "outcome": "not_found"
    }
    await arrange.subscriber("bob@example.com")
    taken = await store.change_subscriber(ANN, Change(email="BOB@example.com"), "owner")
    assert taken["outcome"] == "exists"


Status = Literal["active", "pending", "unsubscribed", "bounced", "complained"]
STATUSES: tuple[Status, ...] = ("active", "pending", "unsubscribed", "bounced", "complained")


async def test_nobody_gets_mail_again_who_did_not_ask(store: Store, arrange: Arrange) -> None:
    """Every move between statuses, with and without their word and the operator's insistence: by
    no series of moves without `asked` does anybody come back who left."""
    cases = itertools.product(STATUSES, STATUSES, (False, True), (False, True))
    allowed: set[tuple[str, str, bool, bool]] = set()
    for before, after, asked, force in cases:
        if after == "pending":
            continue
        problem = await arrange.one(
            "select status_problem(%s, null, %s, %s, %s)", before, after, asked, force
        )
        if problem is None:
            allowed.add((before, after, asked, force))
    for refused in ("unsubscribed", "complained", "pending"):
        reached = {refused}
        for _ in STATUSES:
            reached |= {b for a, b, asked, _ in allowed if a in reached and not asked}
        left_by_themselves = {"unsubscribed", "complained"}
        if refused in left_by_themselves:
            assert reached <= left_by_themselves, refused
        assert ("complained", "active", True, False) not in allowed
        assert (refused, "active", True, True) in allowed
    assert ("bounced", "active", True, False) not in allowed
    assert ("bounced", "active", False, True) in allowed
    assert ("unsubscribed", "active", True, False) in allowed
    for lower in ("unsubscribed", "bounced", "complained"):
        assert ("active", lower, False, False) in allowed
    # A bounce stays known behind an unsubscribe.
    await arrange.subscriber(ANN, status="unsubscribed", bounce_type="Permanent")
    done = await store.change_subscriber(ANN, Change(status="active"), "owner", asked=True)
    assert done["outcome"] == "force"
    done = await store.change_subscriber(
        ANN, Change(status="active"), "owner", reason="She asked.", asked=True, force=True
    )
    assert (done["outcome"], done["subscriber"]["bounce_type"]) == ("changed", None)


async def test_many_are_changed_and_each_by_the_same_rule(store: Store, arrange: Arrange) -> None:
    for status in STATUSES:
        await arrange.subscriber(f"{status}@example.com", status=status, tags=["t"])
    await arrange.subscriber("other@example.com")
    count, ids, place = await store.count_people(Filter(tags=["t"]), 1_000, ids=True)
    assert (count, len(ids), place) == (5, 5, None)
    done = await store.change_people(
        ids, Change(status="active"), "cli", reason="why", asked=False, force=True,
        audit={"status": "active"},
    )  # fmt: skip
    assert done == {
        "changed": 1,
        "asked": 3,
        "force": 0,
    }  # who bounced comes back, who left doesn't
    done = await store.change_people(
        ids, Change(add_tags=["u"], remove_tags=["t"]), "cli", reason=None, asked=False, force=False
    )
    assert done["changed"] == 5
    overview = await store.people_overview(10)
    assert overview["tags"] == [{"tag": "u", "subscribers": 5}]
    audit = await arrange.one("select after from audit_log where action = 'people.change'")
    assert audit == {"status": "active", "changed": 1}


async def mailed(store: Store, arrange: Arrange, person: UUID) -> tuple[UUID, int]:
    """A mailout that this person alone gets; its only row is claimed and sent."""
    mailout = await arrange.mailout(subject="News")
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    row = next(r for r in batch.recipients if r.subscriber_id == person.bytes)
    await store.record_results(batch.attempt_id, [Result(row.send_log_id, "sent", message_id="m1")])
    return mailout, row.send_log_id


def an_event(kind: str, mailout: UUID, log: int, **more: Any) -> dict[str, Any]:
    return {
        "sns_message_id": f"{kind}-{log}", "type": kind, "message_id": "m1",
        "mailout_id": str(mailout), "send_log_id": log, "attempt": None,
        "occurred_at": "2026-11-24T12:00:00+00:00",
        "payload": {"mail": {"destination": [ANN]}}, **more,
    }  # fmt: skip


BOUNCE = {
    "bounce_type": "Permanent", "suppresses": "bounced", "detail": f"smtp; 550 <{ANN}> unknown",
}  # fmt: skip


async def everything(arrange: Arrange) -> str:
    """Every row of every table, as text."""
    tables = await arrange.sql.execute(
        "select table_name as name from information_schema.tables where table_schema = 'public'"
    )
    text = ""
    for table in await tables.fetchall():
        rows = await arrange.sql.execute(f"select t::text as row from {table['name']} t".encode())
        text += "".join(row["row"] for row in await rows.fetchall())
    return text.lower()


async def test_nothing_tells_of_an_erased_person(store: Store, arrange: Arrange) -> None:
    """Whatever was known of her in any table, also from a second spelling that was merged."""
    sql = arrange.sql
    ann = await arrange.subscriber(ANN, name="Annabella", fields={"shoe": "Xyzzy"}, tags=["a"])
    old = await arrange.unusable_subscriber("Annabella@Old.example")
    mailout, log = await mailed(store, arrange, ann)
    await sql.execute("update subscribers set email = 'annabella@old.example' where id = %s", [old])
    await sql.execute("select merge_subscribers(%s, %s)", [old, ann])
    await store.apply_ses_events([an_event("bounce", mailout, log, **BOUNCE)])
    await sql.execute(
        "update mailouts set status_reason = %s where id = %s", [f"refused: {ANN}", mailout]
    )
    await store.change_subscriber(ANN, Change(name="Annabella B"), "owner", reason="Xyzzy said so.")
    running = await arrange.mailout(subject="Next")
    await arrange.bring_back_everybody()
    await start(store, running)
    await sql.execute(
        "insert into signups (address, name) values (%s, 'Annabella'); ".replace("%s", f"'{ANN}'")
    )
    imported = await arrange.one(
        "insert into imports (by, preview) values ('owner', %s) returning id", f'["{ANN.upper()}"]'
    )
    await sql.execute(
        "insert into imports (by, state, question) values ('owner', 'question', %s)", [f'["{ANN}"]']
    )
    await sql.execute(
        "insert into import_refusals (import_id, line, reason, cells) values (%s, 2, 'x', %s)",
        [imported, f'["Annabella", "{ANN}"]'],
    )
    counts = await store.show_mailout(mailout)
    known = await everything(arrange)
    for word in ("annabella", "xyzzy", ANN, "old.example"):
        assert word in known

    done = await store.erase_subscriber("Ann@Exämple.de", "key shop")
    assert done is not None
    assert (done["mails"], done["events"]) == (3, 1)  # one of each mailout, and of the old spelling
    left = await everything(arrange)
    for word in ("annabella", "xyzzy", ANN, "exämple", "old.example"):
        assert word not in left, word

    # The figures stay, who was waiting is skipped, and a late event brings nothing back.
    assert (await store.show_mailout(mailout))["counts"] == counts["counts"]
    assert (await store.show_mailout(running))["counts"]["skipped"] == 1
    complaint = an_event("complaint", mailout, log, suppresses="complained", detail=ANN)
    assert (await store.apply_ses_events([complaint]))["matched"] == 1
    assert (await store.show_mailout(mailout))["counts"]["complained"] == 1
    assert ANN not in await everything(arrange)

    # Neither address comes back, nobody is there any more, and who did it is known.
    for address in (ANN, "annabella@old.example"):
        assert (await store.add_subscriber({"email": address}, "owner"))["outcome"] == "erased"
    assert await store.erase_subscriber(ANN, "owner") is None
    audit = await arrange.one("select to_jsonb(a) from audit_log a where action like '%%.erase'")
    assert (audit["by"], audit["target"], audit["before"]) == ("key shop", str(ann), None)


async def test_of_many_people_only_the_erased_one_is_kept_out(
    store: Store, arrange: Arrange
) -> None:
    """Whoever has one of their earlier addresses now is somebody else."""
    ann = await arrange.subscriber("first@example.com")
    await arrange.subscriber("bob@example.com")
    await arrange.sql.execute("update subscribers set email = %s where id = %s", [ANN, ann])
    await arrange.subscriber("first@example.com")
    await store.erase_subscriber(ANN, "owner")
    assert (await store.add_subscriber({"email": ANN}, "owner"))["outcome"] == "erased"
    for address in ("first@example.com", "bob@example.com"):
        assert not await arrange.one("select is_erased(%s)", address)


async def test_what_happened_to_a_mail_that_asked_to_confirm_names_nobody(
    store: Store, arrange: Arrange
) -> None:
    """It is in no ledger, by which it could be found when the person is erased."""
    event = an_event("delivery", UUID(int=0), 0, notice=True, detail=ANN)
    told = event | {"mailout_id": None, "send_log_id": None}
    assert (await store.apply_ses_events([told]))["new"] == 1
    assert await arrange.one("select type from ses_events") == "delivery"
    assert ANN not in await everything(arrange)


async def test_a_mail_in_flight_of_an_erased_person_settles(store: Store, arrange: Arrange) -> None:
    await arrange.subscriber(ANN)
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    await store.erase_subscriber(ANN, "owner")
    [row] = batch.recipients
    await store.record_results(
        batch.attempt_id, [Result(row.send_log_id, "failed", code="X", message=f"no {ANN}")]
    )
    assert await arrange.counts(mailout) == {"failed": 1}
    assert ANN not in await everything(arrange)
    # A resend sends nothing to them.
    await store.resend_mailout(mailout, ["failed"], force=True)
    sender = await living_sender(store)
    with pytest.raises(AssertionError, match="skipped"):
        await claim(store, mailout, sender)


async def test_the_history_tells_each_mail_event_and_change(store: Store, arrange: Arrange) -> None:
    ann = await arrange.subscriber(ANN)
    mailout, log = await mailed(store, arrange, ann)
    await store.apply_ses_events([an_event("delivery", mailout, log)])
    await store.apply_ses_events([an_event("bounce", mailout, log, **BOUNCE)])
    await store.unsubscribe(ann, mailout, "mail client")
    history = await store.subscriber_history(ann, 100)
    told = {(row["kind"], row["by"], row["detail"].get("type")) for row in history}
    assert told == {
        ("mail", "amazonsender", None), ("event", "ses", "delivery"), ("event", "ses", "bounce"),
        ("changed", "ses", None), ("changed", "mail client", None), ("added", "database", None),
    }  # fmt: skip
    mail = next(row["detail"] for row in history if row["kind"] == "mail")
    assert (mail["subject"], mail["status"]) == ("News", "bounced")
    assert [row["at"] for row in history] == sorted((row["at"] for row in history), reverse=True)
    export = await store.export_person("ann@EXÄMPLE.de")
    assert export is not None
    assert export["mails"][0]["subject"] == "News"
    assert len(export["history"]) == len(history)
    assert await store.export_person("nobody@example.com") is None
