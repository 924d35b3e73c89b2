"""Metrics of the running program: each process its own, and lines for CloudWatch."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.support.factories import Arrange
from tests.support.ports import free_port
from tests.support.service import BEARER, command, process
from tests.support.waiting import eventually
from tests.support.world import World


@pytest.mark.short
async def test_a_worker_shows_what_it_sent_itself(world: World, arrange: Arrange) -> None:
    """The service without a sender counts events; the worker counts mails, on METRICS_PORT."""
    world.service.stop()
    await arrange.subscribers(60)
    mailout = await arrange.mailout()
    port = free_port()
    watched = world.variables | {"METRICS_PORT": str(port)}
    with (
        process(world.folder, world.variables, "serve", "--no-sender") as front,
        process(world.folder, watched, "worker"),
    ):
        world.service = front
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        await eventually(
            lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 60
        )
        # Counted once the database has it, so a moment after it is shown there.
        served = await _metrics(
            world.variables["APP_BASE_URL"] + "/metrics", 'type="delivery"} 60.0'
        )
        worked = await _metrics(f"http://127.0.0.1:{port}/metrics", 'outcome="sent"} 60.0')
        taken = command(world.folder, watched, "worker")
    assert 'amazonsender_recipients_total{outcome="sent"} 60.0' in worked
    assert 'amazonsender_recipients_total{outcome="sent"} 0.0' in served
    assert 'amazonsender_ses_events_total{type="delivery"} 60.0' in served
    assert "amazonsender_senders 1.0" in served
    assert taken.returncode == 1
    assert "METRICS_PORT" in taken.stderr


async def _metrics(url: str, sample: str) -> str:
    """The page, once it has `sample`."""
    async with httpx.AsyncClient(trust_env=False) as http:

        async def page() -> str:
            return (await http.get(url)).text

        return await eventually(page, until=lambda text: sample in text)


@pytest.mark.short
async def test_what_was_not_told_to_cloudwatch_is_told_at_the_stop(
    world: World, arrange: Arrange
) -> None:
    world.service.stop()
    await arrange.subscribers(60)
    mailout = await arrange.mailout()
    told = world.variables | {"METRICS_CLOUDWATCH": "true"}
    with process(world.folder, told, "serve") as service:
        world.service = service
        await world.healthy()
        await world.http.post("/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER)
        await eventually(
            lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 60
        )
        service.stop()
        lines = [json.loads(line) for line in service.log.splitlines()]
    tellings = [line for line in lines if "_aws" in line]
    assert sum(line["Sent"] for line in tellings) == 60
    assert sum(line["Delivered"] for line in tellings) == 60
