"""A sender's domain in the service: the doctor, preflight, the page, health, and the owner told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import psycopg
import pytest
import structlog
from psycopg.rows import DictRow

from app.domain.reports.findings import Finding
from app.domain.slack.message import write_news as write_news_to_slack
from app.outside import OUTSIDE, dns_resolver, slack_way
from app.outside import examine as doctor
from app.ports import SesAccount
from app.runtime import open_database
from app.sandbox.config import SandboxConfig
from app.sandbox.sendgrid.standin import SendGridStandIn
from app.sandbox.server import SandboxServer
from app.services.checks.asking import Outside
from app.services.checks.preflight import Preflight
from app.services.domains.watch import WatchDomains
from app.services.telling.slack_news import TellSlackNews
from app.services.watching.owner_mail import write_news
from app.settings import Settings
from app.store import Store
from app.store.telling.news import OwnerNews
from tests.dns.desk import DOMAIN, MAIL_FROM, REGION, TOKENS, Ses, in_order
from tests.dns.test_look import DMARC, KEY
from tests.support.dashboard import Visitor
from tests.support.dns_server import DnsServer
from tests.support.factories import Arrange
from tests.support.service import Service, in_process, settings_for
from tests.support.slack import SlackStandIn
from tests.support.waiting import eventually


class Account(Ses):
    """Other settings than the domain's are in order, too."""

    def event_destinations(self, configuration_set: str) -> list[dict[str, Any]] | None:
        return []


def outside(ses: SesAccount) -> Outside:
    web = httpx.MockTransport(lambda _: httpx.Response(200, json={"status": "ok"}))
    return replace(
        OUTSIDE, ses=lambda _: ses, http=lambda: httpx.AsyncClient(transport=web), dns=dns_resolver
    )


def settings(dsn: str, dns: DnsServer | None, **changes: str | None) -> Settings:
    asked = {"DNS_RESOLVERS": dns.address if dns else None, "AWS_REGION": "eu-west-1"}
    return settings_for(dsn, None, **{**asked, **changes})


def about_dns(findings: list[Finding]) -> list[tuple[str, str, str]]:
    words = ("DNS", "MX record", "DKIM", "SPF", "DMARC", "MAIL FROM", "Receivers", "_domainkey")
    return [
        (one.level, one.what, one.remedy)
        for one in findings
        if any(word in one.what for word in words) and "verified" not in one.what
    ]


async def test_the_doctor_says_what_to_publish(dsn: str, dns: DnsServer) -> None:
    in_order(dns, key=KEY)
    found = await doctor(settings(dsn, dns), open_db=open_database, outside=outside(Account()))
    told = about_dns(found)
    assert len(told) >= 6
    assert {level for level, *_ in told} == {"ok"}
    dns.take(DMARC)
    found = await doctor(settings(dsn, dns), open_db=open_database, outside=outside(Account()))
    [(level, _, remedy)] = [one for one in about_dns(found) if one[0] != "ok"]
    assert level == "warn"
    assert remedy == f"publish this: TXT {DMARC} with the value `v=DMARC1; p=none`."


@pytest.mark.short
async def test_the_doctor_says_it_of_every_region(dsn: str, dns: DnsServer) -> None:
    in_order(dns, key=KEY)
    strict, other = Account(), Account()
    strict.mail_from |= {"BehaviorOnMxFailure": "REJECT_MESSAGE"}
    other.dkim |= {"Tokens": ["aaa", "ddd"]}
    other.mail_from = {}
    regions = {"eu-west-1": strict, "us-east-2": other}
    both = replace(outside(strict), ses=lambda one: regions[one.home.name])
    ours = settings(dsn, dns, SES_REGIONS="eu-west-1,us-east-2")
    dns.take(MAIL_FROM, "MX")
    found = about_dns(await doctor(ours, open_db=open_database, outside=both))
    told = {what: level for level, what, _ in found}
    refused = "eu-west-1: The MX record of bounce.example.com is missing. SES refuses every mail"
    assert [level for what, level in told.items() if what.startswith(refused)] == ["warn"], (
        "the other region sends"
    )
    assert any(what.startswith("us-east-2: ddd._domainkey.example.com is missing") for what in told)
    regions["us-east-2"] = strict
    found = about_dns(await doctor(ours, open_db=open_database, outside=both))
    assert any(level == "fail" for level, *_ in found), "none sends"


async def test_without_the_setting_nothing_is_asked_and_nothing_said(
    dsn: str, dns: DnsServer
) -> None:
    found = await doctor(settings(dsn, None), open_db=open_database, outside=outside(Account()))
    assert [what for _, what, _ in about_dns(found)] == []
    assert dns.asked == []


async def test_ses_is_asked_for_each_identity_once(dsn: str, dns: DnsServer) -> None:
    asked: list[str] = []

    class Counting(Account):
        def identity(self, name: str) -> dict[str, Any] | None:
            asked.append(name)
            return super().identity(name)

    in_order(dns, key=KEY)
    await doctor(settings(dsn, dns), open_db=open_database, outside=outside(Counting()))
    assert sorted(asked) == ["example.com", "news@example.com"]


async def test_a_preflight_looks_at_the_mailouts_own_sender(
    dsn: str, dns: DnsServer, direct_store: Store, arrange: Arrange
) -> None:
    in_order(dns, key=KEY)
    mailout = await arrange.mailout()
    await arrange.sql.execute(
        "update mailouts set from_email = 'news@other.example' where id = %s", (mailout,)
    )
    ask = Preflight(direct_store, settings(dsn, dns), outside(Account(name="other.example")))
    report = await ask(mailout)
    assert any(
        "TXT _dmarc.other.example" in one["remedy"]
        for one in report["findings"]
        if one["level"] == "warn"
    )


@pytest.mark.parametrize(
    ("value", "right"),
    [
        ("system", True),
        ("System", True),
        ("9.9.9.9, [2620:fe::fe]:5353", True),
        ("127.0.0.1:5353,::1", True),
        ("dns.example.com", False),
        ("127.0.0.1:70000", False),
        ("system, 9.9.9.9", False),
        ("127.0.0.1:", False),
    ],
)
def test_resolvers_are_addresses(value: str, right: bool) -> None:
    if right:
        assert settings_for("postgresql://x", None, DNS_RESOLVERS=value).dns_resolvers
    else:
        with pytest.raises(Exception, match="DNS_RESOLVERS"):
            settings_for("postgresql://x", None, DNS_RESOLVERS=value)


@asynccontextmanager
async def visiting(service: Service) -> AsyncIterator[Visitor]:
    person = Visitor(service)
    await person.sign_in()
    yield person
    await person.http.aclose()


async def test_the_page_health_and_account_tell_of_a_vanished_record(
    dsn: str, dns: DnsServer, direct_store: Store, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    in_order(dns, key=KEY)
    ours = settings(dsn, dns)
    watch = WatchDomains(direct_store, {REGION: Ses()}, dns_resolver(ours), ours)  # type: ignore[arg-type]
    async with in_process(ours, with_sender=False) as service, visiting(service) as visitor:
        assert "Nothing was looked at yet" in (await visitor.get("/domain")).text
        await watch.step()
        page = (await visitor.get("/domain")).text
        assert f">{DOMAIN}</h2>" in page
        assert "Receivers can tell" in page
        assert "no longer in order" not in page
        dns.take(f"{TOKENS[0]}._domainkey.{DOMAIN}")
        assert 'data-seconds="120"' in page, "nothing is to come soon"
        asked = await visitor.post("/domain/look", domain=DOMAIN)
        assert "notice=asked" in asked.headers["location"]
        assert 'data-seconds="10"' in (await visitor.get("/domain")).text
        await watch.step()
        page = (await visitor.get("/domain")).text
        assert "1 record of this domain is no longer in order" in page
        assert "Was in order before:</b> aaa._domainkey.example.com is missing" in page
        assert '<code>aaa._domainkey<span class="zone">.example.com</span></code>' in page
        assert "<code>aaa.dkim.amazonses.com</code>" in page
        health = await eventually(
            service.health, until=lambda report: "vanished" in str(report["checks"]["domain"])
        )
        assert health["checks"]["domain"]["status"] == "warn"
        account = await eventually(
            lambda: visitor.get("/account"), until=lambda page: "vanished" in page.text
        )
        assert 'href="/dashboard/domain"' in account.text
        for other in ("other.example", "é" * 300, ""):
            gone = await visitor.post("/domain/look", domain=other)
            assert "notice=unknown" in gone.headers["location"]
        assert (await service.http.get("/dashboard/domain")).status_code in (303, 401)


HOSTILE = "<script>1</script>`</code><img src=x>\x1b[31m\u202e&"


async def test_text_of_others_records_is_shown_as_text(
    dsn: str, dns: DnsServer, direct_store: Store, sql: psycopg.AsyncConnection[DictRow]
) -> None:
    in_order(dns, key=KEY)
    ours = settings(dsn, dns, SLACK_WEBHOOK_URL="http://127.0.0.1:9/x")
    watch = WatchDomains(direct_store, {REGION: Ses()}, dns_resolver(ours), ours)  # type: ignore[arg-type]
    dns.take(DMARC)
    dns.put(DMARC, "TXT", f"v=DMARC1; p=none; x={HOSTILE}")
    await watch.step()
    dns.take(DMARC)
    dns.put(DMARC, "TXT", f"v=DMARC1; p={HOSTILE}")
    dns.put(f"*.{DOMAIN}", "TXT", HOSTILE)
    dns.put(f"{TOKENS[0]}._domainkey.{DOMAIN}.", "TXT", HOSTILE)
    dns.take(f"{TOKENS[1]}._domainkey.{DOMAIN}")
    dns.put(f"{TOKENS[1]}._domainkey.{DOMAIN}", "TXT", f"k=rsa; h={HOSTILE}; p=x")
    await direct_store.ask_domain_check(DOMAIN)
    with structlog.testing.capture_logs() as logs:
        await watch.step()
    assert {line["record"].partition(":")[0] for line in logs if "remedy" in line} == {
        "dkim",
        "dmarc",
    }
    assert all(str(value).isprintable() for line in logs for value in line.values())
    news = await direct_store.claim_owner_news("slack")
    assert news
    assert all(line.isprintable() for line in news.lines)
    assert "<script>" not in str(write_news_to_slack(news.headline, news.lines, "https://x"))
    async with in_process(ours, with_sender=False) as service, visiting(service) as visitor:
        page = (await visitor.get("/domain")).text
        assert "&lt;script&gt;1" in page
        assert "<script>1" not in page
        assert "<img" not in page
        assert "\x1b" not in page
        assert "\u202e" not in page


async def test_many_domains_in_many_ways_are_told_apart(
    dsn: str, dns: DnsServer, direct_store: Store, arrange: Arrange
) -> None:
    in_order(dns, key=KEY)
    ours = settings(dsn, dns)
    await arrange.sql.execute(
        "insert into mailouts (subject, body_html, from_email)"
        " values ('x', 'x', 'n@münze.example'), ('x', 'x', 'n@b.example')"
    )
    ways = {REGION: Ses(), "us-east-2": Ses(away=True)}
    await WatchDomains(direct_store, ways, dns_resolver(ours), ours).step()  # type: ignore[arg-type]
    async with in_process(ours, with_sender=False) as service, visiting(service) as visitor:
        page = (await visitor.get("/domain")).text
        assert "münze.example" in page
        assert "(xn--mnze-0ra.example)" in page
        assert "<h3>Amazon SES in us-east-2</h3>" in page
        assert page.count('<details class="card domain"') == 1, "the last of three"


async def test_without_the_setting_the_page_says_how_to_switch_it_on(dsn: str) -> None:
    async with (
        in_process(settings(dsn, None), with_sender=False) as service,
        visiting(service) as visitor,
    ):
        assert "DNS_RESOLVERS" in (await visitor.get("/domain")).text
        assert "domain" not in (await service.health())["checks"]


async def test_the_sender_looks_by_itself_and_mails_the_owner(
    dsn: str, dns: DnsServer, direct_store: Store
) -> None:
    """Of every region, and of who sends in their place."""
    config = SandboxConfig(max_send_rate=100, regions=(REGION,), sendgrid=True)
    with SandboxServer(config) as sandbox:
        in_order(dns, key=KEY)
        for token in ("sandboxa", "sandboxb", "sandboxc"):
            dns.put(f"{token}._domainkey.{DOMAIN}", "CNAME", f"{token}.dkim.amazonses.com")
            dns.put(f"{token}.dkim.amazonses.com", "TXT", KEY)
        ours = settings_for(
            dsn,
            sandbox.url,
            DNS_RESOLVERS=dns.address,
            OWNER_EMAIL="owner@example.com",
            SES_REGIONS=f"us-east-1,{REGION}",
            AWS_ENDPOINT_URL_SESV2_EU_WEST_1=sandbox.regions[REGION].url,
            FALLBACK_PROVIDERS="sendgrid",
            SENDGRID_API_KEY="SG.sandbox.sandbox",
            SENDGRID_WEBHOOK_PUBLIC_KEY=SendGridStandIn().public_key,
            SENDGRID_API_URL=sandbox.url,
        )
        async with in_process(ours):
            [row] = await eventually(
                direct_store.list_domain_checks,
                until=lambda rows: bool(rows and rows[0]["checked_at"]),
            )
            routes = {look["code"]: look["routes"] for look in row["looks"]}
            assert routes[f"dkim:sandboxa._domainkey.{DOMAIN}"] == ["us-east-1", REGION]
            assert routes["verdict@SendGrid"] == ["SendGrid"]
            dns.take(DMARC)
            resolver = dns_resolver(ours)
            assert resolver is not None

            class Identity(Ses):
                def identity(self, name: str) -> dict[str, Any] | None:
                    return None  # as before: DMARC doesn't depend on it

            await direct_store.ask_domain_check(DOMAIN)
            await WatchDomains(direct_store, {REGION: Identity()}, resolver, ours).step()
            mails = await eventually(
                lambda: _inbox(sandbox.url), until=lambda page: "vanished" in page
            )
            assert "1 DNS record of example.com vanished or changed" in mails


async def test_slack_is_told_once_when_it_is_back(direct_store: Store, dns: DnsServer) -> None:
    with SlackStandIn() as slack:
        ours = settings("postgresql://unused", dns, SLACK_WEBHOOK_URL=slack.webhook_url)
        resolver = dns_resolver(ours)
        assert resolver is not None
        in_order(dns, key=KEY)
        watch = WatchDomains(direct_store, {REGION: Ses()}, resolver, ours)
        await watch.step()
        dns.take(DMARC)
        await direct_store.ask_domain_check(DOMAIN)
        await watch.step()
        async with slack_way(ours) as way:
            telling = TellSlackNews(direct_store, way, "https://mail.example.com")
            slack.fail(503, times=1)
            await telling.step()
            assert slack.messages == []
            await telling.step()
            assert slack.messages == [], "not so soon"
            await direct_store.settle_owner_news(1, None, detail=None, retry_seconds=0)
            await telling.step()
            await telling.step()
        [message] = slack.messages
        assert "1 DNS record of example.com vanished or changed" in message.shown
        assert "_dmarc.example.com" in message.shown
        assert "https://mail.example.com/dashboard/domain" in str(message.blocks)


async def _inbox(url: str) -> str:
    async with httpx.AsyncClient() as http:
        return (await http.get(f"{url}/")).text


def test_the_mail_says_what_to_publish() -> None:
    due = OwnerNews(
        1,
        DOMAIN,
        "domain",
        "1 DNS record of example.com vanished or changed",
        ("<gone> Publish this.",),
    )
    notice = write_news(due, "https://mail.example.com")
    assert notice.subject == "1 DNS record of example.com vanished or changed"
    assert "<gone> Publish this." in notice.text
    assert "&lt;gone&gt;" in notice.html
    assert "https://mail.example.com/dashboard/domain" in notice.text
