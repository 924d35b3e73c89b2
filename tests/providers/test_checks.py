"""What `amazonsender doctor` says of SendGrid and Mailgun; nothing is sent for it."""

from __future__ import annotations

import pytest

from app.outside import OUTSIDE
from app.sandbox.mailgun.standin import MailgunConfig, MailgunStandIn
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.sendgrid.standin import SendGridConfig, SendGridStandIn
from app.services.providers.check import check_fallback
from tests.support.service import settings_for


async def said(url: str, providers: ProvidersServer, names: str) -> list[tuple[str, str]]:
    settings = settings_for(
        "postgresql://unused",
        None,
        FALLBACK_PROVIDERS=names,
        SENDGRID_API_KEY="SG.sandbox.sandbox",
        SENDGRID_WEBHOOK_PUBLIC_KEY=providers.sendgrid.public_key,
        SENDGRID_API_URL=url,
        MAILGUN_API_KEY="key-sandbox",
        MAILGUN_DOMAIN="mg.example.com",
        MAILGUN_WEBHOOK_SIGNING_KEY="sandbox-signing-key",
        MAILGUN_API_URL=url,
    )
    findings = await check_fallback(OUTSIDE.fallback(settings))
    assert not any("sandbox" in finding.sentences for finding in findings)
    return [(finding.level, finding.what) for finding in findings]


async def test_nothing_is_said_where_nobody_is_to_send(providers_server: ProvidersServer) -> None:
    assert await said(providers_server.url, providers_server, "") == []


async def test_both_are_well(
    providers_server: ProvidersServer, sendgrid: SendGridStandIn, mailgun: MailgunStandIn
) -> None:
    [one, other] = await said(providers_server.url, providers_server, "sendgrid,mailgun")
    assert (one[0], other[0]) == ("ok", "ok")
    assert not sendgrid.mails
    assert not mailgun.mails


@pytest.mark.parametrize(
    ("config", "level", "words"),
    [
        (SendGridConfig(scopes=frozenset({"stats.read"})), "fail", "may not send"),
        (SendGridConfig(api_key="SG.other"), "fail", "refuses SENDGRID_API_KEY"),
    ],
)
async def test_a_key_of_sendgrids_that_will_not_do(
    providers_server: ProvidersServer,
    sendgrid: SendGridStandIn,
    monkeypatch: pytest.MonkeyPatch,
    config: SendGridConfig,
    level: str,
    words: str,
) -> None:
    monkeypatch.setattr(sendgrid, "config", config)
    [found] = await said(providers_server.url, providers_server, "sendgrid")
    assert (found[0], words in found[1]) == (level, True)


@pytest.mark.parametrize(
    ("config", "level", "words"),
    [
        (MailgunConfig(state="unverified"), "fail", "unverified"),
        (MailgunConfig(sending_key=True), "warn", "doesn't say"),
        (MailgunConfig(api_key="other"), "warn", "doesn't say"),
        (MailgunConfig(domain="mg.example.org"), "fail", "doesn't know MAILGUN_DOMAIN"),
    ],
)
async def test_a_key_or_domain_of_mailguns_that_will_not_do(
    providers_server: ProvidersServer,
    mailgun: MailgunStandIn,
    monkeypatch: pytest.MonkeyPatch,
    config: MailgunConfig,
    level: str,
    words: str,
) -> None:
    monkeypatch.setattr(mailgun, "config", config)
    [found] = await said(providers_server.url, providers_server, "mailgun")
    assert (found[0], words in found[1]) == (level, True)


async def test_whoever_cannot_be_asked_or_answers_oddly_is_named(
    providers_server: ProvidersServer, sendgrid: SendGridStandIn, mailgun: MailgunStandIn
) -> None:
    for standin in (sendgrid, mailgun):
        standin.fail(status=502, body=b"<html>bad gateway</html>")
    names = "sendgrid,mailgun"
    [one, other] = await said(providers_server.url, providers_server, names)
    assert (one, other) == (
        ("warn", "SendGrid answers with status 502, and not as it should."),
        ("warn", "Mailgun answers with status 502, and not as it should."),
    )
    [one, other] = await said("http://127.0.0.1:9", providers_server, names)
    assert (one[0], "SendGrid can't be asked" in one[1]) == ("warn", True)
    assert (other[0], "Mailgun can't be asked" in other[1]) == ("warn", True)
