"""What hooks are told is written in the transaction of the act, whoever acts."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from app.domain.hooks.events import EVENTS, SAMPLES
from app.domain.people import Change
from app.domain.sending.batches import Result
from app.store import Store
from tests.hooks.conftest import Outbox, a_hook
from tests.support.factories import Arrange, all_sent, claim, living_sender, start


def an_event(kind: str, mailout: UUID, log: int, **more: Any) -> dict[str, Any]:
    return {
        "sns_message_id": str(uuid4()), "type": kind, "message_id": f"message-{log}",
        "mailout_id": str(mailout), "send_log_id": str(log), "attempt": None,
        "occurred_at": "2026-05-04T09:00:00+00:00", "payload": {}, **more,
    }  # fmt: skip


BOUNCE = {"bounce_type": "Permanent", "bounce_subtype": "General", "suppresses": "bounced"}


async def test_a_mailout_tells_its_life_with_the_closing_figures(
    store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    """And each recipient theirs. What was told has the keys of the examples."""
    ann = await arrange.subscriber("ann@example.com")
    bob = await arrange.subscriber("bob@example.com")
    await arrange.subscriber("eve@example.com")
    mailout = await arrange.mailout(subject="May")
    await a_hook(store)
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    logs = {reader.email: reader.send_log_id for reader in batch.recipients}
    refused = Result(logs["eve@example.com"], "failed", code="MessageRejected", message="No.")
    await store.pause_mailout(mailout, "person", "Wait.")
    await store.resume_mailout(mailout)
    sent = [result for result in all_sent(batch) if result.send_log_id != refused.send_log_id]
    await store.record_results(batch.attempt_id, [refused, *sent])
    await store.apply_ses_events([an_event("delivery", mailout, logs["ann@example.com"])])
    await store.apply_ses_events([an_event("bounce", mailout, logs["bob@example.com"], **BOUNCE)])
    await store.apply_ses_events(
        [an_event("complaint", mailout, logs["ann@example.com"], suppresses="complained")]
    )
    await store.unsubscribe(ann, mailout, by="link")
    told = await outbox.told()
    assert [kind for kind, _ in told] == [
        "mailout.started", "mailout.paused", "mailout.resumed", "recipient.failed",
        "mailout.finished", "recipient.delivered", "recipient.bounced", "subscriber.bounced",
        "recipient.complained", "subscriber.complained", "recipient.unsubscribed",
    ]  # fmt: skip
    for kind, data in told:
        assert data.keys() == SAMPLES[kind].keys(), kind
    by_kind = dict(told)
    finished = by_kind["mailout.finished"]
    assert finished["id"] == str(mailout)
    assert finished["subject"] == "May"
    assert finished["recipients"] == 3
    assert (finished["counts"]["sent"], finished["counts"]["failed"]) == (2, 1)
    assert finished["reason"] == "1 of 3 recipients were refused: No."
    assert finished["ended_at"]
    bounced = by_kind["recipient.bounced"]
    assert (bounced["email"], bounced["subscriber_id"]) == ("bob@example.com", str(bob))
    assert (bounced["mailout_id"], bounced["bounce_type"]) == (str(mailout), "Permanent")
    assert by_kind["mailout.paused"]["reason"] == "Wait."
    assert by_kind["subscriber.bounced"]["by"] == "ses"


async def test_a_subscriber_tells_what_becomes_of_them_whoever_writes(
    store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    await a_hook(store, "https://example.com/hook", *(e for e in EVENTS if e.startswith("sub")))
    await store.add_subscriber({"email": "ann@example.com", "tags": ["a"]}, "key shop")
    ann = UUID((await store.find_subscriber(email="ann@example.com") or {})["id"])
    await store.change_subscriber("ann@example.com", Change(name="Ann"), "dashboard")
    left = await store.unsubscribe(ann, None, by="mail client")
    await store.resubscribe(ann, (left or {})["change"])
    await arrange.sql.execute("update subscribers set timezone = 'UTC', updated_at = now()")
    await arrange.sql.execute("update subscribers set updated_at = now()")  # nothing of theirs
    told = await outbox.told()
    assert [(kind, data["by"], data["status"]) for kind, data in told] == [
        ("subscriber.created", "key shop", "active"),
        ("subscriber.updated", "dashboard", "active"),
        ("subscriber.unsubscribed", "mail client", "unsubscribed"),
        ("subscriber.resubscribed", "link", "active"),
        ("subscriber.updated", "database", "active"),
    ]
    for kind, data in told:
        assert data.keys() == SAMPLES[kind].keys()
        assert (data["id"], data["email"], data["tags"]) == (str(ann), "ann@example.com", ["a"])
    assert {row["subject"] for row in await outbox.rows()} == {ann}


async def test_a_person_who_is_erased_is_erased_from_what_waits(
    store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    """What waits still comes, without them in it, so that no number is missing."""
    await a_hook(store)
    ann = await arrange.subscriber("ann@example.com", name="Annabella", fields={"city": "Xyzzy"})
    bob = await arrange.subscriber("bob@example.com")
    mailout = await arrange.mailout()
    await start(store, mailout)
    batch = await claim(store, mailout, await living_sender(store))
    await store.record_results(batch.attempt_id, all_sent(batch))
    logs = {reader.email: reader.send_log_id for reader in batch.recipients}
    await store.apply_ses_events(
        [
            an_event(
                "bounce", mailout, logs["ann@example.com"], **BOUNCE, detail="<ann@example.com>?"
            )
        ]
    )
    assert "Annabella" in str(await outbox.rows())
    before = len(await outbox.rows())
    await store.erase_subscriber("ann@example.com", "owner")
    rows = await outbox.rows()
    assert len(rows) == before + 1
    assert (rows[-1]["type"], rows[-1]["data"]) == ("subscriber.erased", {"id": str(ann)})
    for secret in ("ann@example.com", "Annabella", "Xyzzy"):
        assert secret not in str(rows)
    assert "bob@example.com" in str([row for row in rows if row["subject"] == bob])
    # An event that comes afterwards tells of nobody.
    await store.apply_ses_events(
        [an_event("complaint", mailout, logs["ann@example.com"], suppresses="complained")]
    )
    assert (await outbox.told())[-1][1]["email"] is None


async def test_what_is_rolled_back_tells_nothing(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    await a_hook(direct_store)
    mailout = await arrange.mailout()
    async with arrange.sql.transaction(force_rollback=True):
        await arrange.subscriber()
        await arrange.sql.execute("update mailouts set status = 'sending' where id = %s", [mailout])
        assert await outbox.types() == ["subscriber.created", "mailout.started"]
    assert await outbox.types() == []


async def test_only_what_an_active_hook_wants_is_written(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    await arrange.subscriber()
    assert await outbox.types() == []
    off = await a_hook(direct_store)
    await direct_store.switch_hook(off, "disabled", "Off.", by="owner")
    wants = [
        await a_hook(direct_store, "https://example.com/a", "subscriber.created"),
        await a_hook(direct_store, "https://example.com/b", "subscriber.created", "mailout.failed"),
    ]
    await arrange.subscriber()
    await arrange.sql.execute("update subscribers set name = 'X'")
    rows = await outbox.rows()
    assert {row["hook_id"] for row in rows} == set(wants)
    assert {row["type"] for row in rows} == {"subscriber.created"}
    assert len({row["event_id"] for row in rows}) == 1  # the same event, told to two
    assert len(rows) == 2


async def test_many_at_once_are_written_at_once(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    """Also where the connection's first statement changed one row: a plan made for one would take
    minutes for many."""
    await a_hook(
        direct_store, "https://example.com/hook", "subscriber.created", "subscriber.updated"
    )
    await arrange.subscriber()
    await arrange.sql.execute("update subscribers set name = 'One'")
    await outbox.clear()
    await arrange.subscribers(3000)
    await arrange.sql.execute("update subscribers set name = 'Many'")
    told = "select count(distinct (event_id, subject)) from hook_deliveries"
    assert await arrange.one(told) == 6001
    unready = await arrange.one(
        "select array_agg(distinct p.proname::text) from pg_trigger t "
        "join pg_proc p on p.oid = t.tgfoid where t.tgoldtable is not null "
        "and t.tgnewtable is not null and p.prosrc like '%%join%%' "
        "and not coalesce(p.proconfig, '{}') @> '{enable_nestloop=off}'"
    )
    assert unready is None


async def test_what_is_long_is_left_out(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    """Standard Webhooks: a payload has less than 20 KB."""
    await a_hook(direct_store)
    await arrange.subscriber("ann@example.com", name="N" * 400, fields={"essay": "x" * 100_000})
    [(_, data)] = await outbox.told()
    assert (data["email"], data["fields"], data["truncated"]) == ("ann@example.com", {}, True)


async def test_a_merged_subscriber_is_not_told_as_erased(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    ann = await arrange.subscriber("ann@example.com")
    old = await arrange.subscriber("ann@old.example")
    await a_hook(direct_store)
    await arrange.sql.execute("select merge_subscribers(%s, %s)", [old, ann])
    assert "subscriber.erased" not in await outbox.types()
    await arrange.sql.execute("delete from subscribers")
    assert (await outbox.told())[-1] == ("subscriber.erased", {"id": str(ann)})


async def test_a_test_mail_tells_nothing(
    direct_store: Store, arrange: Arrange, outbox: Outbox
) -> None:
    await a_hook(direct_store)
    mailout = await arrange.mailout()
    await arrange.sql.execute(
        "insert into send_logs (mailout_id, email, status, is_test) "
        "values (%s, 'x@y.org', 'sent', true)",
        [mailout],
    )
    await arrange.sql.execute("update send_logs set status = 'delivered'")
    assert await outbox.types() == []
