"""A look asks Amazon and block lists, counts what came, keeps it, and tells what is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.adapters.aws.standing import SesStanding
from app.adapters.dns.resolver import DnsResolver
from app.sandbox.server import SandboxServer
from app.services.standing.collect import Lists
from app.services.standing.look import LookAtStanding
from app.settings import Settings
from app.store import Store
from tests.support.dns_server import DnsServer
from tests.support.factories import Arrange
from tests.support.service import settings_for

REGION = "us-east-1"
ARN = f"arn:aws:ses:{REGION}:123456789012:identity/example.com"
NOW = datetime.now(UTC)


class Desk:
    """What a test looks with. now: moved on by a test."""

    def __init__(self, store: Store, sandbox: SandboxServer, settings: Settings) -> None:
        self.store = store
        self.sandbox = sandbox
        self.settings = settings
        self.now = NOW
        self.lists: Lists | None = None

    def made(self) -> LookAtStanding:
        return LookAtStanding(
            self.store, self.settings, SesStanding, self.lists, late_seconds=0, now=lambda: self.now
        )

    async def look(self) -> dict[str, Any]:
        """The region as it is stored after a look."""
        await self.made().look()
        [found] = (await self.store.show_standing())["regions"]
        sample: dict[str, Any] = found["sample"]
        return sample

    async def alarms(self) -> list[str]:
        return [one["code"] for one in (await self.store.show_standing())["alarms"]]


@pytest.fixture
def desk(direct_store: Store, ses_sandbox: SandboxServer) -> Desk:
    ours = settings_for("postgresql://unused", ses_sandbox.url, OWNER_EMAIL="owner@example.com")
    return Desk(direct_store, ses_sandbox, ours)


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    with DnsServer() as server:
        yield server


async def test_a_new_account_has_no_alarm_and_says_what_is_not_asked(desk: Desk) -> None:
    seen = await desk.look()
    assert await desk.alarms() == []
    assert seen["account"]["enforcement_status"] == "HEALTHY"
    assert (seen["entities"]["state"], seen["ips"]["state"]) == ("told", "told")
    assert "no dedicated addresses" in seen["aws_lists"]["why"]
    assert seen["dnsbl"] == {"state": "off", "items": [], "why": "`DNSBL_ZONES` is not set"}
    assert "not on" in seen["advice"]["why"]
    assert await desk.store.claim_owner_news("mail") is None
    asked = desk.sandbox.stats()["requests"]
    assert not {"BatchGetMetricData", "ListRecommendations", "GetBlacklistReports"} & asked.keys()


async def test_what_amazon_finds_is_told_once_and_when_it_is_over(desk: Desk) -> None:
    desk.sandbox.standing(
        entities=[{"reference": ARN, "aws": {"status": "DISABLED", "cause": "Spam traps"}}]
    )
    await desk.look()
    told = await desk.store.claim_owner_news("mail", REGION)
    assert told
    assert (told.about, told.page) == ("standing", "standing")
    assert "Amazon has stopped sending as identity/example.com" in told.headline
    assert "Support Center" in told.lines[0]
    assert await desk.store.claim_owner_news("slack") is None, "nobody set it up"
    await desk.look()
    assert await desk.store.claim_owner_news("mail") is None
    desk.sandbox.standing(denied=["ListReputationEntities"])
    seen = await desk.look()
    assert seen["entities"]["state"] == "unknown"
    assert "ses:ListReputationEntities" in seen["entities"]["why"]
    assert "permission" in seen["entities"]["why"]
    assert await desk.alarms() == [f"reputation:{REGION}:sending:{ARN}"], (
        "nobody says that it is over"
    )
    desk.sandbox.standing()
    await desk.look()
    over = await desk.store.claim_owner_news("mail")
    assert over
    assert over.headline.startswith("Over: Amazon has stopped")
    assert await desk.alarms() == []


async def test_an_account_that_is_paused_is_an_alarm(desk: Desk) -> None:
    desk.sandbox.account(sending_enabled=False)
    await desk.look()
    assert await desk.alarms() == [f"account:{REGION}:sending"]


async def test_amazon_that_does_not_answer_is_unknown(desk: Desk) -> None:
    desk.settings = settings_for("postgresql://unused", "http://127.0.0.1:9")
    seen = await desk.look()
    assert seen["account"] is None
    assert "127.0.0.1:9" in seen["account_why"]
    assert {seen[part]["state"] for part in ("entities", "ips", "aws_lists", "advice", "isps")} == {
        "unknown"
    }
    assert await desk.alarms() == []


async def test_block_lists_in_dns_and_at_amazon(desk: Desk, dns: DnsServer) -> None:
    key = "abcdefghijklmnopqrstuvwxyz"
    dns.put(f"2.0.0.127.{key}.bl.example", "A", "127.0.0.2")
    dns.put(f"1.2.0.192.{key}.bl.example", "A", "127.0.0.3")
    desk.lists = Lists(DnsResolver((dns.address,)), (f"{key}.bl.example",))
    ips = [{"ip": "192.0.2.1"}, {"ip": "192.0.2.2"}]
    desk.sandbox.standing(dedicated_ips=ips)
    seen = await desk.look()
    assert "dashboard is not on" in seen["aws_lists"]["why"]
    assert [one["state"] for one in seen["dnsbl"]["items"]] == ["listed", "clean"]
    assert await desk.alarms() == [f"list:{REGION}:192.0.2.1|….bl.example"]
    assert key not in str(await desk.store.show_standing()), "it is a secret"
    desk.sandbox.standing(
        dedicated_ips=ips,
        dashboard=True,
        listings=[{"ip": "192.0.2.2", "list": "Barracuda", "description": "Spam"}],
    )
    seen = await desk.look()
    assert seen["aws_lists"]["items"][0]["zone"] == "Barracuda"
    assert len(await desk.alarms()) == 2
    dns.behave(f"1.2.0.192.{key}.bl.example", "servfail")
    seen = await desk.look()
    assert [one["state"] for one in seen["dnsbl"]["items"]] == ["unknown", "clean"]
    assert len(await desk.alarms()) == 2


async def test_vdm_is_asked_once_a_day_within_its_limits(desk: Desk) -> None:
    desk.sandbox.account(engagement_metrics="ENABLED")
    desk.sandbox.standing(
        metrics={"SEND": {"Gmail": 100}, "DELIVERY": {"Gmail": 90}, "DELIVERY_OPEN": {"Gmail": 40}},
        recommendations=[
            {"resource": ARN, "type": "SPF", "description": "No SPF.", "impact": "HIGH"},
            {"resource": ARN, "type": "BIMI", "description": "No BIMI."},
        ],
    )
    seen = await desk.look()
    all_, gmail = seen["isps"]["items"]
    assert (all_["isp"], all_["sent"], gmail["isp"], gmail["delivered"]) == ("", 700, "Gmail", 630)
    assert gmail["opened"] == 280
    assert len(seen["advice"]["items"]) == 2
    assert await desk.alarms() == [f"advice:{REGION}:SPF:{ARN}"], "a small one is no alarm"
    calls = desk.sandbox.stats()["requests"]["BatchGetMetricData"]
    assert calls == 6  # 54 queries, 10 in a call
    desk.sandbox.standing(denied=["ListRecommendations"])
    desk.now += timedelta(hours=1)
    seen = await desk.look()
    assert len(seen["isps"]["items"]) == 2
    assert desk.sandbox.stats()["requests"]["BatchGetMetricData"] == calls
    desk.now += timedelta(hours=20)
    await desk.look()
    assert desk.sandbox.stats()["requests"]["BatchGetMetricData"] == 2 * calls


async def stage_events(arrange: Arrange, kinds: dict[tuple[str, str], int]) -> None:
    """So many events of each (domain, kind), an hour ago, with their mails."""
    payloads = {
        "bounce": '{"bounce": {"bounceType": "Permanent", "bounceSubType": "General"}}',
        "suppressed": '{"bounce": {"bounceType": "Permanent", "bounceSubType": "Suppressed"}}',
        "soft_bounce": '{"bounce": {"bounceType": "Transient"}}',
        "not_spam": '{"complaint": {"complaintFeedbackType": "not-spam"}}',
    }
    types = {
        "suppressed": "bounce",
        "soft_bounce": "bounce",
        "not_spam": "complaint",
        "test": "delivery",
    }
    mailout = await arrange.mailout("sent")
    for (domain, kind), count in kinds.items():
        await arrange.sql.execute(
            "with mails as (insert into send_logs (mailout_id, email, status, is_test)"
            "  select %s, 'r' || n || '@' || %s, 'sent', %s from generate_series(1, %s) n"
            "  returning id)"
            " insert into ses_events (sns_message_id, type, send_log_id, payload, occurred_at)"
            " select gen_random_uuid()::text, %s, id, %s::jsonb, now() - interval '1 hour'"
            " from mails",
            (
                mailout,
                domain,
                kind == "test",
                count,
                types.get(kind, kind),
                payloads.get(kind, "{}"),
            ),
        )


async def test_events_are_counted_once_by_mailbox_provider(store: Store, arrange: Arrange) -> None:
    """Over both ways to the database, in slices."""
    await stage_events(
        arrange,
        {
            ("Yahoo.com", "delivery"): 7,
            ("yahoo.de", "complaint"): 2,
            ("yahoo.de", "not_spam"): 1,
            ("gmail.com", "bounce"): 3,
            ("gmail.com", "suppressed"): 1,
            ("gmail.com", "soft_bounce"): 2,
            ("gmail.com", "delivery_delay"): 4,
            ("company.example", "test"): 5,
            ("company.example", "open"): 5,
            ("company.example", "delivery"): 6,
        },
    )
    ours = settings_for("postgresql://unused", "http://127.0.0.1:9")

    async def count(late_seconds: float) -> list[dict[str, Any]]:
        look = LookAtStanding(store, ours, SesStanding, None, late_seconds=late_seconds)
        await look._count(_nothing)
        found = await store.provider_figures([1, 7], 2)
        assert [one for one in found["windows"] if one["window"] == 1] == [
            {**one, "window": 1} for one in found["windows"] if one["window"] == 7
        ]
        return [one for one in found["windows"] if one["window"] == 7]

    assert await count(300) == [], "events may still be looking for their mails"
    gmail, other, yahoo = await count(0)
    assert (gmail["bounced"], gmail["suppressed"], gmail["soft_bounced"]) == (3, 1, 2)
    assert (gmail["delayed"], gmail["delivered"]) == (4, 0)
    assert (yahoo["delivered"], yahoo["complained"]) == (7, 2)
    assert (other["provider"], other["delivered"]) == ("Other", 6)
    assert [gmail, other, yahoo] == await count(0)
    await stage_events(arrange, {("gmail.com", "delivery"): 1})
    assert (await count(0))[0]["delivered"] == 1


async def _nothing() -> None:
    return None


async def test_two_that_count_at_once_count_once(direct_store: Store, arrange: Arrange) -> None:
    await stage_events(arrange, {("gmail.com", "delivery"): 3})
    both = [await direct_store.uncounted_events(10, 0) for _ in range(2)]
    rows = [
        {"hour": NOW.isoformat(), "provider": "Gmail", "delivered": 3, "bounced": 0,
         "soft_bounced": 0, "suppressed": 0, "complained": 0, "delayed": 0}
    ]  # fmt: skip
    added = await asyncio.gather(*(direct_store.add_provider_events(one, rows) for one in both))
    assert sorted(added) == [False, True]
    found = await direct_store.provider_figures([1], 1)
    assert found["windows"][0]["delivered"] == 3


async def test_shares_of_our_own_events_are_alarms(desk: Desk, arrange: Arrange) -> None:
    await stage_events(arrange, {("yahoo.com", "delivery"): 90, ("gmail.com", "bounce"): 20})
    await desk.look()
    assert await desk.alarms() == ["rate:bounces"]
    told = await desk.store.claim_owner_news("mail")
    assert told
    assert "18.2 % (20 of 110)" in told.headline


async def test_of_two_looks_at_once_one_tells(desk: Desk) -> None:
    desk.sandbox.account(enforcement_status="PROBATION")
    both = asyncio.Barrier(2)

    async def until_both_have_looked() -> None:
        await both.wait()

    first, second = await asyncio.gather(
        *(desk.made().look(until_both_have_looked) for _ in range(2))
    )
    assert sorted([first.kept, second.kept]) == [False, True]
    assert await desk.store.claim_owner_news("mail")
    assert await desk.store.claim_owner_news("mail") is None


async def test_a_look_is_due_once_an_hour(store: Store, arrange: Arrange) -> None:
    assert await store.queue_standing(3_600)
    assert not await store.queue_standing(3_600), "it waits already"
    assert (await store.show_standing())["waiting"]
    await arrange.sql.execute(
        "update jobs set state = 'done', finished_at = now() where kind = 'standing'"
    )
    assert await store.save_standing(0, {REGION: {"account": None}}, [], None, [])
    assert not await store.queue_standing(3_600)
    assert await store.queue_standing(0)
    rows = await arrange.sql.execute("select state from jobs")
    [job] = await rows.fetchall()
    assert job["state"] == "waiting", "what was done well isn't listed"


async def test_a_look_is_due_once_amazon_says_something_else(desk: Desk, arrange: Arrange) -> None:
    await desk.look()
    ses = SesStanding(desk.settings, REGION)
    await desk.store.record_account(REGION, ses.get_account())
    assert not await desk.store.queue_standing(3_600)
    desk.sandbox.account(sending_enabled=False)
    await desk.store.record_account(REGION, ses.get_account())
    assert await desk.store.queue_standing(3_600)
    await arrange.sql.execute("delete from jobs")
    await desk.look()
    assert not await desk.store.queue_standing(3_600), "that is known now"


async def test_old_looks_are_thinned_and_forgotten(store: Store, arrange: Arrange) -> None:
    await arrange.sql.execute(
        "insert into standing_samples select 'r', (date_trunc('day', now(), 'UTC')"
        " - make_interval(days => d)) + make_interval(hours => h), '{\"account\": null}'"
        " from unnest(array[1, 37, 401]) d, unnest(array[1, 2, 3]) h"
    )
    await arrange.sql.execute(
        "insert into provider_hours (hour, provider) values (now() - interval '401 days', 'Gmail')"
    )
    assert await store.save_standing(0, {}, [], None, [])
    rows = await arrange.sql.execute("select count(*) as n from standing_samples")
    assert (await rows.fetchone()) == {"n": 3 + 1}
    rows = await arrange.sql.execute("select count(*) as n from provider_hours")
    assert (await rows.fetchone()) == {"n": 0}
