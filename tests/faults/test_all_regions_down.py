"""All regions of SES are down for longer than the fallback waits: one provider after the other goes
on with those who are queued, until SES is back."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.scene import AWAY, HOME, LATENCY, REGIONS, Scene, scene
from tests.support.factories import Arrange
from tests.support.service import BEARER
from tests.support.waiting import eventually

pytestmark = [pytest.mark.short, pytest.mark.timeout(180)]

READERS = 700
FALLBACK = {"FALLBACK_AFTER_SECONDS": "1", "FALLBACK_RATE_PER_SEC": "60"}
LOSES_ANSWERS = {"status": 0, "ending": "drop", "accept": True}


async def fallback(one: Scene) -> dict[str, Any]:
    found: dict[str, Any] = (await one.service.http.get("/fallback", headers=BEARER)).json()
    return found


async def black_out(one: Scene) -> None:
    for door in one.doors.values():
        await door.shut()


async def over(one: Scene) -> None:
    for door in one.doors.values():
        await door.open()


async def test_two_providers_after_two_regions_and_ses_again(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SendGrid accepts and loses the answer, then refuses the key, so it is Mailgun's turn, which
    does the same. A mailout that is kept to a region waits for it."""
    async with scene(dsn, arrange, monkeypatch, readers=READERS, providers=True, **FALLBACK) as one:
        spread = await one.mailout()
        await one.under_way(spread, HOME, AWAY)
        for provider in ("sendgrid", "mailgun"):
            one.trouble(provider, **LOSES_ANSWERS, times=2)
        await black_out(one)
        kept = await one.mailout(region=AWAY)
        await one.under_way(spread, "sendgrid")
        one.trouble("sendgrid", status=401)
        await one.under_way(spread, "mailgun")
        assert set(await one.routes(kept)) <= {AWAY}
        await over(one)
        again = await one.mailout()
        await eventually(lambda: one.routes(again), until=lambda by: by[HOME] and by[AWAY])

        for mailout in (spread, again, kept):
            shown = await one.ended(mailout)
            assert shown["status"] == "sent", shown["status_reason"]
            await one.judged(mailout)
        assert set(await one.routes(spread)) == {*REGIONS, "sendgrid", "mailgun"}
        assert set(await one.routes(kept)) == {AWAY}
        state = await eventually(lambda: fallback(one), until=lambda seen: not seen["open"])
        turns = [change["provider"] for change in state["changes"][::-1]]
        assert turns == ["sendgrid", "mailgun", None]


@pytest.mark.parametrize("how", ["suspended", "quota", "5xx"])
async def test_each_region_is_down_in_its_own_way(
    dsn: str, arrange: Arrange, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """One refuses connections, the other does something else; all is over when either is back."""
    async with scene(dsn, arrange, monkeypatch, readers=READERS, providers=True, **FALLBACK) as one:
        spread = await one.mailout()
        await one.under_way(spread, HOME, AWAY)
        await one.doors[HOME].shut()
        match how:
            case "suspended":
                one.ses(AWAY).account(enforcement_status="SHUTDOWN")
            case "quota":
                one.ses(AWAY).account(max_24h_send=one.ses(AWAY).stats()["accepted"])
            case _:
                one.ses(AWAY).faults(server_error={"status": 503}, latency=LATENCY)
        await one.under_way(spread, "sendgrid")
        await one.doors[HOME].open()
        shown = await one.ended(spread)
        assert shown["status"] == "sent", shown["status_reason"]
        await one.judged(spread)
        await eventually(lambda: fallback(one), until=lambda seen: not seen["open"])
