"""A person's word on the fallback, by command, API and dashboard; and what is said before it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from app.cli.fallback.commands import app
from app.domain.reports.remedies import remedy
from app.errors import AppError
from app.services.lists.statement import reason
from app.services.providers.check import check_in_place
from app.store import Store
from tests.support.dashboard import signed_in
from tests.support.factories import Arrange, started_mailout
from tests.support.service import BEARER, environment, in_process, settings_for
from tests.support.world import provider_variables

PROVIDERS = provider_variables("http://127.0.0.1:9")
BOTH = ["sendgrid", "mailgun"]


async def test_the_api(dsn: str, store: Store, arrange: Arrange) -> None:
    await started_mailout(store, arrange, 120)
    async with in_process(settings_for(dsn, None, **PROVIDERS), with_sender=False) as service:

        async def ask(method: str, path: str = "", **body: Any) -> dict[str, Any]:
            answer = await service.http.request(
                method, f"/fallback{path}", headers=BEARER, json=body or None
            )
            said: dict[str, Any] = answer.json() | {"http": answer.status_code}
            return said

        before = await ask("GET")
        assert (before["open"], before["providers"], before["name"]) == (False, BOTH, "SendGrid")
        assert before["consequences"][0].startswith("Queued now: 120 recipients.")
        odd = await ask("POST", "/open", provider="postmark")
        assert (odd["http"], "sendgrid, mailgun" in odd["detail"]) == (422, True)
        opened = await ask("POST", "/open", provider="mailgun", reason="A rehearsal.")
        assert (opened["http"], opened["changed"], opened["name"]) == (200, True, "Mailgun")
        assert (opened["by"], opened["reason"]) == ("owner", "A rehearsal.")
        assert (await ask("POST", "/open", provider="mailgun"))["changed"] is False
        health = (await service.health())["checks"]["fallback"]
        assert health == {
            "status": "warn",
            "provider": "mailgun",
            "detail": "Mailgun sends in SES's place: A rehearsal",
        }
        closed = await ask("POST", "/close")
        assert (closed["open"], closed["changed"]) == (False, True)
        assert [one["provider"] for one in closed["changes"]] == [None, "mailgun"]


async def test_nobody_is_let_send_where_nobody_is_named(dsn: str) -> None:
    async with in_process(settings_for(dsn, None), with_sender=False) as service:
        refused = await service.http.post("/fallback/open", headers=BEARER)
        assert (refused.status_code, refused.json()["code"]) == (409, "fallback_not_configured")
        assert "fallback" not in (await service.health())["checks"]
        async with signed_in(service) as visitor:
            assert "Nobody sends in SES’s place" in (await visitor.get("/fallback")).text
            assert (await visitor.get("/fallback/open")).status_code == 404


async def test_the_dashboard_asks_and_says_what_it_costs(
    dsn: str, store: Store, arrange: Arrange
) -> None:
    mailout = await started_mailout(store, arrange, 30)
    async with (
        in_process(settings_for(dsn, None, **PROVIDERS), with_sender=False) as service,
        signed_in(service) as visitor,
    ):
        shown = (await visitor.get("/fallback")).text
        assert "SendGrid, then Mailgun, once no region of SES has been able to send for" in shown
        asked = (await visitor.get("/fallback/open")).text
        assert "Queued now: 30 recipients." in asked
        assert "Let SendGrid or Mailgun send?" in asked
        assert "SendGrid or Mailgun bills each mail by your plan" in asked
        done = await visitor.post("/fallback/open", provider="mailgun", reason="<b>Now</b>")
        assert done.headers["location"] == "/dashboard/fallback?notice=opened"
        shown = (await visitor.get("/fallback")).text
        assert "Mailgun sends in SES’s place since" in shown
        assert "&lt;b&gt;Now&lt;/b&gt;" in shown
        assert "by <a href" in (await visitor.get("/audit?action=fallback")).text
        for path in ("", f"/mailouts/{mailout}"):
            assert "Mailgun sends in SES’s place since" in (await visitor.get(path)).text
        late = await visitor.get("/fallback/open")
        assert late.headers["location"].endswith("notice=late")
        assert (
            "isn’t asked again by itself for the same outage"
            in (await visitor.get("/fallback/close")).text
        )
        done = await visitor.post("/fallback/close")
        assert done.headers["location"].endswith("notice=closed")
        assert "Amazon SES alone sends." in (await visitor.get("/fallback")).text


def test_the_command(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # without a .env
    monkeypatch.setattr("app.cli.fallback.commands.run", asyncio.run)  # this process doesn't end
    for name, value in environment(dsn, None, **PROVIDERS).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, say: str = "", expect: int = 0) -> str:
        done = CliRunner().invoke(app, arguments, input=say)
        assert done.exit_code == expect, done.output
        if isinstance(done.exception, AppError):
            return done.exception.detail
        return done.output

    assert "Closed: SES alone sends. SendGrid and Mailgun could." in run("status")
    asked = run("open", say="n\n", expect=1)
    assert "bills each mail" in asked and "Open it?" in asked
    assert "go to Mailgun." in run("open", "mailgun", say="n\n", expect=1)
    assert "Closed" in run("status")
    assert "Open: SendGrid sends" in run("open", say="y\n")
    assert "Open: Mailgun sends" in run("open", "mailgun", "--yes", "--reason", "Full.")
    assert "by cli." in run("status") and "Full." in run("status")
    assert "doesn't name it" in run("open", "postmark", "--yes", expect=1)
    assert "Closed" in run("close")
    assert "Nothing was changed." in run("close")


def test_the_preflight_says_what_it_costs_and_where_a_domain_doesnt_fit() -> None:
    def said(**changes: str) -> list[tuple[str, str]]:
        settings = settings_for("postgresql://unused", None, **PROVIDERS | changes)
        found = check_in_place(settings, tracking="TRACKED" in changes, recipients=12_000)
        return [(finding.level, finding.what) for finding in found]

    [(level, cost)] = said()
    assert level == "ok"
    assert "for about 10 minutes, those who wait go by SendGrid, then Mailgun" in cost
    assert "12,000 recipients that is about 10 minutes" in cost
    [(_, by_hand)] = said(FALLBACK_AFTER_SECONDS="0")
    assert by_hand.startswith("When a person says so,")
    [_, (level, other)] = said(MAILGUN_DOMAIN="mail.example.org")
    assert (level, "isn't of the sender's domain example.com" in other) == ("warn", True)
    [_, (_, watched)] = said(TRACKED="yes")
    assert watched.startswith("Opens and clicks are then watched by SendGrid or Mailgun")


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        ("sent", None, "SendGrid took it; no delivery or bounce was reported yet."),
        ("unknown", "lost", "Nobody knows whether SendGrid took it, so it is not sent again by"),
        ("failed", "invalid", "SendGrid refused it."),
        ("failed", "reject", "SendGrid refused it after all"),
    ],
)
def test_what_is_said_of_a_recipient_names_who_had_the_mail(
    status: str, code: str | None, words: str
) -> None:
    row = {
        "status": status,
        "error_code": code,
        "error_message": None,
        "bounce_type": None,
        "bounce_subtype": None,
    }
    assert reason(row | {"route": "sendgrid"}).startswith(words)
    of_ses = words.replace("SendGrid", "Amazon SES")
    for route in ("eu-west-1", None):
        assert reason(row | {"route": route}).startswith(of_ses)
    assert "SES's words" not in remedy(status, code, None, None)
