"""Whatever fails, each delivery comes at least once, and in order for each subscriber."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.domain.hooks.deliveries import Answer, Delivery, Result
from app.errors import DatabaseUnavailable
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.hooks.deliver import DeliverHooks
from app.services.hooks.poster import Poster
from app.store import Store
from app.telemetry.metrics import Metrics
from tests.hooks.conftest import Later, Outbox, Receiver, a_hook
from tests.support.factories import Arrange
from tests.support.local_server import Reply
from tests.support.service import environment, process
from tests.support.waiting import eventually

EVENTS = ("subscriber.created", "subscriber.updated", "subscriber.unsubscribed")


class Shaky(Store):
    """A store whose settling fails now and then: before, or after it was done."""

    def __init__(self, database: PostgresDatabase, chances: random.Random) -> None:
        super().__init__(database)
        self.chances = chances
        self.shaken = True

    async def settle_hook_deliveries(self, results: Any) -> list[dict[str, Any]]:
        chance = self.chances.random() if self.shaken else 1
        if chance < 0.15:
            raise DatabaseUnavailable
        ended = await super().settle_hook_deliveries(results)
        if chance < 0.3:
            raise DatabaseUnavailable
        return ended


class Lossy(Poster):
    """An answer may get lost on its way."""

    chances: random.Random
    shaken = True

    async def post(self, delivery: Delivery) -> Answer:
        answer = await super().post(delivery)
        if self.shaken and self.chances.random() < 0.15:
            return Answer(None, "It does not answer properly.")
        return answer


async def write(arrange: Arrange, people: list[UUID], chances: random.Random) -> None:
    """Something happens to somebody."""
    if not people or chances.random() < 0.3:
        people.append(await arrange.subscriber())
        return
    await arrange.sql.execute(
        "update subscribers set name = %s where id = %s",
        [str(chances.random()), chances.choice(people)],
    )


async def written(outbox: Outbox) -> dict[str, list[str]]:
    """The ids of the events about each, in the order of writing."""
    events: dict[str, list[str]] = {}
    for row in await outbox.rows():
        events.setdefault(str(row["subject"]), []).append(row["event_id"])
    return events


def taken(receiver: Receiver, accepted: set[int]) -> dict[str, list[str]]:
    """The ids of those that the receiver took, by their first time."""
    events: dict[str, list[str]] = {}
    for place, one in enumerate(receiver.received):
        if place in accepted:
            seen = events.setdefault(one.subject, [])
            if one.event_id not in seen:
                seen.append(one.event_id)
    return events


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("seed", range(3))
async def test_two_workers_that_fail_in_every_way_keep_the_order(
    seed: int,
    postgres_database: PostgresDatabase,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    outbox: Outbox,
) -> None:
    """Answers are lost, the endpoint fails, the database doesn't record, and workers end in the
    middle of what they do."""
    chances = random.Random(seed)
    store = Shaky(postgres_database, chances)
    await a_hook(store, receiver.hook_url, *EVENTS, rate=1000)
    accepted: set[int] = set()
    calm = False

    def answer(_: object) -> Reply:
        if not calm and chances.random() < 0.3:
            return Reply(500, b"")
        accepted.add(len(receiver.received) - 1)
        return Reply()

    receiver.answer = answer
    people: list[UUID] = []
    async with Lossy(allow_private=True) as poster:
        poster.chances = chances
        workers = [DeliverHooks(store, poster, Metrics()) for _ in range(2)]
        for _ in range(60):
            await write(arrange, people, chances)
            which = chances.randrange(2)
            turns = workers if chances.random() < 0.5 else [workers[which]]
            await asyncio.gather(*(w.step() for w in turns), return_exceptions=True)
            if chances.random() < 0.1:  # ends without a word
                for task in workers[which]._tasks:
                    task.cancel()
                workers[which] = DeliverHooks(store, poster, Metrics())
            if chances.random() < 0.3:
                await later.all_due()
        calm, store.shaken, poster.shaken = True, False, False
        for worker in workers:
            await worker.run_dry()
        await later.hours(1)  # leases of those that ended
        await later.all_due()
        await workers[0].run_dry()
    rows = await outbox.rows()
    assert {row["state"] for row in rows} == {"done"}
    assert taken(receiver, accepted) == await written(outbox)


async def test_a_worker_that_was_stopped_for_long_sends_nothing_any_more(
    direct_store: Store, arrange: Arrange, receiver: Receiver, poster: Poster, outbox: Outbox
) -> None:
    """Another may have sent the next one since."""
    await a_hook(direct_store, receiver.hook_url)
    await arrange.subscriber()
    times = iter([0.0, 50.0])
    deliverer = DeliverHooks(
        direct_store, poster, Metrics(), lease_seconds=60, monotonic=lambda: next(times)
    )
    await deliverer.step()
    await deliverer.close()
    assert receiver.received == []
    [row] = await outbox.rows()
    assert (row["state"], row["attempts"]) == ("waiting", 0)


async def test_an_outage_of_the_database_forgets_no_answer(
    postgres_database: PostgresDatabase,
    arrange: Arrange,
    receiver: Receiver,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = Store(postgres_database)
    await a_hook(store, receiver.hook_url)
    await arrange.subscriber()
    deliverer = DeliverHooks(store, poster, Metrics())
    await deliverer.step()
    await came(receiver, 1)
    settle = store.settle_hook_deliveries

    async def away(_: list[tuple[Delivery, Result]]) -> list[dict[str, Any]]:
        raise DatabaseUnavailable

    monkeypatch.setattr(store, "settle_hook_deliveries", away)
    with pytest.raises(DatabaseUnavailable):  # as soon as there is something to record
        await eventually(deliverer.step, until=lambda _: False)
    with pytest.raises(DatabaseUnavailable):
        await deliverer.step()
    monkeypatch.setattr(store, "settle_hook_deliveries", settle)
    await deliverer.run_dry()
    assert await arrange.one("select state from hook_deliveries") == "done"
    assert len(receiver.received) == 1


async def came(receiver: Receiver, least: int) -> None:
    """Wait until so many have come."""

    async def count() -> int:
        return len(receiver.received)

    await eventually(count, until=lambda received: received >= least)


@pytest.mark.short
async def test_a_worker_that_is_killed_loses_nothing(
    dsn: str,
    arrange: Arrange,
    receiver: Receiver,
    later: Later,
    outbox: Outbox,
    tmp_path: Path,
    direct_store: Store,
) -> None:
    """By kill -9 in the middle of its deliveries, three times."""
    await a_hook(direct_store, receiver.hook_url, *EVENTS, rate=1000)
    await arrange.subscribers(300)
    for name in ("First", "Second"):
        await arrange.sql.execute("update subscribers set name = %s", [name])
    accepted: set[int] = set()

    def answer(_: object) -> Reply:
        accepted.add(len(receiver.received) - 1)
        return Reply()

    receiver.answer = answer
    with SandboxServer(SandboxConfig()) as sandbox:
        variables = environment(dsn, sandbox.url, HOOKS_ALLOW_PRIVATE="true")
        for enough in (100, 300, 500):
            with process(tmp_path, variables, "worker"):
                await came(receiver, enough)
            await later.hours(1)
        with process(tmp_path, variables, "worker"):
            await eventually(
                outbox.rows, until=lambda rows: {row["state"] for row in rows} == {"done"}
            )
    assert taken(receiver, accepted) == await written(outbox)
    assert len(accepted) >= 900
