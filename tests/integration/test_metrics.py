"""`GET /metrics`: what Prometheus sees, of this process and of the database."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.domain.ses.answers import Answer
from app.sandbox.server import SandboxServer
from app.store import Store
from app.telemetry.cloudwatch import CloudWatch
from app.telemetry.database_gauges import DatabaseGauges
from app.telemetry.metrics import Metrics
from tests.support.databases import DatabaseServer
from tests.support.factories import (
    REGION,
    Arrange,
    all_sent,
    an_account,
    claim,
    living_sender,
    started_mailout,
)
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually

Samples = Mapping[tuple[str, tuple[str, ...]], float]

SENT = ("recipients_total", ("sent",))
"""Counted once the database has it, so a moment after the mailout shows there."""


async def scrape(service: Service) -> Samples:
    """Samples by name (without the prefix) and label values."""
    answer = await service.http.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


def read(page: str) -> Samples:
    return {
        (sample.name.removeprefix("amazonsender_"), tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    }


def event(kind: str, number: int, **changes: Any) -> dict[str, Any]:
    """A row of domain/ses/events.py:to_row, as far as counting it goes."""
    return {
        "sns_message_id": str(number),
        "type": kind,
        "occurred_at": datetime.now(UTC).isoformat(),
        "bounce_type": None,
        "bounce_subtype": None,
        **changes,
    }


async def test_it_is_prometheus_text_for_anybody(service: Service) -> None:
    answer = await service.http.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs Debian's package prometheus")
async def test_promtool_finds_nothing_to_say(service: Service, arrange: Arrange) -> None:
    await arrange.mailout()
    page = (await service.http.get("/metrics")).content
    judged = await asyncio.to_thread(
        subprocess.run, ["promtool", "check", "metrics"], input=page, capture_output=True
    )
    assert (judged.returncode, judged.stdout, judged.stderr) == (0, b"", b"")


async def test_known_series_start_at_zero(service: Service) -> None:
    """Else the first event of a kind would not show as growth."""
    samples = await scrape(service)
    zero = [
        ("recipients_total", ("unknown",)),
        ("ses_calls_total", ("SendBulkEmail", REGION, "throttled")),
        ("ses_events_total", ("complaint",)),
        ("bounces_total", ("permanent",)),
        ("sns_messages_refused_total", ("bad_signature",)),
        ("mailouts", ("paused",)),
        ("recipients_queued", ()),
    ]
    assert [samples[key] for key in zero] == [0] * len(zero)


async def test_a_mailout_shows_in_calls_recipients_and_gauges(
    service: Service, arrange: Arrange, sandbox: SandboxServer
) -> None:
    await arrange.subscribers(120)
    mailout = await arrange.mailout()
    await service.send(mailout)
    await eventually(lambda: service.show(mailout), until=lambda s: s["status"] == "sent")
    samples = await eventually(lambda: scrape(service), until=lambda s: s[SENT] == 120)
    calls = samples["ses_calls_total", ("SendBulkEmail", REGION, "ok")]
    assert calls == sandbox.stats()["requests"]["SendBulkEmail"]
    assert calls == samples["ses_call_seconds_count", (REGION,)]
    assert samples["ses_calls_total", ("GetAccount", REGION, "ok")] >= 1
    assert samples["mailouts", ("sent",)] == 1
    assert samples["senders", ()] == 1
    assert samples["ses_breaker_state", ("closed",)] == 1
    assert samples["ses_sending_enabled", ("us-east-1",)] == 1
    assert samples["ses_enforcement_status", ("us-east-1", "HEALTHY")] == 1
    assert samples["database_up", ()] == 1


async def test_test_mails_are_calls_but_no_recipients(service: Service, arrange: Arrange) -> None:
    mailout = await arrange.mailout("draft")
    assert (await service.send(mailout, test=True)).status_code == 202
    sent = "select count(*) from send_logs where is_test and status = 'sent'"
    await eventually(lambda: arrange.one(sent), until=lambda n: n == 2)
    samples = await scrape(service)
    assert samples["ses_calls_total", ("SendBulkEmail", REGION, "ok")] >= 1
    assert samples[SENT] == 0


async def test_calls_beside_a_mailout_count_too(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mail to the owner, and the reading of SES's suppression list."""
    monkeypatch.setattr("app.services.watching.watchdog.LOOK_SECONDS", 0.05)
    await arrange.subscribers(3)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url, OWNER_EMAIL="me@example.org")) as service:
        await service.send(mailout)
        samples = await eventually(
            lambda: scrape(service),
            until=lambda s: (
                s["ses_calls_total", ("SendEmail", REGION, "ok")]
                and s["ses_calls_total", ("ListSuppressedDestinations", REGION, "ok")]
            ),
        )
        requests = sandbox.stats()["requests"]
    for operation in ("SendEmail", "ListSuppressedDestinations"):
        assert samples["ses_calls_total", (operation, REGION, "ok")] == requests[operation] == 1


async def test_what_the_watchdog_warns_of_is_shown(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    """Accepted minutes ago, and no event came: the same finding as in the log and in /health."""
    mailout = await started_mailout(direct_store, arrange, 60)
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    await direct_store.record_results(batch.attempt_id, all_sent(batch))
    await arrange.sql.execute(
        "update send_batches set claimed_at = now() - interval '20 minutes', "
        "recorded_at = now() - interval '20 minutes'"
    )
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
        samples = await scrape(service)
    assert samples["watchdog_findings", ("events_missing",)] == 50
    assert samples["watchdog_findings", ("messages_refused",)] == 0


async def test_what_is_not_ours_is_counted_with_its_reason(service: Service) -> None:
    await service.http.post("/ses-events", content=b"nonsense")
    await service.http.post("/ses-events", content=b"x" * 400_000)
    samples = await scrape(service)
    assert samples["sns_messages_refused_total", ("malformed_sns_message",)] == 1
    assert samples["sns_messages_refused_total", ("payload_too_large",)] == 1


async def test_nothing_personal_is_shown(
    service: Service, arrange: Arrange, sandbox: SandboxServer
) -> None:
    await arrange.subscriber("canary.reader@example.com", name="Canary")
    mailout = await arrange.mailout(subject="Canary subject")
    await service.send(mailout)
    await eventually(lambda: service.show(mailout), until=lambda s: s["status"] == "sent")
    page = (await service.http.get("/metrics")).text
    assert "@" not in page
    assert "anary" not in page
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", page)


async def test_without_the_database_the_rest_is_still_shown(
    dsn: str, sandbox: SandboxServer, postgres_server: DatabaseServer
) -> None:
    """Within the seconds that a scrape may take; and it comes back by itself."""
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
        with postgres_server.frozen():
            samples = await scrape(service)
            assert samples["database_up", ()] == 0
            assert ("recipients_queued", ()) not in samples
            assert ("ses_events_total", ("bounce",)) in samples
        await eventually(lambda: scrape(service), until=lambda s: s["database_up", ()] == 1)


@pytest.mark.short
async def test_two_services_count_their_own_and_agree_on_the_database(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(400)
    mailout = await arrange.mailout()
    settings = settings_for(dsn, sandbox.url)
    async with in_process(settings) as one, in_process(settings) as two:
        await eventually(one.services.store.count_executors, until=lambda n: n == 2)
        await one.send(mailout)
        await eventually(lambda: one.show(mailout), until=lambda s: s["status"] == "sent")
        first, second = await eventually(
            lambda: asyncio.gather(scrape(one), scrape(two)),
            until=lambda pages: sum(page[SENT] for page in pages) == 400,
        )
    assert first["senders", ()] == second["senders", ()] == 2


async def test_the_database_is_asked_seldom(store: Store, arrange: Arrange) -> None:
    meters = Metrics()
    now = 1_000.0
    gauges = DatabaseGauges(store, meters, lambda: now)
    await gauges.refresh()
    await arrange.mailout("ready")
    now += 9
    await gauges.refresh()
    assert read(meters.page().decode())["mailouts", ("ready",)] == 0
    now += 1
    await gauges.refresh()
    assert read(meters.page().decode())["mailouts", ("ready",)] == 1


async def test_the_snapshot_counts_what_waits_and_what_nobody_knows(
    store: Store, arrange: Arrange
) -> None:
    """Over each way to the database; the unknown of long ago are no news."""
    mailout = await started_mailout(store, arrange, 10)
    sender = await living_sender(
        store, rate=20, account=an_account(max_send_rate=14, max_24h_send=200, sent_last_24h=100)
    )
    batch = await claim(store, mailout, sender, limit=4)
    await store.record_results(batch.attempt_id, all_sent(batch)[:2])
    await arrange.sql.execute("update send_logs set status = 'unknown' where status = 'sending'")
    snapshot = await store.metrics_snapshot()
    assert (snapshot["queued"], snapshot["unknown"], snapshot["senders"]) == (6, 2, 1)
    assert snapshot["mailouts"] == {"sending": 1}
    [region] = snapshot["regions"]
    assert (region["rate"], region["max_rate"]) == (14, 14)
    assert (region["quota"], region["quota_used"]) == (200, 104)
    assert 0 <= region["tokens"] <= 14
    await store.pause_mailout(mailout, "quota", "used up")
    snapshot = await store.metrics_snapshot()
    assert (snapshot["unknown"], snapshot["paused"]) == (2, {"quota": 1})
    await arrange.sql.execute(
        "update mailouts set status = 'sent', sent_at = now() - interval '8 days'"
    )
    snapshot = await store.metrics_snapshot()
    assert snapshot["unknown"] == 0


@pytest.mark.parametrize(
    ("next_token_in", "tokens"), [(60.0, 0), (-0.05, 1), (-0.35, 2), (-3.0, 4), (-86_400.0, 4)]
)
async def test_tokens_are_those_that_are_due(
    direct_store: Store, arrange: Arrange, next_token_in: float, tokens: int
) -> None:
    """At four a second; never more than a second's. A slow machine may find more to be due."""
    await living_sender(direct_store, rate=4)
    await arrange.sql.execute(
        "create function snapshot_at(p_seconds double precision) returns jsonb language plpgsql as "
        "$$ begin update send_rates set next_token_at = clock_timestamp() "
        "+ make_interval(secs => p_seconds); return metrics_snapshot(); end $$"
    )
    snapshot = await arrange.one("select snapshot_at(%s)", next_token_in)
    overdue = float(
        await arrange.one(
            "select extract(epoch from clock_timestamp() - next_token_at) from send_rates"
        )
    )
    due_by_now = 0 if overdue < 0 else min(4, 1 + int(overdue * 4))
    assert tokens <= snapshot["regions"][0]["tokens"] <= due_by_now


def test_events_are_counted_once_and_bounces_by_kind() -> None:
    meters = Metrics()
    rows = [
        event("bounce", 1, bounce_type="Permanent", bounce_subtype="General"),
        event("bounce", 2, bounce_type="Permanent", bounce_subtype="OnAccountSuppressionList"),
        event("bounce", 3, bounce_type="Transient", bounce_subtype="MailboxFull"),
        event("delivery", 4),
        event("delivery", 4),
        event("delivery", 5, occurred_at=(datetime.now(UTC) - timedelta(hours=2)).isoformat()),
    ]
    meters.events_committed(rows, {"new": 5, "matched": 4, "copies": ["4"]})
    samples = read(meters.page().decode())
    assert samples["ses_events_total", ("bounce",)] == 3
    assert samples["ses_events_total", ("delivery",)] == 2
    kinds = {kind: samples["bounces_total", (kind,)] for kind in ("permanent", "suppressed")}
    assert kinds == {"permanent": 1, "suppressed": 1}
    assert samples["ses_event_copies_total", ()] == 1
    assert samples["ses_events_unmatched_total", ()] == 1
    assert samples["ses_event_lag_seconds_bucket", ("3600.0",)] == 4
    assert samples["ses_event_lag_seconds_count", ()] == 5


def test_cloudwatch_is_told_the_growth_since_the_last_line() -> None:
    """Lines as the embedded metric format wants them; one dimension, nothing per recipient."""
    meters = Metrics(regions=("eu-west-1", "us-east-1"))
    cloudwatch = CloudWatch(meters, ("eu-west-1", "us-east-1"), now=lambda: 1_769_850_000.0)
    meters.recipients_lost(3)
    meters.call_ended("us-east-1", "SendBulkEmail", [Answer("sent"), Answer("sent")], 0.5)
    first, second = (list(map(json.loads, cloudwatch.lines())) for _ in range(2))
    home, away = first
    assert [home["Unknown"], second[0]["Unknown"]] == [3, 0]
    assert [line["SesCalls"] for line in (*first, *second)] == [0, 1, 0, 0]
    assert [line["SesAccepted"] for line in (*first, *second)] == [0, 2, 0, 0]
    assert "Unknown" not in away, "what is of all together is told once"
    for region, line in zip(("eu-west-1", "us-east-1"), first, strict=True):
        about = line.pop("_aws")
        [directive] = about["CloudWatchMetrics"]
        assert about["Timestamp"] == 1_769_850_000_000
        assert directive["Dimensions"] == [["Region"]]
        assert line.pop("Region") == region
        assert {metric["Name"] for metric in directive["Metrics"]} == set(line)
        assert {metric["Unit"] for metric in directive["Metrics"]} == {"Count", "Seconds"}
