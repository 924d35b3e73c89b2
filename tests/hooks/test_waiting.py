"""Deliveries that wait for their next try: whom they keep, and what has them tried at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest

from app.domain.hooks.deliveries import FAILURES
from app.services.hooks.deliver import DeliverHooks
from app.store import Store
from tests.hooks.conftest import Outbox, Receiver, a_hook
from tests.support.factories import Arrange
from tests.support.local_server import Reply

Act = Callable[[Store, UUID, str], Awaitable[Any]]


async def switch_on(store: Store, hook: UUID, _url: str) -> None:
    await store.switch_hook(hook, "active", None, by="owner")


async def give_another_address(store: Store, hook: UUID, url: str) -> None:
    await store.change_hook(hook, {"url": f"{url}/new"}, by="owner")


async def subscribe_again(store: Store, hook: UUID, url: str) -> None:
    made = await store.subscribe_hook(
        url, ["subscriber.created"], secret="whsec_AAAA", description="", source=None,
        rate_per_second=None, keep_seconds=60, by="owner",
    )  # fmt: skip
    assert made["id"] == str(hook)


@pytest.mark.parametrize("act", [switch_on, give_another_address, subscribe_again])
async def test_who_says_that_the_endpoint_is_there_has_what_waits_tried_at_once(
    act: Act,
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    outbox: Outbox,
) -> None:
    """Whatever the next try's time was, and however long the endpoint was to be left alone."""
    hook = await a_hook(direct_store, receiver.hook_url, "subscriber.created")
    receiver.answer = lambda _: Reply(500, b"")
    await arrange.subscribers(FAILURES + 2)
    await deliverer.run_dry()
    assert (await direct_store.show_hook(hook) or {})["held_until"]
    await arrange.sql.execute("update hook_deliveries set due_at = now() + interval '10 hours'")
    receiver.answer = lambda _: Reply()
    await act(direct_store, hook, receiver.hook_url)
    await deliverer.run_dry()
    assert {row["state"] for row in await outbox.rows()} == {"done"}


async def test_another_note_leaves_a_failing_endpoint_alone(
    deliverer: DeliverHooks, direct_store: Store, arrange: Arrange, receiver: Receiver
) -> None:
    hook = await a_hook(direct_store, receiver.hook_url, "subscriber.created")
    receiver.answer = lambda _: Reply(500, b"")
    await arrange.subscribers(FAILURES)
    await deliverer.run_dry()
    before = await direct_store.show_hook(hook) or {}
    changes = {"description": "Bounces", "url": before["url"]}
    assert await direct_store.change_hook(hook, changes, by="owner") == before | changes


async def test_what_waits_behind_others_keeps_nobody_and_comes_after_them(
    deliverer: DeliverHooks,
    direct_store: Store,
    arrange: Arrange,
    receiver: Receiver,
    outbox: Outbox,
) -> None:
    """Of many people one event is tried hours later, and another is there already: each look for
    what is due would pass by all of them."""
    hook = await a_hook(direct_store, receiver.hook_url, "subscriber.created", "subscriber.updated")
    await arrange.subscribers(600)
    await arrange.sql.execute("update hook_deliveries set due_at = now() + interval '10 hours'")
    await arrange.sql.execute("update subscribers set name = 'Other'")
    last = await arrange.subscriber("last@example.com")
    await deliverer.run_dry()
    assert [one.subject for one in receiver.received] == [str(last)]
    shown = await direct_store.show_hook(hook) or {}
    [began] = [r["due_at"] for r in await outbox.rows() if r["state"] == "waiting"][:1]
    assert datetime.fromisoformat(shown["oldest_due_at"]) == began  # nothing is late
    await arrange.sql.execute(
        "update hook_deliveries set due_at = now() where subject = any(array(select subject from"
        " hook_deliveries where state = 'waiting' limit 5))"
    )
    receiver.received.clear()
    await deliverer.run_dry()
    assert len(receiver.received) == 10
    for one in {one.subject for one in receiver.received}:
        types = [got.payload["type"] for got in receiver.received if got.subject == one]
        assert types == ["subscriber.created", "subscriber.updated"]
