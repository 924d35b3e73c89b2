"""The recipe for Make (docs/hooks-make.md), tried as it stands there against a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.hooks.automations import World, running_world
from tests.hooks.make import Make, ModuleError, sha256
from tests.hooks.recipes import json_blocks, shape
from tests.support.factories import Arrange


@pytest.fixture
async def world(dsn: str, arrange: Arrange) -> AsyncIterator[World]:
    async with running_world(dsn, arrange) as one:
        yield one


@pytest.fixture
def make(world: World) -> Iterator[Make]:
    base, attach, detach, samples = json_blocks("hooks-make.md")
    connection = {"apiUrl": "http://service", "apiKey": world.key}
    with Make(base, attach, detach, samples, world.http, connection) as one:
        yield one


async def test_a_trigger_from_attaching_to_detaching(world: World, make: Make) -> None:
    webhook = await make.add_webhook("mailout.finished")
    assert webhook.data["secret"].startswith("whsec_")
    [hook] = await world.list_hooks()
    assert (hook["id"], hook["url"]) == (webhook.data["externalHookId"], webhook.url)
    assert hook["source"] == "make"
    mailout = await world.finish("May")
    [bundle] = webhook.bundles()
    assert (bundle["type"], bundle["data"]["id"]) == ("mailout.finished", mailout)
    for sample in await webhook.samples():
        assert shape(sample) == shape(bundle)
    await webhook.delete()
    assert await world.list_hooks() == []
    await world.finish("June")
    assert len(webhook.queue) == 1


async def test_signatures_are_checked_with_makes_own_function(world: World, make: Make) -> None:
    """The filter of the recipe: webhook-signature contains sha256(…)."""
    webhook = await make.add_webhook("subscriber.unsubscribed")
    await world.unsubscribe("zoe@example.org")
    [(body, headers)] = webhook.queue
    secret = webhook.data["secret"].removeprefix("whsec_")
    text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    assert sha256(text, "base64", secret, "base64") in headers["webhook-signature"]
    forged = text.replace("unsubscribed", "active")
    assert sha256(forged, "base64", secret, "base64") not in headers["webhook-signature"]


async def test_a_scenario_that_was_off_goes_on_once_it_is_switched_on(
    world: World, make: Make
) -> None:
    """Make answers 410 while a scenario is off, so the hook must not be lost with it."""
    webhook = await make.custom_webhook()
    body = {"url": webhook.url, "events": ["mailout.finished", "mailout.failed"]}
    made = (await world.http.post("/hooks", json=body, headers=world.bearer)).json()
    webhook.scenario_is_on = False
    await world.finish("May")
    await world.finish("June")
    [hook] = await world.list_hooks()
    assert (hook["id"], hook["state"]) == (made["id"], "gone")
    assert "410" in hook["reason"]
    webhook.scenario_is_on = True
    change = {"state": "active"}
    await world.http.patch(f"/hooks/{made['id']}", json=change, headers=world.bearer)
    await world.finish("July")
    # What it refused comes, too, but nothing of what happened in between.
    assert {one["data"]["subject"] for one in webhook.bundles()} == {"May", "July"}


async def test_what_is_wrong_is_told_in_the_scenarios_log(world: World, make: Make) -> None:
    with pytest.raises(ModuleError, match="there is no event"):
        await make.add_webhook("mailout.sent")
    make.connection["apiKey"] = "wrong"
    with pytest.raises(ModuleError, match="Present the shared secret or an API key"):
        await make.add_webhook("mailout.finished")
    assert await world.list_hooks() == []
