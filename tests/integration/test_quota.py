"""SES's daily quota is used up: the mailout waits, says until when, and goes on by itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.adapters.aws.ses import aws_client
from app.domain.sending.batches import Account
from app.sandbox.server import SandboxServer
from app.services.sending.account import AccountMonitor
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually

READERS, QUOTA = 30, 20
DAY = timedelta(hours=24)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """SES is asked for the account every moment, not every minute."""
    monkeypatch.setattr("app.services.sending.account.REFRESH_SECONDS", 0.1)


@pytest.fixture
async def service(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    sandbox.account(max_24h_send=QUOTA)
    async with in_process(settings_for(dsn, sandbox.url)) as running:
        yield running


def others_send(sandbox: SandboxServer, mails: int) -> None:
    """Another program uses the same account."""
    settings = settings_for("postgresql://unused", sandbox.url)
    client = aws_client(settings, "sesv2", region=settings.aws_region)
    for _ in range(mails):
        client.send_email(
            FromEmailAddress=settings.ses_from_email,
            Destination={"ToAddresses": ["somebody@example.com"]},
            Content={"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Not ours"}}}},
        )


async def seen(service: Service, mailout: UUID, status: str, words: str = "") -> dict[str, Any]:
    return await eventually(
        lambda: service.show(mailout),
        until=lambda s: s["status"] == status and words in (s["status_reason"] or ""),
    )


def expected_at(reason: str) -> datetime:
    found = re.search(r"from about (\d{4}-\d\d-\d\d \d\d:\d\d) UTC", reason)
    assert found is not None, reason
    return datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)


async def test_what_we_used_ourselves_frees_a_day_later(
    service: Service, arrange: Arrange, sandbox: SandboxServer
) -> None:
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    before = datetime.now(UTC)
    await service.send(mailout)
    waiting = await seen(service, mailout, "paused", "expected from")
    at = expected_at(waiting["status_reason"])
    assert before + DAY <= at <= datetime.now(UTC) + DAY + timedelta(minutes=1)
    # The pause comes with the claim after the last that the quota allowed, which may be under way.
    await eventually(lambda: arrange.counts(mailout), until=lambda rows: "sending" not in rows)
    assert len(sandbox.accepted()) == QUOTA

    sandbox.account(max_24h_send=1_000)
    done = await seen(service, mailout, "sent")
    assert done["status_reason"] is None
    assert sorted(line["to"] for line in sandbox.accepted()) == sorted(
        f"reader{n}@example.com" for n in range(1, READERS + 1)
    )


@pytest.mark.short
@pytest.mark.parametrize("known", [True, False], ids=["before the claim", "when SES refuses"])
async def test_what_others_used(
    dsn: str, arrange: Arrange, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    """Nobody here can tell until when: the reason says who, and that SES is asked again."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    sandbox.account(max_24h_send=QUOTA)
    if not known:
        monkeypatch.setattr("app.services.sending.account.REFRESH_SECONDS", 1.0)
    else:
        await asyncio.to_thread(others_send, sandbox, QUOTA)
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        if not known:
            await eventually(
                lambda: arrange.one("select account from send_rates"), until=lambda a: a
            )
            await asyncio.to_thread(others_send, sandbox, QUOTA)
        await service.send(mailout)
        waiting = await seen(service, mailout, "paused", "others use this account")
        assert "SES is asked again every" in waiting["status_reason"]
        assert "expected" not in waiting["status_reason"]
        sandbox.account(max_24h_send=1_000)
        await seen(service, mailout, "sent")
    assert len(sandbox.accepted()) == QUOTA + READERS


@pytest.mark.short
async def test_the_reason_follows_what_is_known(service: Service, arrange: Arrange) -> None:
    """The time has come and others took what freed: it doesn't go on telling of the past."""
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await service.send(mailout)
    await seen(service, mailout, "paused", "expected from")
    await arrange.sql.execute("update send_batches set claimed_at = now() - interval '25 hours'")
    await seen(service, mailout, "paused", "others use this account")


@pytest.mark.parametrize(("used", "status"), [(99, "sending"), (99.5, "paused"), (100, "paused")])
async def test_one_place_is_enough_to_go_on(
    direct_store: Store, arrange: Arrange, used: float, status: str
) -> None:
    class Source:
        def get_account(self) -> Account:
            return an_account(max_24h_send=100, sent_last_24h=used)

    mailout = await arrange.mailout("sending")
    await direct_store.pause_mailout(mailout, "quota", "SES's daily quota is used up.")
    await AccountMonitor(direct_store, Source(), REGION, lambda: None).refresh()
    assert (await direct_store.show_mailout(mailout))["status"] == status


async def test_the_first_that_frees_counts(store: Store, arrange: Arrange) -> None:
    """Refused calls used nothing, other regions have a quota of their own."""
    now = datetime.now(UTC)
    batches = [
        (25, REGION, 50), (20, REGION, 0), (19, "eu-west-1", 50), (13.5, REGION, 7),
        (13.2, REGION, 50), (2, REGION, 50),
    ]  # fmt: skip
    assert await store.quota_frees_at(REGION) is None
    for hours, region, accepted in batches:
        at = now - timedelta(hours=hours)
        await arrange.sql.execute(
            "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids,"
            " token_at, claimed_at, recorded_at, accepted)"
            " values (%s, %s, %s, %s, '{1}', %s, %s, %s, %s)",
            [uuid4(), uuid4(), uuid4(), region, at, at, at, accepted],
        )
    frees_at = await store.quota_frees_at(REGION)
    assert frees_at == now + timedelta(hours=24 - 13.5)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("quota", [2.0**31, 1e15])
async def test_a_quota_beyond_integers_is_shown_and_used(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, quota: float
) -> None:
    """In the answer, on the pages, in the figures, and by the sender."""
    sandbox.account(max_24h_send=quota, max_send_rate=2.0**31)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await eventually(lambda: arrange.one("select account from send_rates"), until=bool)
        answer = await service.send(mailout)
        assert answer.json()["days"] == 1
        assert answer.json()["daily_quota"] == quota
        await seen(service, mailout, "sent")
        report = await service.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
        assert report.status_code == 200
        assert (await service.http.get("/metrics", headers=BEARER)).status_code == 200
        assert (await service.http.get("/health")).json()["checks"]["ses"]["status"] == "ok"
        overview = await service.services.store.account_overview(REGION)
        assert overview["account"]["max_24h_send"] == quota
