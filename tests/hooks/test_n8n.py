"""The recipe for n8n (docs/hooks-n8n.md), tried as it stands there against a stand-in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from copy import deepcopy
from typing import Any

import httpx
import pytest

from tests.hooks.automations import World, running_world
from tests.hooks.n8n import N8n, SelfRegistering, WorkflowStopped, run_code_node
from tests.hooks.recipes import blocks
from tests.support.factories import Arrange
from tests.support.service import in_process, settings_for


@pytest.fixture
async def world(dsn: str, arrange: Arrange) -> AsyncIterator[World]:
    async with running_world(dsn, arrange) as one:
        yield one


@pytest.fixture
def n8n() -> Iterator[N8n]:
    with N8n() as one:
        yield one


async def subscribe(world: World, url: str, *events: str) -> dict[str, Any]:
    body = {"url": url, "events": list(events)}
    answer = await world.http.post("/hooks", json=body, headers=world.bearer)
    made: dict[str, Any] = answer.raise_for_status().json()
    return made


async def test_one_on_the_same_machine_is_told_once_that_is_allowed(
    dsn: str, world: World, n8n: N8n
) -> None:
    url = n8n.activate("news")
    await subscribe(world, url, "mailout.finished", "subscriber.unsubscribed")
    await world.finish("May")
    await world.unsubscribe("ann@example.org")
    bodies = [item["json"]["body"] for item in n8n.active["news"]]
    assert [(one["type"], one["data"].get("subject")) for one in bodies] == [
        ("mailout.finished", "May"),
        ("subscriber.unsubscribed", None),
    ]
    settings = settings_for(dsn, None, AWS_REGION=None)
    async with in_process(settings, with_sender=False) as strict:
        body = {"url": url.replace("http:", "https:"), "event": "mailout.finished"}
        refused = await strict.http.post("/hooks", json=body, headers=world.bearer)
        assert refused.status_code == 422
        assert "HOOKS_ALLOW_PRIVATE" in refused.json()["detail"]


async def test_the_code_node_takes_what_is_signed_and_nothing_else(world: World, n8n: N8n) -> None:
    made = await subscribe(world, n8n.activate("news", raw_body=True), "subscriber.unsubscribed")
    await world.unsubscribe("zoe@example.org")
    [code] = blocks("hooks-n8n.md", "js")
    assert "whsec_…" in code
    mine = code.replace("whsec_…", made["secret"])
    [item] = n8n.active["news"]
    assert run_code_node(mine, [item]) == [{"json": item["json"]["body"]}]

    headers = f"/hooks/{made['id']}/rotate"
    turned = (await world.http.post(headers, headers=world.bearer)).json()
    await world.unsubscribe("bob@example.org")
    both = n8n.active["news"][-1]  # signed with the old one and the new one
    new = code.replace("whsec_…", turned["secret"])
    assert run_code_node(mine, [both]) == run_code_node(new, [both])

    forged, late, bare = deepcopy(item), deepcopy(item), deepcopy(item)
    forged["binary"]["data"]["data"] = both["binary"]["data"]["data"]
    late["json"]["headers"]["webhook-timestamp"] = "1700000000"
    del bare["json"]["headers"]["webhook-signature"]
    for wrong in (forged, late, bare):
        with pytest.raises(WorkflowStopped, match="signature is wrong"):
            run_code_node(mine, [wrong])


async def test_a_workflow_that_is_not_active_gets_it_later(world: World, n8n: N8n) -> None:
    url = n8n.activate("news")
    n8n.deactivate("news")
    made = await subscribe(world, url, "mailout.finished")
    await world.finish("May")
    path = f"/hooks/{made['id']}/deliveries"
    [waiting] = (await world.http.get(path, headers=world.bearer)).json()["items"]
    assert (waiting["state"], waiting["status"]) == ("waiting", 404)
    n8n.activate("news")
    await world.arrange.sql.execute("update hook_deliveries set due_at = now()")
    await world.deliverer.run_dry()
    assert [item["json"]["body"]["data"]["subject"] for item in n8n.active["news"]] == ["May"]


async def test_a_trigger_that_registers_itself(world: World, n8n: N8n) -> None:
    """Activated, crashed before it had kept the id, activated, deactivated."""
    api = httpx.AsyncClient(
        transport=world.http._transport, base_url="http://service", headers=world.bearer
    )
    events = ["recipient.bounced", "mailout.finished"]
    trigger = SelfRegistering(n8n, api, "own", events)
    await trigger.activate()
    [hook] = await world.list_hooks()
    assert trigger.static_data["hookId"] == hook["id"]
    trigger.crash()
    await trigger.activate()
    assert [one["id"] for one in await world.list_hooks()] == [hook["id"]]
    assert trigger.static_data["hookId"] == hook["id"]
    await world.finish("May")
    assert len(n8n.active["own"]) == 1
    assert await trigger.deactivate()
    assert await world.list_hooks() == []
