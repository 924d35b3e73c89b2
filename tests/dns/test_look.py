"""What is said of a sender's domain, by records on a DNS server and by SES's word."""

from __future__ import annotations

import base64

import pytest

from app.adapters.dns import resolver as adapter
from app.domain.dns.looks import Look
from app.domain.dns.sender import Record
from app.services.domains import look as looking
from tests.dns.desk import DOMAIN, MAIL_FROM, REGION, TOKENS, Ses, amazon, by_code, in_order, look
from tests.dns.test_dkim import rsa_der
from tests.dns.zones import SES_NETWORKS
from tests.support.dns_server import DnsServer

KEY = f"v=DKIM1; k=rsa; p={base64.b64encode(rsa_der(2_048)).decode()}"
DMARC = f"_dmarc.{DOMAIN}"


@pytest.fixture
def good(dns: DnsServer) -> DnsServer:
    in_order(dns, key=KEY)
    return dns


def bad(looks: dict[str, Look]) -> set[str]:
    return {code for code, one in looks.items() if one.level != "ok"}


async def test_a_domain_in_order_passes_by_both_ways(good: DnsServer) -> None:
    seen = await look(good)
    assert bad(by_code(seen)) == set()
    assert "DKIM (example.com) and SPF (bounce.example.com)" in seen.verdict.what
    watched = {code for code, one in by_code(seen).items() if one.state == "there"}
    assert watched == {"dkim:aaa", "dkim:bbb", "dkim:ccc", "mx", "spf", "dmarc"}


async def test_no_question_is_asked_twice(good: DnsServer) -> None:
    await look(good)
    assert len(good.asked) == len(set(good.asked))


@pytest.mark.parametrize("case", ["aaa._DomainKey.EXAMPLE.com"])
async def test_capitals_make_no_difference(good: DnsServer, case: str) -> None:
    good.take(f"aaa._domainkey.{DOMAIN}")
    good.put(case, "CNAME", "AAA.DKIM.amazonses.com")
    good.take(MAIL_FROM)
    good.put(MAIL_FROM, "MX", f"10 Feedback-SMTP.{REGION}.AmazonSES.com")
    good.put(MAIL_FROM, "TXT", "V=spf1 INCLUDE:AmazonSES.com ~ALL")
    assert bad(by_code(await look(good, address="News@Example.COM"))) == set()


async def test_an_empty_zone_names_every_record_to_publish(dns: DnsServer) -> None:
    amazon(dns, key=KEY)
    seen = by_code(await look(dns))
    wanted = {
        (one.publish.kind, one.publish.name, one.publish.value)
        for one in seen.values()
        if one.publish and one.state == "missing"
    }
    assert wanted == {
        *(
            ("CNAME", f"{token}._domainkey.{DOMAIN}", f"{token}.dkim.amazonses.com")
            for token in TOKENS
        ),
        ("MX", MAIL_FROM, f"10 feedback-smtp.{REGION}.amazonses.com"),
        ("TXT", MAIL_FROM, "v=spf1 include:amazonses.com ~all"),
        ("TXT", DMARC, "v=DMARC1; p=none"),
    }
    assert seen["verdict"].level == "warn"
    assert "neither DKIM nor SPF" in seen["verdict"].what
    assert all(one.plain.remedy for one in seen.values() if one.level != "ok")


class TestDkim:
    async def test_one_missing_of_three_still_passes(self, good: DnsServer) -> None:
        good.take(f"bbb._domainkey.{DOMAIN}")
        seen = by_code(await look(good))
        assert bad(seen) == {"dkim:bbb"}
        assert (
            "CNAME bbb._domainkey.example.com with the value `bbb.dkim.amazonses.com`"
            in seen["dkim:bbb"].plain.remedy
        )

    async def test_a_name_with_the_domain_twice_is_recognised(self, good: DnsServer) -> None:
        good.take(f"aaa._domainkey.{DOMAIN}")
        good.put(f"aaa._domainkey.{DOMAIN}.{DOMAIN}", "CNAME", "aaa.dkim.amazonses.com")
        assert "with the domain twice" in by_code(await look(good))["dkim:aaa"].what

    async def test_a_wildcard_is_no_name_with_the_domain_twice(self, good: DnsServer) -> None:
        good.take(f"aaa._domainkey.{DOMAIN}")
        good.put(f"aaa._domainkey.{DOMAIN}.{DOMAIN}", "CNAME", "shop.example.net")
        assert "twice" not in by_code(await look(good))["dkim:aaa"].what

    async def test_keys_of_another_region_have_a_zone_of_their_own(self, good: DnsServer) -> None:
        ses = Ses()
        ses.dkim |= {"SigningHostedZone": "abc123.dkim.eu-south-1.amazonses.com"}
        seen = by_code(await look(good, ses))
        assert seen["dkim:aaa"].state == "wrong"
        assert seen["dkim:aaa"].publish
        assert seen["dkim:aaa"].publish.value == "aaa.abc123.dkim.eu-south-1.amazonses.com"

    async def test_a_copied_key_works_until_amazon_changes_it(self, good: DnsServer) -> None:
        good.take(f"aaa._domainkey.{DOMAIN}")
        good.put(f"aaa._domainkey.{DOMAIN}", "TXT", KEY)
        one = by_code(await look(good))["dkim:aaa"]
        assert one.state == "wrong"
        assert "until Amazon changes the key" in one.what

    async def test_a_key_that_amazon_does_not_publish_yet_is_no_fault(
        self, good: DnsServer
    ) -> None:
        good.take("ccc.dkim.amazonses.com")
        assert bad(by_code(await look(good))) == set()

    async def test_revoked_keys_verify_nothing(self, good: DnsServer) -> None:
        for token in TOKENS:
            good.take(f"{token}.dkim.amazonses.com")
            good.put(f"{token}.dkim.amazonses.com", "TXT", "v=DKIM1; p=")
        seen = by_code(await look(good))
        assert seen["dkim"].level == "warn"
        assert "SPF" in seen["verdict"].what
        assert "DKIM" not in seen["verdict"].what

    @pytest.mark.parametrize(
        ("record", "state", "words"),
        [
            (KEY, "there", "your key"),
            (None, "missing", "is missing"),
            ("v=DKIM1; p=", "wrong", "revoked"),
            (f"{KEY}; t=y", "wrong", "t=y"),
            (KEY.replace("rsa;", "rsa; h=sha1;"), "wrong", "SHA-256"),
            ("other text", "wrong", "is missing"),
        ],
    )
    async def test_a_key_of_ones_own(
        self, good: DnsServer, record: str | None, state: str, words: str
    ) -> None:
        ses = Ses()
        ses.dkim |= {"Tokens": ["mine"], "SigningAttributesOrigin": "EXTERNAL"}
        if record is not None:
            good.put(f"mine._domainkey.{DOMAIN}", "TXT", record)
        one = by_code(await look(good, ses))["dkim:mine"]
        assert one.state == state
        assert words in one.what

    async def test_signing_that_is_off_or_not_begun_is_told(self, good: DnsServer) -> None:
        off, pending = Ses(), Ses()
        off.dkim |= {"SigningEnabled": False}
        pending.dkim |= {"Status": "PENDING"}
        for ses, words in ((off, "switched off"), (pending, "it says PENDING")):
            seen = await look(good, ses)
            assert words in by_code(seen)["dkim"].what
            assert "DKIM" not in seen.verdict.what

    async def test_an_address_signs_by_its_domains_keys(self, good: DnsServer) -> None:
        seen = await look(good, address="news@sub.example.com")
        assert by_code(seen)["dkim:aaa"].state == "there"
        assert seen.verdict.level == "ok", "the organizational domain has a record"

    async def test_without_an_identity_nothing_proves_anything(self, good: DnsServer) -> None:
        seen = await look(good, Ses(name="other.example"))
        assert "dkim:none" in by_code(seen)
        assert seen.verdict.level == "fail", "p=reject"


class TestEnvelope:
    async def test_without_a_domain_of_ones_own_dkim_suffices(self, good: DnsServer) -> None:
        seen = await look(good, Ses(mail_from={}))
        assert bad(by_code(seen)) == set()
        assert f"{REGION}.amazonses.com" in by_code(seen)["mail_from"].what
        assert "SPF" not in seen.verdict.what

    @pytest.mark.parametrize(
        ("hosts", "state"),
        [
            ((), "missing"),
            (("10 feedback-smtp.us-east-1.amazonses.com",), "wrong"),
            ((f"10 feedback-smtp.{REGION}.amazonses.com", "20 mx.example.com"), "wrong"),
        ],
    )
    @pytest.mark.parametrize("rejects", [False, True])
    async def test_an_mx_record_that_is_not_right(
        self, good: DnsServer, hosts: tuple[str, ...], state: str, rejects: bool
    ) -> None:
        good.take(MAIL_FROM, "MX")
        if hosts:
            good.put(MAIL_FROM, "MX", *hosts)
        ses = Ses()
        ses.mail_from |= {"BehaviorOnMxFailure": "REJECT_MESSAGE"} if rejects else {}
        seen = await look(good, ses)
        mx = by_code(seen)["mx"]
        assert (mx.state, mx.level) == (state, "fail" if rejects else "warn")
        assert seen.verdict.level == ("fail" if rejects else "ok")

    @pytest.mark.parametrize(
        ("record", "words"),
        [
            ("v=spf1 mx ~all", "doesn't let Amazon SES pass (softfail)"),
            ("v=spf1 ipv4:1.2.3.4 ~all", "counts for nothing"),
            ("v=spf1 include:amazonses.com +all", "lets everybody send"),
            ("v=spf1 ptr include:amazonses.com ~all", "ptr"),
            (
                "v=spf1 include:amazonses.com " + "ip4:192.0.2.1 " * 280 + "~all",
                "characters",
            ),
        ],
    )
    async def test_an_spf_record_that_is_not_right(
        self, good: DnsServer, record: str, words: str
    ) -> None:
        good.take(MAIL_FROM, "TXT")
        good.put(MAIL_FROM, "TXT", record)
        spf = by_code(await look(good))["spf"]
        assert spf.level == "warn"
        assert words in spf.what
        assert spf.found
        assert all(len(text) <= 600 for text in spf.found)

    async def test_two_spf_records_count_for_nothing(self, good: DnsServer) -> None:
        good.put(MAIL_FROM, "TXT", "v=spf1 mx ~all")
        seen = by_code(await look(good))
        assert "2 SPF records" in seen["spf"].what
        assert "one record of them" in seen["spf"].remedy
        assert "SPF" not in seen["verdict"].what

    async def test_the_from_domains_own_record_is_told_where_it_is_broken(
        self, good: DnsServer
    ) -> None:
        good.put(DOMAIN, "TXT", "v=spf1 mx ~all")
        assert "own_spf" not in by_code(await look(good))
        good.put(DOMAIN, "TXT", "v=spf1 a ~all")
        seen = by_code(await look(good))
        assert "all other mail of the domain" in seen["own_spf"].what
        assert seen["verdict"].level == "ok"

    async def test_a_server_that_fails_breaks_no_record(self, good: DnsServer) -> None:
        good.put(DOMAIN, "TXT", "v=spf1 include:amazonses.com include:crm.example.net ~all")
        good.behave("crm.example.net", "servfail")
        assert "own_spf" not in by_code(await look(good))

    async def test_networks_that_cant_be_compared_now_are_not_wrong(self, good: DnsServer) -> None:
        good.take(MAIL_FROM, "TXT")
        good.put(MAIL_FROM, "TXT", SES_NETWORKS)
        assert "lists Amazon's networks" in by_code(await look(good))["spf"].what
        good.behave("amazonses.com", "servfail")
        assert by_code(await look(good))["spf"].state == "unknown"

    @pytest.mark.parametrize(
        ("record", "words"),
        [
            ("v=spf1 include:a.loop.example ~all", "needs more than 10 lookups"),
            ("v=spf1 redirect=a.loop.example", "needs more than 10 lookups"),
            ("v=spf1 a:n1.example a:n2.example a:n3.example ~all", "find nothing"),
            ("v=spf1 include:%{d2}.%{d} " + "include:amazonses.com " * 12, "counts for nothing"),
            ("v=spf1 include:\udcff.example ~all", "aren't ASCII"),
            ("v=spf1 a:" + "x" * 60_000, "names no domain"),
        ],
    )
    async def test_a_record_that_leads_on_and_on(
        self, good: DnsServer, record: str, words: str
    ) -> None:
        good.put("a.loop.example", "TXT", "v=spf1 include:b.loop.example -all")
        good.put("b.loop.example", "TXT", "v=spf1 redirect=a.loop.example")
        good.take(MAIL_FROM, "TXT")
        good.put(MAIL_FROM, "TXT", record)
        spf = by_code(await look(good))["spf"]
        assert spf.state == "wrong"
        assert words in spf.what
        assert len(good.asked) < 60


class TestDmarc:
    async def test_strict_alignment_is_kept(self, good: DnsServer) -> None:
        good.take(DMARC)
        good.put(DMARC, "TXT", "v=DMARC1; p=reject; aspf=s; adkim=s")
        assert "by DKIM (example.com)." in (await look(good)).verdict.what
        sub = await look(good, address="news@sub.example.com")
        assert sub.verdict.level == "fail"

    async def test_no_proof_is_judged_by_the_policy(self, good: DnsServer) -> None:
        ses = Ses(mail_from={})
        ses.dkim |= {"SigningEnabled": False}
        for policy, level, words in (
            ("none", "warn", "No receiver can tell"),
            ("quarantine", "warn", "spam folder"),
            ("reject; t=y", "warn", "spam folder"),
            ("reject", "fail", "refuse"),
        ):
            good.take(DMARC)
            good.put(DMARC, "TXT", f"v=DMARC1; p={policy}")
            verdict = (await look(good, ses)).verdict
            assert verdict.level == level
            assert words in verdict.what

    @pytest.mark.parametrize(
        ("records", "state", "words"),
        [
            (("v=DMARC1; p=none", "v=DMARC1; p=reject"), "wrong", "more than one"),
            (("v=DMARC1; p=rejected",), "wrong", "counts for nothing"),
            (("v=DMARC1",), "wrong", "p= is missing"),
            (("v=dmarc1; p=none",), "missing", "no DMARC record"),
            (("v=DMARC1; p=none; pct=50",), "there", "pct= counts for nothing"),
            (("v=DMARC1; p=none; t=maybe",), "there", "t=maybe"),
        ],
    )
    async def test_a_record_that_is_not_right(
        self, good: DnsServer, records: tuple[str, ...], state: str, words: str
    ) -> None:
        good.take(DMARC)
        good.put(DMARC, "TXT", *records)
        one = by_code(await look(good))["dmarc"]
        assert one.state == state
        assert words in one.what

    async def test_a_from_domain_that_gets_no_mail_is_told(self, good: DnsServer) -> None:
        good.take(DOMAIN)
        assert "reach nobody" in by_code(await look(good))["exists"].what


class TestUnknown:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(adapter, "TRY_SECONDS", 0.1)
        monkeypatch.setattr(adapter, "QUESTION_SECONDS", 0.2)

    async def test_servers_that_fail_take_nothing_away(self, good: DnsServer) -> None:
        for token in TOKENS:
            good.behave(f"{token}._domainkey.{DOMAIN}", "servfail")
        good.behave(MAIL_FROM, "servfail")
        good.behave(DMARC, "servfail")
        seen = by_code(await look(good))
        for code in ("dkim:aaa", "dkim:bbb", "dkim:ccc", "dkim", "mx", "spf", "dmarc", "verdict"):
            assert seen[code].state == "unknown", code
            assert seen[code].level == "warn"
        assert all(one.state != "missing" for one in seen.values())

    async def test_an_own_policy_that_is_not_told_is_not_the_one_above(
        self, good: DnsServer
    ) -> None:
        good.behave(f"_dmarc.news.{DOMAIN}", "servfail")
        seen = by_code(await look(good, address=f"a@news.{DOMAIN}"))
        assert seen["dmarc"].state == "unknown"

    async def test_a_name_above_that_fails_changes_nothing(self, good: DnsServer) -> None:
        good.behave("_dmarc.com", "servfail")
        assert "DKIM (example.com) and SPF" in (await look(good)).verdict.what
        good.behave(f"_dmarc.{MAIL_FROM}", "servfail")
        assert "by DKIM (example.com)." in (await look(good)).verdict.what

    async def test_names_that_lead_in_a_circle_are_told(self, good: DnsServer) -> None:
        good.behave(f"aaa._domainkey.{DOMAIN}", "circle")
        good.behave(DMARC, "circle")
        seen = by_code(await look(good))
        assert "leads to round.example" in seen["dkim:aaa"].what
        assert "circle" in seen["dmarc"].what

    async def test_ses_that_cant_be_asked_leaves_dmarc(self, good: DnsServer) -> None:
        seen = await look(good, Ses(away=True))
        assert not seen.asked
        assert by_code(seen)["dmarc"].state == "there"
        assert by_code(seen)["dkim"].state == "unknown"
        assert seen.verdict.state == "unknown"

    async def test_ses_that_is_silent_is_not_waited_for(
        self, good: DnsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(looking, "SES_SECONDS", 0.0)
        seen = await look(good)
        assert not seen.asked
        assert by_code(seen)["dmarc"].state == "there"

    async def test_all_together_is_bounded(
        self, good: DnsServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(looking, "LOOK_SECONDS", 0.0)
        seen = await look(good)
        assert good.asked == []
        assert seen.verdict.state == "unknown"
        monkeypatch.undo()
        monkeypatch.setattr(looking, "MOST_QUESTIONS", 3)
        await look(good)
        assert len({(name, kind) for name, kind, _ in good.asked}) <= 3


def test_a_look_survives_being_stored() -> None:
    one = Look("warn", "a", "b", "mx", "wrong", Record("a.example", "MX", "10 b.example"), ("x",))
    assert Look.from_stored(one.to_stored()) == one
