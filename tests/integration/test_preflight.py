"""A preflight names what could go wrong with a mailout, with remedies, and forbids nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from app.outside import OUTSIDE
from app.sandbox.server import SandboxServer
from app.services.checks.preflight import Preflight
from app.services.checks.web import Web, WebAnswer
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account
from tests.support.service import (
    BEARER,
    Service,
    command,
    environment,
    in_process,
    settings_for,
)
from tests.support.waiting import eventually


async def preflight(service: Service, mailout: UUID, **body: Any) -> dict[str, Any]:
    answer = await service.http.post(
        f"/mailouts/{mailout}/preflight", json=body or None, headers=BEARER
    )
    assert answer.status_code == 200, answer.text
    report: dict[str, Any] = answer.json()
    for finding in report["findings"]:
        assert finding["level"] in {"ok", "warn", "fail"}
        assert finding["remedy"] or finding["level"] == "ok", finding
    assert report["ok"] is not any(f["level"] == "fail" for f in report["findings"])
    return report


def said(report: dict[str, Any], level: str) -> list[str]:
    return [f["what"] for f in report["findings"] if f["level"] == level]


@pytest.fixture
async def careful(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """Everything set, so that a finding is about the mailout."""
    settings = settings_for(dsn, sandbox.url, OWNER_EMAIL="me@example.com", RATE_LIMIT_PER_SEC=None)
    async with in_process(settings) as service:
        yield service


async def about_mailout(service: Service, mailout: UUID) -> list[str]:
    """Warnings and failures that a mailout without fault does not have."""
    report = await preflight(service, mailout)
    usual = ("Mails go to http://127.0.0.1", "The configuration set sandbox has no SNS")
    return [w for w in said(report, "fail") + said(report, "warn") if not w.startswith(usual)]


async def test_a_tested_mailout_with_fitting_readers_has_nothing_against_it(
    careful: Service, arrange: Arrange
) -> None:
    await arrange.subscribers(3)
    mailout = await arrange.mailout(subject="Hi {{ name }}")
    await careful.send(mailout, test=True)
    await eventually(lambda: arrange.one("select account from send_rates"), until=bool)
    report = await preflight(careful, mailout)
    assert await about_mailout(careful, mailout) == []
    assert report["ok"] is True
    assert (report["recipients"], report["status"], report["days"]) == (3, "ready", 1)
    assert "3 recipients would get it." in said(report, "ok")
    assert (await careful.show(mailout))["status"] == "ready"


ODD: list[tuple[dict[str, Any], str]] = [
    ({"status": "draft"}, "a request to send it is refused"),
    ({"subject": "x" * 90}, "The subject has 90 characters"),
    ({"subject": "{{ fields.none }}"}, "The subject is empty"),
    ({"body_html": "<img src='https://example.com/a.png' alt=''>"}, "nothing but the footer"),
    ({"body_html": "<p><a href='/about'>us</a></p>"}, "“/about” leads nowhere"),
    ({"body_html": "<p>" + "x" * 103_000 + "</p>"}, "Gmail cuts it at 102 KB"),
    ({"body_html": "<p>Dear {first_name}</p>"}, "“{first_name}” (body_html)"),
    ({"body_html": "<p>{{ fields.city }}</p>"}, "3 recipients of all lack fields.city"),
    (
        {"body_html": "<p>{{ fields.N | default: 'many' }}</p>"},
        "has the field “N”; there is “n”",
    ),
    (
        {"body_html": "<p>{{ 1 | divided_by: fields.n }}</p>"},
        "2 recipients of all would get",
    ),
]


async def test_what_is_odd_about_a_mailout_is_a_warning(careful: Service, arrange: Arrange) -> None:
    await arrange.subscribers(2)
    await arrange.subscriber(fields={"n": "2"})
    for columns, words in ODD:
        mailout = await arrange.mailout(**columns)
        await careful.send(mailout, test=True)
        report = await preflight(careful, mailout)
        assert report["ok"] is True, columns
        assert any(words in what for what in said(report, "warn")), report["findings"]


@pytest.mark.short
async def test_a_template_that_fails_for_everybody_forbids_sending(
    careful: Service, arrange: Arrange
) -> None:
    """By a sample and by a dry run alike; who gets no mail anyhow doesn't count."""
    for number in range(3):
        await arrange.subscriber(fields={"points": f"n/a {number}"})
    await arrange.subscriber(status="bounced", fields={"points": "100"})
    mailout = await arrange.mailout(body_html="<p>{% if fields.points > 100 %}Hi{% endif %}</p>")
    for _ in range(2):
        report = await preflight(careful, mailout)
        assert report["ok"] is False
        (fault,) = (f for f in said(report, "fail") if "Nobody" in f)
        assert "3 recipients" in fault
        assert "body_html" in fault
        assert "fields.points > 100" in fault
        await careful.send(mailout, dry_run=True)
        await eventually(
            lambda: arrange.one("select report ->> 'state' from dry_runs"),
            until=lambda state: state == "done",
        )


async def test_a_template_that_cannot_be_sent_fails_with_its_place(
    careful: Service, arrange: Arrange
) -> None:
    mailout = await arrange.mailout(body_html="<p>\n{{ nmae }}</p>")
    report = await preflight(careful, mailout)
    assert report["ok"] is False
    assert any("line 2" in what and "nmae" in what for what in said(report, "fail"))


async def test_what_is_over_cannot_be_sent(careful: Service, arrange: Arrange) -> None:
    mailout = await arrange.mailout("sent")
    assert "The mailout is sent: a request to send it is refused." in said(
        await preflight(careful, mailout), "fail"
    )


@pytest.mark.short
async def test_untested_and_edited_content_is_warned_about(
    careful: Service, arrange: Arrange
) -> None:
    await arrange.subscribers(1)
    mailout = await arrange.mailout()
    assert await about_mailout(careful, mailout) == ["No test mail of this mailout was ever sent."]
    await careful.send(mailout, test=True)
    await arrange.sql.execute("update mailouts set subject = 'Another' where id = %s", [mailout])
    (warning,) = await about_mailout(careful, mailout)
    assert "edited since" in warning


async def test_nobody_to_look_at_it_and_nobody_to_be_told(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url, TEST_EMAILS=None)) as service:
        warned = said(await preflight(service, mailout), "warn")
    assert any("TEST_EMAILS" in what for what in warned)
    assert any("OWNER_EMAIL" in what for what in warned)


async def test_a_quota_that_does_not_suffice_tells_the_days(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    await arrange.subscribers(300)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
        account = an_account(max_send_rate=10, max_24h_send=200, sent_last_24h=100)
        await direct_store.record_account(REGION, account)
        report = await preflight(service, mailout)
    assert (report["quota_left"], report["daily_quota"], report["days"]) == (100, 200, 2)
    assert any("100 of 200 are left, so it goes out on 2 days" in w for w in said(report, "warn"))


async def test_the_mailouts_own_sender_is_the_one_that_is_checked(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout(from_email="other@else.example", configuration_set="nowhere")
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        report = await preflight(service, mailout)
    assert any("else.example" in what for what in said(report, "ok"))
    assert any("no configuration set nowhere" in what for what in said(report, "fail"))


@pytest.mark.short
async def test_a_dry_run_of_the_same_content_speaks_for_all_readers(
    careful: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first readers stand for the others."""
    monkeypatch.setattr("app.services.checks.content.SAMPLE", 5)
    await arrange.subscribers(12)
    mailout = await arrange.mailout(body_html="<p>{{ fields.city }}</p>")
    warned = said(await preflight(careful, mailout), "warn")
    assert any("5 recipients of the first 5 lack fields.city" in what for what in warned)
    await careful.send(mailout, dry_run=True)
    await eventually(
        lambda: careful.services.dry_runs.report(mailout), until=lambda r: r["state"] == "done"
    )
    warned = said(await preflight(careful, mailout), "warn")
    assert any("12 recipients of all lack fields.city" in what for what in warned)


async def test_an_account_in_the_ses_sandbox_is_told(
    dsn: str, arrange: Arrange, sandbox: SandboxServer
) -> None:
    await arrange.subscriber()
    mailout = await arrange.mailout()
    sandbox.account(production_access=False)
    try:
        async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as service:
            report = await preflight(service, mailout)
    finally:
        sandbox.account(production_access=True)
    assert any("only verified addresses get mail" in what for what in said(report, "warn"))
    assert report["ok"] is True


async def test_without_the_settings_it_says_which(
    dsn: str, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    settings = settings_for(
        dsn, sandbox.url, SES_FROM_EMAIL=None, UNSUBSCRIBE_SECRET=None, AWS_REGION=None
    )
    async with in_process(settings) as service:
        report = await preflight(service, mailout)
    for name in ("SES_FROM_EMAIL", "UNSUBSCRIBE_SECRET", "AWS_REGION"):
        assert f"{name} is missing." in said(report, "fail")


async def test_unknown_mailouts_and_malformed_bodies(careful: Service, arrange: Arrange) -> None:
    async def post(mailout: UUID, body: Any) -> httpx.Response:
        return await careful.http.post(f"/mailouts/{mailout}/preflight", json=body, headers=BEARER)

    assert (await post(uuid4(), {})).status_code == 404
    assert (await post(await arrange.mailout(), {"link": True})).status_code == 422


class Recording(Web):
    """Knows which links it was asked for; none goes out."""

    asked: list[str]

    async def ask(self, url: str) -> WebAnswer:
        self.asked.append(url)
        return WebAnswer(404 if url.endswith("/gone") else 200)


async def test_links_are_asked_only_on_demand_and_never_the_unsubscribe_link(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    await arrange.subscribers(1)
    body = "<a href='https://a.example/gone'>x</a><a href='https://b.example/'>y</a>"
    mailout = await arrange.mailout(body_html=f"<p>{body}</p>")
    Recording.asked = []
    check = Preflight(direct_store, settings_for(dsn, sandbox.url), replace(OUTSIDE, web=Recording))
    quiet = await check(mailout)
    assert (quiet["links_checked"], Recording.asked) == (False, [])
    report = await check(mailout, links=True)
    assert report["links_checked"] is True
    assert sorted(Recording.asked) == ["https://a.example/gone", "https://b.example/"]
    assert "The link https://a.example/gone is dead: it answers 404." in said(report, "warn")
    assert await arrange.one("select status from subscribers") == "active"


async def test_the_endpoint_keeps_links_out_of_our_own_network(
    careful: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    await arrange.subscribers(1)
    mailout = await arrange.mailout(body_html=f"<p><a href='{sandbox.url}/x'>x</a></p>")
    warned = said(await preflight(careful, mailout, links=True), "warn")
    assert any("leads to a private address" in what for what in warned)


@pytest.mark.short
async def test_the_doctor_tells_the_same_of_a_mailout(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, tmp_path: Path
) -> None:
    await arrange.subscribers(2)
    good = await arrange.mailout(body_html="<p>{{ fields.city }}</p>")
    bad = await arrange.mailout(subject="{{ nope }}")
    variables = environment(dsn, sandbox.url)

    async def doctor(*arguments: object) -> Any:
        return await asyncio.to_thread(command, tmp_path, variables, "doctor", *map(str, arguments))

    found = await doctor(good)
    assert found.returncode == 0, found.stdout
    assert "2 recipients of all lack fields.city" in found.stdout
    assert "warn No test mail of this mailout was ever sent. →" in found.stdout
    assert (await doctor(bad)).returncode == 1
    unknown = await doctor(uuid4())
    assert unknown.returncode == 1
    assert "There is no mailout" in unknown.stderr
    assert (await doctor("--links")).returncode == 2
