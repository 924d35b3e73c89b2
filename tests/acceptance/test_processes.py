"""`serve` is three processes: what happens when one of them is killed, hangs, or is to stop."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.factories import REGION, Arrange
from tests.support.service import BEARER, Process, client, process, runs
from tests.support.waiting import eventually, within
from tests.support.world import World

WITHIN_SECONDS = 10.0
OVER = {"sent", "failed"}


async def start_mailout(world: World, mailout: object) -> None:
    answer = await world.http.post(
        "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
    )
    assert answer.status_code == 202, answer.text


async def over(world: World, mailout: object) -> dict[str, Any]:
    return await eventually(
        lambda: world.show(mailout), until=lambda s: s["status"] in OVER, seconds=60
    )


async def until_accepted(world: World, recipients: int) -> None:
    async def accepted() -> int:
        return len(world.sandbox.accepted())

    await eventually(accepted, until=lambda n: n >= recipients)


async def until_restarted(world: World, role: str) -> dict[str, Any]:
    """What `/health` says once it is well again and counts a restart of that process."""

    async def look() -> dict[str, Any]:
        async with client(world.http.base_url) as http:
            return dict((await http.get("/health")).json())

    return await eventually(
        look,
        until=lambda h: h["status"] == "ok" and h["checks"]["processes"]["restarts"][role],
        seconds=40,
    )


async def stop(service: Process) -> int:
    """SIGTERM to the supervisor alone; gives its exit code, and leaves nobody behind."""
    pids = service.pids.values()
    os.kill(service.child.pid, signal.SIGTERM)
    code = await asyncio.to_thread(service.child.wait, within(WITHIN_SECONDS))
    assert not any(map(runs, pids)), service.log
    return code


async def test_the_process_that_sends_is_killed(world: World, arrange: Arrange) -> None:
    """It is started again and goes on: everybody is accounted for, nobody is mailed twice, and
    meanwhile the other process answers as ever."""
    await arrange.subscribers(2_000)
    mailout = await arrange.mailout()
    world.sandbox.faults(latency={"min": 0.1, "max": 0.2})
    before = world.service.pids
    await start_mailout(world, mailout)
    await until_accepted(world, 300)
    os.kill(before["work"], signal.SIGKILL)
    assert (await world.http.get("/health/live")).status_code == 200
    health = await until_restarted(world, "work")
    assert health["checks"]["processes"]["restarts"] == {"web": 0, "work": 1}
    counts = (await over(world, mailout))["counts"]
    assert counts["sent"] + counts["delivered"] + counts["unknown"] == 2_000
    assert world.sandbox.stats()["duplicates"] == 0
    after = world.service.pids
    assert after["work"] != before["work"]
    assert after["web"] == before["web"]
    ended = [line for line in world.service.log.splitlines() if "process_ended" in line]
    assert [json.loads(line)["signal"] for line in ended] == ["SIGKILL"]


@pytest.mark.short
async def test_the_process_that_answers_is_killed(world: World, arrange: Arrange) -> None:
    """Callers wait on the same port until it is there again, and sending doesn't notice."""
    await arrange.subscribers(300)
    mailout = await arrange.mailout()
    before = world.service.pids
    await start_mailout(world, mailout)
    os.kill(before["web"], signal.SIGKILL)
    await eventually(lambda: asyncio.to_thread(runs, before["web"]), until=lambda alive: not alive)
    async with client(world.http.base_url) as http:
        assert (await http.get("/health/live", timeout=20)).status_code == 200
    await until_restarted(world, "web")
    assert (await over(world, mailout))["status"] == "sent"
    assert len(world.sandbox.accepted()) == 300
    assert world.service.pids["work"] == before["work"]


async def test_what_renders_is_started_once_for_both(world: World, arrange: Arrange) -> None:
    """For the check in the process that answers, and the preparation in the one that sends: the
    supervisor's child, as both of these are."""
    before = world.service.pids
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    await start_mailout(world, mailout)
    assert (await over(world, mailout))["status"] == "sent"
    assert world.service.pids == before
    others = children(world.service.child.pid) - set(before.values())
    assert len(others) == 2  # it, and who forked it for the tests (forked_rendering.py)
    assert not any(map(children, before.values()))


def children(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@pytest.mark.short
async def test_the_supervisor_is_killed(world: World, arrange: Arrange) -> None:
    """Its processes end, in good order: what is under way is recorded."""
    await arrange.subscribers(200)
    mailout = await arrange.mailout()
    world.sandbox.faults(latency={"min": 0.5, "max": 0.6})
    await start_mailout(world, mailout)
    await until_accepted(world, 1)
    pids = world.service.pids
    os.kill(world.service.child.pid, signal.SIGKILL)

    async def living() -> list[int]:
        return [pid for pid in pids.values() if runs(pid)]

    await eventually(living, until=lambda pids: not pids)
    assert (await arrange.counts(mailout)).keys() <= {"queued", "sent", "delivered"}


@pytest.mark.short
async def test_sigterm_while_ses_hangs(world: World, arrange: Arrange) -> None:
    await arrange.subscribers(10)
    mailout = await arrange.mailout()
    world.sandbox.control.post("/sandbox/events/hold")
    world.sandbox.faults(hang={"seconds": 25, "accept": True})
    await start_mailout(world, mailout)
    await until_accepted(world, 10)
    assert await stop(world.service) == 0
    assert await arrange.counts(mailout) == {"unknown": 10}


@pytest.mark.short
async def test_a_process_that_hangs_is_seen_and_killed_at_the_stop(world: World) -> None:
    os.kill(world.service.pids["work"], signal.SIGSTOP)

    async def health() -> httpx.Response:
        return await world.http.get("/health")

    ill = await eventually(health, until=lambda answer: answer.status_code == 503)
    assert ill.json()["checks"]["database"]["status"] == "ok"
    assert "its heartbeat has been missing for" in ill.json()["checks"]["sender"]["detail"]
    assert await stop(world.service) == 1
    assert "process_killed" in world.service.log


@pytest.mark.short
async def test_a_service_that_cannot_send_yet_runs_and_says_so_once(world: World) -> None:
    """Until SES is set up: people sign in, import, and write."""
    world.service.stop()
    unset = {name: value for name, value in world.variables.items() if name != "SES_FROM_EMAIL"}
    with process(world.folder, unset, "serve") as service:
        world.service = service
        await world.healthy()
        health = (await world.http.get("/health")).json()
        assert health["status"] == "degraded"
        assert health["checks"]["sender"]["status"] == "not_configured"
        assert health["checks"]["processes"]["restarts"] == {"web": 0, "work": 0}
        assert await stop(service) == 0
        assert service.log.count("sending_not_configured") == 1


@pytest.mark.short
async def test_both_in_one_process(world: World, arrange: Arrange) -> None:
    world.service.stop()
    await arrange.subscribers(60)
    mailout = await arrange.mailout()
    with process(world.folder, world.variables, "serve", "--one-process") as service:
        world.service = service
        await world.healthy()
        await start_mailout(world, mailout)
        await over(world, mailout)
        health = (await world.http.get("/health")).json()
        assert await stop(service) == 0
    assert len(world.sandbox.accepted()) == 60
    assert service.pids == {}
    assert "processes" not in health["checks"]
    assert health["checks"]["sender"]["status"] == "ok"


async def deliver(world: World, arrange: Arrange) -> None:
    """A mailout from its start to the last event."""
    mailout = await arrange.mailout()
    await start_mailout(world, mailout)
    await eventually(
        lambda: world.show(mailout), until=lambda s: s["counts"]["delivered"] == 100, seconds=40
    )


async def counters(world: World) -> dict[tuple[str, ...], float]:
    """What must never fall: counters and what histograms consist of, by name and label values."""
    async with client(world.http.base_url) as http:
        page = (await http.get("/metrics")).raise_for_status().text
    return {
        (sample.name.removeprefix("amazonsender_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(page)
        if family.type in {"counter", "histogram"}
        for sample in family.samples
    }


async def counted(world: World, mails: int) -> dict[tuple[str, ...], float]:
    """The counters, once they have so many: a moment after the database."""
    return await eventually(
        lambda: counters(world),
        until=lambda c: c["recipients_total", "sent"] == c["ses_events_total", "delivery"] == mails,
    )


@pytest.mark.short
async def test_no_counter_falls_when_a_process_is_started_again(
    world: World, arrange: Arrange
) -> None:
    """One scrape tells of both, and of those that are gone; and so do the lines for CloudWatch."""
    world.service.stop()
    await arrange.subscribers(100)
    told = world.variables | {"METRICS_CLOUDWATCH": "true"}
    with process(world.folder, told, "serve") as service:
        world.service = service
        await world.healthy()
        for turn, role in enumerate(("work", "web"), 1):
            await deliver(world, arrange)
            before = await counted(world, 100 * turn)
            os.kill(service.pids[role], signal.SIGKILL)
            await until_restarted(world, role)
            after = await counters(world)
            assert before.keys() == after.keys()
            assert [name for name in before if after[name] < before[name]] == []
        await deliver(world, arrange)
        found = await counted(world, 300)
        assert await stop(service) == 0
        lines = [json.loads(line) for line in service.log.splitlines()]
    requests = world.sandbox.stats()["requests"]
    for kind in ("SendBulkEmail", "SendEmail"):  # a lone recipient goes by SendEmail
        assert found["ses_calls_total", kind, REGION, "ok"] == requests.get(kind, 0)
    # On a slow machine a lease may have run out, and the call was not made.
    with_mail = sum(
        number
        for (name, *labels), number in found.items()
        if name == "ses_calls_total" and labels[0] in {"SendBulkEmail", "SendEmail"}
    )
    assert found["ses_call_seconds_count", REGION] == with_mail
    assert found["ses_event_lag_seconds_bucket", "+Inf"] >= 300
    assert (found["process_restarts_total", "web"], found["process_restarts_total", "work"]) == (
        1,
        1,
    )
    assert sum(line["Sent"] for line in lines if "_aws" in line) == 300
    assert sum(line["Delivered"] for line in lines if "_aws" in line) == 300
