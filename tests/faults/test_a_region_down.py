"""A region breaks in the middle of a mailout: the other takes its queued recipients, nobody is
mailed twice, nobody is lost, what is kept to the broken one waits for it, and it is used again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from tests.faults.scene import (
    AWAY,
    BATCH,
    HOME,
    LATENCY,
    READERS,
    Scene,
    other,
    scene,
)
from tests.support.factories import Arrange
from tests.support.waiting import eventually

pytestmark = pytest.mark.timeout(180)

UNSURE = 16
"""Calls without an answer at most: until the breaker opens, those under way then, the probes."""


@dataclass(frozen=True)
class Fault:
    """clear: who was refused knows it; else the outcome of some calls is unknown."""

    region: str
    breaks: Callable[[Scene, str], Awaitable[None]]
    clear: bool


async def refuses_connections(one: Scene, region: str) -> None:
    await one.doors[region].shut()


def fails(**faults: object) -> Callable[[Scene, str], Awaitable[None]]:
    async def breaks(one: Scene, region: str) -> None:
        one.ses(region).faults(latency=LATENCY, **faults)

    return breaks


async def out_of_quota(one: Scene, region: str) -> None:
    one.ses(region).account(max_24h_send=one.ses(region).stats()["accepted"] + BATCH // 2)


async def shut_down(one: Scene, region: str) -> None:
    one.ses(region).account(enforcement_status="SHUTDOWN")


async def not_verified(one: Scene, region: str) -> None:
    one.ses(region).account(verified=["other.example"])


FAULTS = {
    "refused": Fault(HOME, refuses_connections, clear=False),
    "5xx": Fault(AWAY, fails(server_error={"status": 503}), clear=False),
    "5xx after accepting": Fault(
        HOME, fails(server_error={"status": 500, "accept": True}), clear=False
    ),
    "hangs after accepting": Fault(AWAY, fails(hang={"seconds": 1.5, "accept": True}), clear=False),
    "suspended": Fault(HOME, fails(account_suspended=True), clear=True),
    "shut down": Fault(AWAY, shut_down, clear=True),
    "out of quota": Fault(AWAY, out_of_quota, clear=True),
    "not verified": Fault(HOME, not_verified, clear=True),
}


async def heal(one: Scene, fault: Fault) -> None:
    region = fault.region
    if not fault.clear:  # else a call that finds out would be cut, and its outcome unknown
        await one.doors[region].shut()
    await one.doors[region].open()
    ses = one.ses(region)
    ses.faults(latency=LATENCY)
    ses.account(max_24h_send=-1, enforcement_status="HEALTHY", verified=[])


@pytest.mark.short
@pytest.mark.parametrize("name", FAULTS)
async def test_the_other_region_takes_over(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fault = FAULTS[name]
    region, left = fault.region, other(fault.region)
    async with scene(dsn, arrange, monkeypatch) as one:
        spread = await one.mailout()
        await one.under_way(spread, HOME, AWAY)
        await fault.breaks(one, region)
        kept = await one.mailout(region=region)
        shown = await one.ended(spread)
        assert shown["status"] == "sent", shown["status_reason"]
        await one.judged(spread)
        accepted = len(await one.accepted(spread))
        assert accepted == READERS if fault.clear else accepted >= READERS - UNSURE * BATCH

        waiting = await one.service.show(kept)
        assert waiting["status"] in {"sending", "paused"}
        assert waiting["counts"]["failed"] == 0
        assert (await one.routes(kept))[left] == 0

        await heal(one, fault)
        shown = await one.ended(kept)
        assert shown["status"] == "sent", shown["status_reason"]
        verdict = await one.judged(kept)
        assert set(await one.routes(kept)) <= {region}
        if fault.clear:
            assert verdict.figures["accepted"] == READERS

        again = await one.mailout()
        await eventually(lambda: one.routes(again), until=lambda by: by[HOME] and by[AWAY])
        await one.ended(again)
        assert (await one.judged(again)).figures["accepted"] == READERS
