"""From the sandbox's readers to the report, through the running program: real events, real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.factories import Arrange
from tests.support.service import BEARER
from tests.support.waiting import eventually
from tests.support.world import run_world

BODY = (
    '<p>Hi</p><a href="https://example.com/a">a</a> '
    '<a href="https://example.com/b?x={{ email }}">b</a>'
)


@pytest.mark.short
async def test_machines_are_told_from_what_nobody_can_say(
    dsn: str, tmp_path: Path, arrange: Arrange
) -> None:
    """Two scanners click all, Apple loads the picture, somebody does nothing; a mailout without
    tracking is seen by nobody. Of where they came from nothing is kept."""
    for kind in ("microsoft", "proofpoint", "apple"):
        await arrange.subscriber(f"{kind}+1@example.com")
    await arrange.subscriber("ann@example.com")
    plain = await arrange.mailout(body_html=BODY)
    tracked = await arrange.mailout(body_html=BODY, tracking=True)
    async with run_world(dsn, tmp_path, SES_TRACKING_CONFIGURATION_SET="sandbox-tracking") as world:
        for mailout in (plain, tracked):
            answer = await world.http.post(
                "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
            )
            assert answer.status_code == 202

        async def report(mailout: object = tracked) -> dict[str, Any]:
            found = await world.http.get(f"/mailouts/{mailout}/engagement", headers=BEARER)
            answer: dict[str, Any] = found.raise_for_status().json()
            return answer

        def all_seen(found: dict[str, Any]) -> bool:
            people = found["opens"]["unknown"] + found["clicks"]["machine"]
            # Counted by itself, and an answer is kept for a moment: it may be a little older.
            clicks = sum(link["machine"] for link in found["links"])
            return people == 3 and not found["waiting"] and clicks == 4

        found = await eventually(report, until=all_seen)
        assert found["clicks"] == {"human": 0, "machine": 2, "unknown": 0}
        assert found["opens"] == {"human": 0, "machine": 0, "unknown": 1}
        assert {link["url"]: link["machine"] for link in found["links"]} == {
            "https://example.com/a": 2,
            "https://example.com/b?x={{ email }}": 2,
        }
        assert found["range"]["opens"] == {
            "low": 0, "high": 1, "low_rate": None, "high_rate": None,
        }  # fmt: skip
        assert (await report(plain))["tracking"] is False
        path = f"/mailouts/{tracked}/recipients/microsoft+1@example.com/why"
        why = (await world.http.get(path, headers=BEARER)).raise_for_status().json()
        assert (why["got"], why["code"]) == (True, "delivered")
        assert {event["type"] for event in why["events"]} >= {"send", "delivery"}
        assert {one["class"] for one in why["signals"]} == {"machine"}
        assert all(one["because"] for one in why["signals"])
        [attempt] = why["claim"]
        assert (attempt["region"], attempt["accepted"]) == ("us-east-1", 4)
        assert attempt["executor"]
        assert (await world.show(tracked))["events"]["silent"] is False
    kept = await arrange.one(
        "select string_agg(t::text, ' ') from (select payload::text from ses_events "
        "where type in ('open', 'click') union all select s::text from engagement_signals s) t"
    )
    for trace in ("40.107.", "67.231.", "172.224.", "Mozilla", "Chrome"):
        assert trace not in kept
    assert await arrange.one("select count(*) from untracked_events") == 0
