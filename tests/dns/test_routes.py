"""Each way of our mail has records of its own: SES's regions, and SendGrid and Mailgun in their
place."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from pydantic import SecretStr

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.domain.dns.looks import Look
from app.domain.dns.sender import Record
from app.domain.dns.watched import Watched, compare
from app.sandbox.mailgun.standin import MailgunConfig
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.sendgrid.standin import SendGridConfig
from app.services.domains.look import DomainLook
from tests.dns.desk import DOMAIN, MAIL_FROM, REGION, Ses, by_code, in_order, look
from tests.dns.test_look import DMARC, KEY
from tests.support.dns_server import DnsServer

SECOND, OTHER_FROM = "us-east-2", "bounce2.example.com"


@pytest.fixture
def good(dns: DnsServer) -> DnsServer:
    in_order(dns, key=KEY)
    return dns


def second(mail_from: str = OTHER_FROM, **dkim: object) -> Ses:
    ses = Ses()
    ses.dkim |= {"Tokens": ["ddd"]} | dkim
    ses.mail_from |= {"MailFromDomain": mail_from}
    return ses


def told(seen: DomainLook, route: str) -> dict[str, Look]:
    """What concerns this route, by the kind of it."""
    return {
        one.code.partition(":")[0].partition("@")[0]: one
        for one in seen.looks
        if route in one.routes
    }


class TestRegions:
    async def test_each_has_records_of_its_own(self, good: DnsServer) -> None:
        seen = await look(good, others={SECOND: second()})
        first, other = told(seen, REGION), told(seen, SECOND)
        assert {one.level for one in first.values()} == {"ok"}
        assert {one.level for one in other.values()} == {"warn", "fail"}, "p=reject"
        assert [one.publish for one in seen.looks if SECOND in one.routes and one.publish] == [
            Record(f"ddd._domainkey.{DOMAIN}", "CNAME", "ddd.dkim.amazonses.com"),
            Record(OTHER_FROM, "MX", f"10 feedback-smtp.{SECOND}.amazonses.com"),
            Record(OTHER_FROM, "TXT", "v=spf1 include:amazonses.com ~all"),
        ]
        assert other["dkim"].plain.what.startswith(f"{SECOND}: ")
        assert by_code(seen)["dmarc"].routes == (), "one for all"
        assert seen.verdict.routes == (SECOND,), "the worst of them"

    async def test_one_region_is_not_named(self, good: DnsServer) -> None:
        assert all(one.routes == () for one in (await look(good)).looks)

    async def test_a_key_that_two_regions_share_is_told_once(self, good: DnsServer) -> None:
        """Deterministic Easy DKIM: a replica has the tokens of its parent."""
        twin = second(Tokens=["aaa", "bbb", "ccc"], SigningAttributesOrigin="AWS_SES_EU_WEST_1")
        seen = await look(good, others={SECOND: twin})
        assert by_code(seen)["dkim:aaa"].routes == (REGION, SECOND)
        assert by_code(seen)["dkim:aaa"].plain.what.startswith(f"{REGION} and {SECOND}: ")

    async def test_one_name_that_two_regions_want_differently_is_told_twice(
        self, good: DnsServer
    ) -> None:
        other = second(Tokens=["aaa"], SigningHostedZone="x.dkim.us-east-2.amazonses.com")
        seen = by_code(await look(good, others={SECOND: other}))
        assert seen["dkim:aaa"].state == "there"
        assert seen[f"dkim:aaa._domainkey.{DOMAIN}@{SECOND}"].state == "wrong"

    async def test_a_mail_from_domain_serves_one_region(self, good: DnsServer) -> None:
        seen = await look(good, others={SECOND: second(MAIL_FROM)})
        mx = told(seen, SECOND)["mx"]
        assert f"is the MAIL FROM domain in {REGION}, too" in mx.what
        assert f"bounce-{SECOND}.{DOMAIN}" in mx.remedy
        assert mx.publish is None
        assert told(seen, REGION)["mx"].level == "ok"

    async def test_a_region_that_cant_be_asked_leaves_the_others(self, good: DnsServer) -> None:
        seen = await look(good, others={SECOND: Ses(away=True)})
        assert not seen.asked
        assert told(seen, REGION)["verdict"].level == "ok"
        assert told(seen, SECOND)["verdict"].state == "unknown"


class TestWatching:
    async def test_another_mail_from_domain_has_not_vanished(self, good: DnsServer) -> None:
        first = compare(Watched(), (await look(good)).looks, "1", asked=True)
        moved = Ses()
        moved.mail_from |= {"MailFromDomain": OTHER_FROM}
        news = compare(first.watched, (await look(good, moved)).looks, "2", asked=True)
        assert news.vanished == ()

    async def test_a_region_that_cant_be_asked_takes_nothing_away(self, good: DnsServer) -> None:
        good.put(OTHER_FROM, "MX", f"10 feedback-smtp.{SECOND}.amazonses.com")
        before = await look(good, others={SECOND: second()})
        news = compare(Watched(), before.looks, "1", asked=before.asked)
        good.take(OTHER_FROM)
        away = await look(good, others={SECOND: Ses(away=True)})
        news = compare(news.watched, away.looks, "2", asked=away.asked)
        assert news.vanished == ()
        after = await look(good, others={SECOND: second()})
        news = compare(news.watched, after.looks, "3", asked=after.asked)
        [gone] = news.vanished
        assert gone.what.startswith(f"{SECOND}: The MX record of {OTHER_FROM} is missing")


@pytest.fixture(scope="module")
def server() -> Iterator[ProvidersServer]:
    with ProvidersServer() as running:
        yield running


READS = SendGridConfig(scopes=frozenset({"mail.send", "whitelabel.read"}), domains=(DOMAIN,))


class TestSendGrid:
    async def seen(
        self, dns: DnsServer, server: ProvidersServer, config: SendGridConfig = READS
    ) -> dict[str, Look]:
        server.sendgrid.config = config
        sender = SendGridSender(SecretStr(config.api_key), server.url, max_connections=1)
        try:
            seen = await look(dns, address=f"a@news.{DOMAIN}", providers=[sender])
        finally:
            sender.close()
        return {one.code: one for one in seen.looks if "SendGrid" in one.routes}

    async def test_what_it_asks_for_is_told_and_then_in_order(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        """A domain above the sender's is the one that signs."""
        seen = await self.seen(good, server)
        wanted = [one.publish for one in seen.values() if one.state == "missing"]
        assert wanted == [
            Record(f"s1._domainkey.{DOMAIN}", "CNAME", "s1.domainkey.u7.wl.sendgrid.net"),
            Record(f"s2._domainkey.{DOMAIN}", "CNAME", "s2.domainkey.u7.wl.sendgrid.net"),
            Record(f"em7.{DOMAIN}", "CNAME", "u7.wl.sendgrid.net"),
        ]
        assert seen["verdict@SendGrid"].level == "fail", "p=reject"
        for record in wanted:
            assert record
            good.put(record.name, "CNAME", record.value)
            good.put(record.value, "TXT", KEY)
        seen = await self.seen(good, server)
        assert {one.level for one in seen.values()} == {"ok"}
        assert f"by DKIM ({DOMAIN}) and SPF (em7.{DOMAIN})" in seen["verdict@SendGrid"].what

    async def test_records_without_automated_security(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        seen = await self.seen(good, server, replace(READS, plain=True))
        wanted = {(one.publish.kind, one.publish.name) for one in seen.values() if one.publish}
        assert wanted == {
            ("MX", f"em7.{DOMAIN}"),
            ("TXT", f"em7.{DOMAIN}"),
            ("TXT", f"m1._domainkey.{DOMAIN}"),
        }, "not the one for other mail of the domain"

    async def test_a_domain_that_it_does_not_have(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        seen = await self.seen(good, server, replace(READS, domains=("other.example",)))
        assert "Sender Authentication" in seen["none@SendGrid"].remedy

    async def test_a_key_that_may_only_send_leaves_what_dns_says(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        seen = await self.seen(good, server, SendGridConfig())
        assert seen["verdict@SendGrid"].state == "unknown"
        assert seen["verdict@SendGrid"].remedy == "see above what is not known, and why."
        assert "under Settings, Sender Authentication" in seen["keys:SendGrid@SendGrid"].remedy
        good.put(f"s1._domainkey.news.{DOMAIN}", "CNAME", "s1.domainkey.u7.wl.sendgrid.net")
        good.put("s1.domainkey.u7.wl.sendgrid.net", "TXT", KEY)
        seen = await self.seen(good, server, SendGridConfig())
        assert f"by DKIM (news.{DOMAIN})" in seen["verdict@SendGrid"].what

    async def test_one_that_cant_be_reached_is_unknown(self, good: DnsServer) -> None:
        sender = SendGridSender(SecretStr("SG.x"), "http://127.0.0.1:9", max_connections=1)
        seen = await look(good, providers=[sender])
        sender.close()
        assert not seen.asked
        assert told(seen, "SendGrid")["verdict"].state == "unknown"
        assert told(seen, REGION)["verdict"].level == "ok"


class TestMailgun:
    async def seen(
        self, dns: DnsServer, server: ProvidersServer, config: MailgunConfig
    ) -> dict[str, Look]:
        server.mailgun.config = config
        sender = MailgunSender(
            SecretStr(config.api_key), config.domain, server.url, max_connections=1
        )
        try:
            seen = await look(dns, providers=[sender])
        finally:
            sender.close()
        return told(seen, "Mailgun")

    async def test_what_it_asks_for_is_told_and_then_in_order(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        config = MailgunConfig(dkim=KEY.replace("v=DKIM1; ", ""))
        seen = await self.seen(good, server, config)
        assert seen["spf"].publish == Record(
            "mg.example.com", "TXT", "v=spf1 include:mailgun.org ~all"
        )
        assert seen["dkim"].publish == Record("k1._domainkey.mg.example.com", "TXT", config.dkim)
        good.put("mailgun.org", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
        good.put("mg.example.com", "TXT", "v=spf1 include:mailgun.org ~all")
        good.put("k1._domainkey.mg.example.com", "TXT", KEY)
        seen = await self.seen(good, server, config)
        assert {one.level for one in seen.values()} == {"ok"}
        assert "by DKIM (mg.example.com) and SPF (mg.example.com)" in seen["verdict"].what

    async def test_another_key_is_wrong(self, good: DnsServer, server: ProvidersServer) -> None:
        good.put("k1._domainkey.mg.example.com", "TXT", KEY)
        seen = await self.seen(good, server, MailgunConfig())
        assert seen["dkim"].state == "wrong"
        assert seen["dkim"].found

    async def test_a_key_that_may_only_send_leaves_spf(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        seen = await self.seen(good, server, MailgunConfig(sending_key=True))
        assert seen["spf"].state == "missing"
        assert "Domains" in seen["keys"].remedy
        good.put("mailgun.org", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
        good.put("mg.example.com", "TXT", "v=spf1 include:mailgun.org ~all")
        seen = await self.seen(good, server, MailgunConfig(sending_key=True))
        assert "by SPF (mg.example.com)" in seen["verdict"].what

    async def test_it_does_not_speak_for_another_domain(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        for sending_key in (False, True):
            config = MailgunConfig(domain="mg.other.example", dkim=KEY, sending_key=sending_key)
            good.put("mailgun.org", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
            good.take("mg.other.example")
            good.put("mg.other.example", "TXT", "v=spf1 include:mailgun.org ~all")
            good.put("k1._domainkey.mg.other.example", "TXT", KEY)
            verdict = (await self.seen(good, server, config))["verdict"]
            assert verdict.level == "fail", "p=reject"
            assert "only for mg.other.example" in verdict.what

    async def test_strict_alignment_lets_no_other_domain_speak(
        self, good: DnsServer, server: ProvidersServer
    ) -> None:
        good.put("mg.example.com", "TXT", "v=spf1 include:mailgun.org ~all")
        good.put("mailgun.org", "TXT", "v=spf1 ip4:192.0.2.0/24 ~all")
        good.put("k1._domainkey.mg.example.com", "TXT", KEY)
        good.take(DMARC)
        good.put(DMARC, "TXT", "v=DMARC1; p=reject; adkim=s; aspf=s")
        seen = await self.seen(good, server, MailgunConfig(dkim=KEY))
        assert seen["verdict"].level == "fail"
