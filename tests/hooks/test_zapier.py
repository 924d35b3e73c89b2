"""The recipe for Zapier (docs/hooks-zapier.md), tried as it stands there against a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.domain.hooks.events import EVENTS
from tests.hooks.automations import World, running_world
from tests.hooks.recipes import json_blocks, shape
from tests.hooks.zapier import ZapError, Zapier
from tests.support.factories import Arrange


@pytest.fixture
async def world(dsn: str, arrange: Arrange) -> AsyncIterator[World]:
    async with running_world(dsn, arrange) as one:
        yield one


@pytest.fixture
def zapier(world: World) -> Iterator[Zapier]:
    [definition] = json_blocks("hooks-zapier.md")
    auth = {"apiUrl": "http://service", "apiKey": world.key}
    with Zapier(definition, world.http, auth) as one:
        yield one


async def test_a_zap_from_turning_on_to_turning_off(world: World, zapier: Zapier) -> None:
    await zapier.connect()
    zap = zapier.zap("subscriber.unsubscribed")
    samples = await zap.samples()
    assert await world.list_hooks() == []  # looking at samples subscribes nobody
    await zap.turn_on()
    [hook] = await world.list_hooks()
    assert (hook["url"], hook["events"], hook["source"]) == (
        zap.target_url, ["subscriber.unsubscribed"], "zapier",
    )  # fmt: skip
    await world.unsubscribe("ann@example.org")
    await world.finish("Not this Zap's")
    [run] = zap.runs
    assert run["type"] == "subscriber.unsubscribed"
    assert run["data"] == run["data"] | {"email": "ann@example.org", "status": "unsubscribed"}
    await zap.turn_off()
    assert await world.list_hooks() == []
    await world.unsubscribe("bob@example.org")
    assert len(zap.runs) == 1

    # Whoever maps fields does so on samples: a real one has the same, the list's own fields too.
    later = zapier.zap("subscriber.unsubscribed")
    samples = await later.samples()
    for one in samples:
        assert shape(one) == shape(run)
    assert run["id"] not in {one["id"] for one in samples}


async def test_samples_pass_zapiers_checks_for_each_event(world: World, zapier: Zapier) -> None:
    operation = zapier.definition["triggers"]["event"]["operation"]
    [field] = operation["inputFields"]
    assert set(field["choices"]) <= set(EVENTS)
    field["choices"] = list(EVENTS)
    for event in EVENTS:
        found = await zapier.zap(event).samples()
        assert found
        times = [one["timestamp"] for one in found]
        assert times == sorted(times, reverse=True)  # "newest first"
        assert {one["type"] for one in found} == {event}


async def test_two_zaps_are_two_subscriptions(world: World, zapier: Zapier) -> None:
    first, second = zapier.zap("mailout.finished"), zapier.zap("mailout.finished")
    await first.turn_on()
    await second.turn_on()
    await world.finish("May")
    [one], [other] = first.runs, second.runs
    assert (one["id"], one["data"]) == (other["id"], other["data"])
    await first.turn_off()
    await world.finish("June")
    assert [run["data"]["subject"] for run in first.runs] == ["May"]
    assert [run["data"]["subject"] for run in second.runs] == ["May", "June"]


async def test_a_zap_that_is_off_ends_its_subscription_by_410(world: World, zapier: Zapier) -> None:
    """Zapier asks that 410 be respected. It is turned on again with the same address, say."""
    zap = zapier.zap("mailout.finished")
    await zap.turn_on()
    zap.break_off()
    await world.finish("May")
    [hook] = await world.list_hooks()
    assert hook["state"] == "gone"
    await world.finish("June")
    await zap.turn_on()
    assert [one["state"] for one in await world.list_hooks()] == ["active"]
    await world.finish("July")
    assert {run["data"]["subject"] for run in zap.runs} == {"May", "July"}


async def test_a_wrong_key_is_seen_when_the_account_is_added(zapier: Zapier) -> None:
    zapier.auth["apiKey"] = "as_" + "x" * 43
    with pytest.raises(ZapError, match="401: "):
        await zapier.connect()
