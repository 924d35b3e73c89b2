"""The standing on its page, by the API, the command, the gauges and in health; mail and Slack are
told by what tells of all news (tests/dns, tests/integration)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from app.adapters.aws.standing import SesStanding
from app.cli.main import app
from app.domain.standing.alarms import Alarm
from app.domain.standing.told import RegionStanding
from app.domain.standing.words import verdict
from app.errors import ConfigurationError
from app.sandbox.server import SandboxServer
from app.services.standing.look import LookAtStanding
from app.settings import Settings, load_settings
from app.standing import standing_work
from app.store import Store
from tests.standing.test_look import ARN, REGION, stage_events
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange
from tests.support.service import BEARER, in_process, settings_for
from tests.support.waiting import eventually


def asynchronous(call: Callable[[], Any]) -> Callable[[], Awaitable[Any]]:
    async def called() -> Any:
        return await asyncio.to_thread(call)

    return called


def look_at(store: Store, ours: Settings) -> LookAtStanding:
    return LookAtStanding(store, ours, SesStanding, None, late_seconds=0)


async def test_a_page_an_answer_gauges_and_a_note_in_health(
    dsn: str, direct_store: Store, arrange: Arrange, ses_sandbox: SandboxServer
) -> None:
    ours = settings_for(dsn, ses_sandbox.url)
    async with in_process(ours, with_sender=False) as service, signed_in(service) as visitor:
        assert (await service.http.get("/standing")).status_code == 401
        page = (await visitor.get("/standing")).text
        assert "Nothing was looked at yet." in page
        assert "standing" not in (await service.health())["checks"]

        await stage_events(
            arrange,
            {
                ("yahoo.com", "delivery"): 1_000,
                ("yahoo.com", "complaint"): 4,
                ("gmail.com", "delivery"): 2_000,
                ("posteo.de", "delivery"): 20,
            },
        )
        ses_sandbox.standing(
            entities=[{"reference": ARN, "aws": {"status": "DISABLED", "cause": "<b>Spam</b>"}}],
            denied=["GetDedicatedIps"],
        )
        await look_at(direct_store, ours).look()

        found = (await service.http.get("/standing", headers=BEARER)).json()
        assert found["verdict"]["level"] == "fail"
        assert [one["code"] for one in found["alarms"]] == [
            "rate:complaints",
            f"reputation:{REGION}:sending:{ARN}",
        ]
        by_provider = {one["provider"]: one for one in found["rates"]["7"]}
        assert by_provider["Yahoo and AOL"]["complaint_rate"]["value"] == 0.004
        assert by_provider["Gmail"]["complaint_rate"] is None
        assert by_provider["Gmail"]["feedback"] == "never"
        assert by_provider["Posteo"]["bounce_rate"]["value"] is None
        [region] = found["regions"]
        assert (region["ips"]["state"], region["isps"]["state"]) == ("unknown", "off")
        assert found["days"][-1]["delivered"] == 3_020

        page = (await visitor.get("/standing")).text
        assert "2 things must be put right." in page
        assert "Amazon has stopped sending as identity/example.com" in page
        assert "Spam" in page
        assert "<b>Spam" not in page
        assert "it tells SES of no complaint" in page
        assert "0 of 20: too few to tell" in page
        assert "perhaps it tells of none" in page, "Posteo: nobody knows"
        assert "ses:GetDedicatedIps" in page
        assert "Not asked: the Virtual Deliverability Manager is not on." in page
        assert "24 hours" in (await visitor.get("/standing?days=1")).text
        assert (await visitor.get("/standing?days=2")).status_code == 404

        gauges = (await service.http.get("/metrics")).text
        assert 'amazonsender_standing_alarms{level="fail"} 2.0' in gauges
        labels = 'days="7",provider="Yahoo and AOL"'
        assert f"amazonsender_standing_complaint_ratio{{{labels}}} 0.004" in gauges
        assert 'complaint_ratio{days="7",provider="Gmail"}' not in gauges
        assert 'standing_mails{days="7",provider="Posteo"} 20.0' in gauges
        health = await eventually(
            service.health, until=lambda report: "standing" in report["checks"]
        )
        assert health["checks"]["standing"]["status"] == "warn"
        assert "And 1 more." in health["checks"]["standing"]["detail"]
        account = await eventually(
            lambda: visitor.get("/account"), until=lambda page: "Your standing" in page.text
        )
        assert 'href="/dashboard/standing"' in account.text

        asked = await visitor.post("/standing/look")
        assert "notice=asked" in asked.headers["location"]
        assert "Looking…" in (await visitor.get("/standing?notice=asked")).text
        jobs = (await visitor.get("/jobs")).text
        assert "Look at the sender’s standing" in jobs


async def test_the_service_looks_by_itself(
    dsn: str, direct_store: Store, ses_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a background job, in the process that sends; the owner gets a mail of what is new."""
    monkeypatch.setattr("app.services.standing.look.POLL_SECONDS", 0.05)
    ses_sandbox.account(max_send_rate=100)
    ses_sandbox.standing(entities=[{"reference": ARN, "impact": "LOW"}])
    ours = settings_for(dsn, ses_sandbox.url, OWNER_EMAIL="owner@example.com")
    async with in_process(ours) as service:
        seen = await eventually(
            direct_store.show_standing, until=lambda row: row["looked_at"] is not None
        )
        [region] = seen["regions"]
        assert region["sample"]["account"]["enforcement_status"] == "HEALTHY"
        [job] = await eventually(
            lambda: service.services.jobs.list_jobs(5),
            until=lambda rows: rows[0]["state"] == "done",
        )
        assert job["result"] == {"regions": 1, "alarms": 1, "new": 1, "over": 0}
        [mail] = await eventually(
            asynchronous(lambda: ses_sandbox.mails("owner@example.com")), until=bool
        )
        assert mail["subject"].startswith("Amazon has a finding on the reputation of identity/")
        assert "/dashboard/standing" in ses_sandbox.mail(mail["message_id"])["text"]


async def test_without_sending_nothing_is_looked_at(dsn: str, direct_store: Store) -> None:
    ours = settings_for(dsn, None, SES_FROM_EMAIL=None)
    assert standing_work(direct_store, ours) is None
    async with in_process(ours, with_sender=False) as service, signed_in(service) as visitor:
        asked = await visitor.post("/standing/look")
        assert "notice=off" in asked.headers["location"]


def test_the_command_looks_and_tells(
    dsn: str, ses_sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = settings_for(dsn, ses_sandbox.url)
    monkeypatch.setattr("app.settings.load_settings", lambda: ours)
    first = CliRunner().invoke(app, ["standing"])
    assert (first.exit_code, first.output.splitlines()[0][:31]) == (
        0,
        "warn Nothing was looked at yet.",
    )
    looked = CliRunner().invoke(app, ["standing", "--look"])
    assert looked.exit_code == 0, looked.output
    assert "ok   Of all that could be asked, nothing stands between" in looked.output
    assert f"{REGION}: account: healthy, may send; 0 sent in 24 hours" in looked.output
    assert "block lists in DNS: not asked: `DNSBL_ZONES` is not set" in looked.output
    ses_sandbox.account(enforcement_status="SHUTDOWN")
    stopped = CliRunner().invoke(app, ["standing", "--look", "--json"])
    assert stopped.exit_code == 1
    assert (
        json.loads(stopped.output[stopped.output.index("{\n") :])["alarms"][0]["code"]
        == f"account:{REGION}:sending"
    )
    monkeypatch.setattr(
        "app.settings.load_settings", lambda: settings_for(dsn, None, SES_FROM_EMAIL=None)
    )
    refused = CliRunner().invoke(app, ["standing", "--look"])
    assert isinstance(refused.exception, ConfigurationError)
    assert "SES_FROM_EMAIL" in str(refused.exception)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"dnsbl_zones": "bl.example"}, "DNS_RESOLVERS"),
        ({"dnsbl_zones": "bl example", "dns_resolvers": "system"}, "DNSBL_ZONES"),
    ],
)
def test_settings_that_make_no_sense_stop_the_start(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_settings(None, **values)


def test_the_key_in_the_name_of_a_list_is_not_shown() -> None:
    ours = load_settings(None, dnsbl_zones="secretkey.bl.example", dns_resolvers="system")
    assert ours.dnsbl_zones == ("secretkey.bl.example",)
    assert "secretkey" not in repr(ours)


NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("alarms", "account", "at", "level", "words"),
    [
        ((), True, None, "warn", "Nothing was looked at"),
        (
            (),
            True,
            "2026-11-26T11:30:00+00:00",
            "ok",
            "Of all that could be asked, nothing stands between",
        ),
        ((), True, "2026-11-26T08:30:00+00:00", "warn", "hours old"),
        ((), False, "2026-11-26T11:30:00+00:00", "warn", "didn’t say"),
        (("warn",), True, "2026-11-26T11:30:00+00:00", "warn", "1 thing should"),
        (("warn", "fail"), False, "2026-11-26T08:30:00+00:00", "fail", "1 thing must"),
    ],
)
def test_what_it_comes_to(
    alarms: tuple[str, ...], account: bool, at: str | None, level: str, words: str
) -> None:
    from tests.standing.test_alarms import HEALTHY

    regions = [RegionStanding(REGION, HEALTHY if account else None)]
    found = verdict([Alarm("x", one, "", "", "") for one in alarms], regions, at, NOW)
    assert found.level == level
    assert words in found.what
