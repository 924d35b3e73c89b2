"""Each delivery comes at least once, signed, in order for each hook and subject, over days."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import structlog

from app.domain.hooks.deliveries import FAILURES, RETRY_SECONDS, WAIT_CAP_SECONDS, Result
from app.domain.hooks.signing import new_secret
from app.services.hooks.deliver import AT_ONCE_EACH, DeliverHooks
from app.services.hooks.poster import Poster
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.hooks.conftest import Later, Outbox, Receiver, a_hook, served, silence
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.waiting import eventually


async def hook_row(arrange: Arrange) -> dict[str, Any]:
    row: dict[str, Any] = await arrange.one("select to_jsonb(h) from hooks h")
    return row


async def secrets_of(arrange: Arrange) -> str:
    secret: str = await arrange.one("select secret from hooks")
    return secret


async def test_a_delivery_is_signed_and_says_what_when_and_whom(
    store: Store, arrange: Arrange, receiver: Receiver, poster: Poster, outbox: Outbox
) -> None:
    await a_hook(store, receiver.hook_url)
    ann = await arrange.subscriber("ann@example.com", name="Añn")
    await DeliverHooks(store, poster, Metrics()).run_dry()
    [one] = receiver.received
    payload = one.verified(await secrets_of(arrange))
    assert payload == one.payload
    assert payload.keys() == {"id", "type", "timestamp", "data"}
    assert payload["type"] == "subscriber.created"
    assert payload["id"] == one.event_id
    assert payload["timestamp"].endswith("+00:00")
    assert (payload["data"]["id"], payload["data"]["name"]) == (str(ann), "Añn")
    assert one.headers["content-type"] == "application/json"
    [row] = await outbox.rows()
    assert (row["state"], row["status"], row["attempts"], row["error"]) == ("done", 204, 1, None)
    await DeliverHooks(store, poster, Metrics()).run_dry()
    assert len(receiver.received) == 1


async def test_both_secrets_sign_while_they_are_changed(
    store: Store, arrange: Arrange, receiver: Receiver, poster: Poster
) -> None:
    hook = await a_hook(store, receiver.hook_url)
    old = await secrets_of(arrange)
    shown = await store.rotate_hook(hook, new_secret(), keep_seconds=3600, by="owner")
    assert shown is not None
    new = await secrets_of(arrange)
    assert old != new
    await arrange.subscriber()
    deliverer = DeliverHooks(store, poster, Metrics())
    await deliverer.run_dry()
    assert receiver.received[0].verified(old) == receiver.received[0].verified(new)
    await arrange.sql.execute("update hooks set old_secret_until = now()")
    await arrange.subscriber()
    await deliverer.run_dry()
    receiver.received[1].verified(new)
    with pytest.raises(Exception, match="No matching signature"):
        receiver.received[1].verified(old)
    # Neither stands where a person or a log would show it.
    told = [shown, await store.list_hooks(), await store.list_hook_deliveries(hook, 10)]
    told += [await arrange.one("select jsonb_agg(a) from audit_log a")]
    assert old not in str(told)
    assert new not in str(told)


async def test_an_endpoint_that_fails_for_a_day_misses_nothing_and_keeps_the_order(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    outbox: Outbox,
) -> None:
    """It is asked a few times only, however much waits."""
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(40)
    receiver.answer = lambda _: Reply(500, b"no")
    await deliverer.run_dry()
    await arrange.sql.execute("update subscribers set name = 'Changed'")
    for _ in range(25):
        await later.hours(1)
        await deliverer.run_dry()
    asked = len(receiver.received)
    assert asked < 60
    assert {row["state"] for row in await outbox.rows()} == {"waiting"}
    assert (await hook_row(arrange))["state"] == "active"
    receiver.received.clear()
    receiver.answer = lambda _: Reply()
    await later.all_due()
    await deliverer.run_dry()
    assert {row["state"] for row in await outbox.rows()} == {"done"}
    assert len(receiver.received) == 80
    order: dict[str, list[str]] = {}
    for one in receiver.received:
        order.setdefault(one.subject, []).append(one.payload["type"])
    assert list(order.values()) == [["subscriber.created", "subscriber.updated"]] * 40


async def test_after_ten_tries_over_days_a_delivery_is_dead_and_a_person_has_it_sent_again(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    outbox: Outbox,
) -> None:
    """What waits behind it comes then. The id is the same in each try."""
    hook = await a_hook(direct_store, receiver.hook_url)
    await arrange.subscriber("ann@example.com")
    await arrange.sql.execute("update subscribers set name = 'Next'")
    receiver.answer = lambda one: Reply(
        500 if one.payload["type"] == "subscriber.created" else 200, b""
    )
    waits = []
    for _ in range(len(RETRY_SECONDS)):
        await deliverer.run_dry()
        waits.append(
            await arrange.one(
                "select extract(epoch from due_at - tried_at)::float from hook_deliveries "
                "order by id limit 1"
            )
        )
        await later.all_due()
    assert all(
        planned <= wait <= planned * 1.1 for planned, wait in zip(RETRY_SECONDS, waits, strict=True)
    ), waits
    assert set(receiver.types) == {"subscriber.created"}
    await deliverer.run_dry()
    await later.all_due()
    await deliverer.run_dry()
    assert (
        len({one.event_id for one in receiver.received if one.payload["data"]["name"] is None}) == 1
    )
    dead, done = await outbox.rows()
    assert (dead["state"], dead["attempts"], dead["status"]) == ("dead", 10, 500)
    assert dead["error"] == "It answered 500."
    assert done["state"] == "done"
    assert receiver.types[-1] == "subscriber.updated"

    receiver.answer = lambda _: Reply()
    assert await direct_store.replay_hook_deliveries(hook, None, 100, by="owner") == 1
    await deliverer.run_dry()
    assert receiver.received[-1].event_id == dead["event_id"]
    assert (await outbox.rows())[0]["state"] == "done"


async def test_one_subject_does_not_hold_another_up(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
) -> None:
    """A payload that its receiver never takes isn't a dead endpoint."""
    await a_hook(direct_store, receiver.hook_url)
    ann = await arrange.subscriber("ann@example.com")
    receiver.answer = lambda one: Reply(500 if one.subject == str(ann) else 200, b"")
    for name in range(12):
        await arrange.subscriber()
        await arrange.sql.execute("update subscribers set name = %s", [str(name)])
        await deliverer.run_dry()
    of_ann = [one for one in receiver.received if one.subject == str(ann)]
    assert {one.payload["type"] for one in of_ann} == {"subscriber.created"}
    others = len(receiver.received) - len(of_ann)
    assert others == 12 + sum(range(1, 13))


async def test_a_dead_endpoint_does_not_slow_the_others(
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    outbox: Outbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its tries hang while all of the other's are made."""
    monkeypatch.setattr("app.services.hooks.deliver.STOP_SECONDS", 0.0)
    async with served(silence) as port, Poster(allow_private=True) as poster:
        await a_hook(direct_store, f"http://127.0.0.1:{port}/")
        await a_hook(direct_store, receiver.hook_url)
        await arrange.subscribers(50)
        deliverer = DeliverHooks(direct_store, poster, Metrics())
        await eventually(deliverer.step, until=lambda _: len(receiver.received) == 50)
        await deliverer.step()
        states = [row["state"] for row in await outbox.rows()]
        assert states.count("sending") >= AT_ONCE_EACH
        await deliverer.close()
    rows = await outbox.rows()
    assert {row["state"] for row in rows} == {"waiting", "done"}  # given back at the stop
    assert {row["attempts"] for row in rows if row["state"] == "waiting"} == {0}


async def test_gone_is_gone_and_what_waited_is_kept(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    outbox: Outbox,
) -> None:
    hook = await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(20)
    receiver.answer = lambda _: Reply(410, b"")
    with structlog.testing.capture_logs() as logs:
        await deliverer.run_dry()
    row = await hook_row(arrange)
    assert row["state"] == "gone"
    assert "410" in row["reason"]
    [ended] = [line for line in logs if line["event"] == "hook_ended"]
    host = httpx.URL(receiver.hook_url).netloc.decode()
    assert (ended["hook_id"], ended["host"], ended["state"]) == (str(hook), host, "gone")
    assert "s3cret-path" not in str(logs)
    assert len(receiver.received) <= AT_ONCE_EACH
    await arrange.subscriber("after@example.com")  # nothing is written for it any more
    assert {row["state"] for row in await outbox.rows()} == {"waiting"}
    receiver.received.clear()
    receiver.answer = lambda _: Reply()
    await direct_store.switch_hook(hook, "active", None, by="owner")
    await deliverer.run_dry()
    assert len(receiver.received) == 20


async def test_an_endpoint_that_asks_to_wait_is_left_alone(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
) -> None:
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(3)

    async def asked_to_wait(reply: Reply) -> float:
        receiver.received.clear()
        receiver.answer = lambda _: reply
        await later.all_due()
        await deliverer.run_dry()
        held = (
            "select extract(epoch from h.held_until - max(d.tried_at))::float "
            "from hooks h, hook_deliveries d group by h.held_until"
        )
        seconds: float = await arrange.one(held)
        count = len(receiver.received)
        await deliverer.run_dry()
        assert len(receiver.received) == count
        return seconds

    assert round(await asked_to_wait(Reply(429, b"", {"Retry-After": "120"}))) == 120
    assert round(await asked_to_wait(Reply(503, b"", {"Retry-After": "99999999"}))) == round(
        WAIT_CAP_SECONDS
    )
    receiver.answer = lambda _: Reply()
    await later.all_due()
    await deliverer.run_dry()
    assert await arrange.one("select count(*) from hook_deliveries where state = 'done'") == 3


async def test_failures_in_a_row_leave_one_try_at_a_time(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
) -> None:
    """And ever longer pauses; the first success ends that, and nobody waits for hours any more."""
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(60)
    receiver.answer = lambda _: Reply(500, b"")
    await deliverer.run_dry()
    assert FAILURES <= len(receiver.received) <= AT_ONCE_EACH
    for _ in range(3):
        receiver.received.clear()
        await arrange.sql.execute("update hooks set held_until = clock_timestamp()")
        await deliverer.run_dry()
        assert len(receiver.received) == 1
    receiver.answer = lambda _: Reply()
    await arrange.sql.execute("update hooks set held_until = clock_timestamp()")
    await deliverer.run_dry()
    row = await hook_row(arrange)
    assert (row["failures"], row["trips"], row["held_until"]) == (0, 0, None)
    assert await arrange.one("select count(*) from hook_deliveries where state <> 'done'") == 0


async def test_an_endpoint_that_took_nothing_for_five_days_is_disabled(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
) -> None:
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(20)
    receiver.answer = lambda _: Reply(500, b"")
    states = []
    for _ in range(6):
        await deliverer.run_dry()
        states.append((await hook_row(arrange))["state"])
        await later.hours(24.5)
    assert states == ["active"] * 5 + ["disabled"]
    assert (await hook_row(arrange))["reason"].startswith("Nothing could be delivered since ")


async def test_no_more_at_once_than_the_rate_lets_go(
    deliverer: DeliverHooks, direct_store: Store, arrange: Arrange, receiver: Receiver
) -> None:
    await a_hook(direct_store, receiver.hook_url, rate=0.1)
    await arrange.subscribers(5)
    await deliverer.run_dry()
    assert len(receiver.received) == 1
    await arrange.sql.execute("update hooks set next_token_at = clock_timestamp() - interval '1 m'")
    await deliverer.run_dry()
    assert len(receiver.received) == 2


async def test_a_delivery_whose_holder_died_is_made_again(
    deliverer: DeliverHooks, direct_store: Store, arrange: Arrange, receiver: Receiver, later: Later
) -> None:
    """And the holder's late word changes nothing."""
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscriber()
    [held] = await direct_store.claim_hook_deliveries(10, 8, 60)
    await deliverer.run_dry()
    assert receiver.received == []
    await later.hours(1)
    await deliverer.run_dry()
    assert [one.event_id for one in receiver.received] == [held.event_id]
    await direct_store.settle_hook_deliveries([(held, Result("dead", None, "late"))])
    assert await arrange.one("select state from hook_deliveries") == "done"


async def test_a_deleted_hook_is_told_nothing_and_its_rows_go(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    outbox: Outbox,
) -> None:
    hook = await a_hook(direct_store, receiver.hook_url)
    kept = await a_hook(direct_store, "https://example.com/", "mailout.started")
    await arrange.mailout("sending")
    await arrange.sql.execute("update mailouts set status = 'paused'")
    await arrange.sql.execute("update mailouts set status = 'sending'")
    await arrange.sql.execute("update hook_deliveries set type = type")
    await direct_store.delete_hook(hook, by="owner")
    await deliverer.tidy()
    assert {row["hook_id"] for row in await outbox.rows()} <= {kept}
    assert receiver.received == []


async def test_what_is_done_goes_after_days_and_what_is_dead_after_weeks(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    outbox: Outbox,
) -> None:
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscribers(3)
    await deliverer.run_dry()
    await arrange.sql.execute("update hook_deliveries set state = 'dead' where id % 3 = 0")
    await deliverer.tidy()
    assert len(await outbox.rows()) == 3
    await later.hours(24 * 3 + 1)
    await deliverer.tidy()
    assert [row["state"] for row in await outbox.rows()] == ["dead"]
    await later.hours(24 * 27)
    await deliverer.tidy()
    assert await outbox.rows() == []
