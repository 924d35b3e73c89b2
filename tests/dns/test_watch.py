"""Domains are looked at once a day by one process, and a record that vanished is an alarm."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import structlog
from psycopg.rows import DictRow

from app.adapters.dns.resolver import DnsResolver
from app.services.domains.watch import WatchDomains, senders_by_domain
from app.store import Store
from tests.dns.desk import DOMAIN, MAIL_FROM, REGION, Ses, amazon, in_order, short
from tests.dns.test_look import DMARC, KEY
from tests.support.dns_server import DnsServer
from tests.support.factories import Arrange
from tests.support.service import settings_for

NOW = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)


class Desk:
    """A process that watches."""

    def __init__(self, store: Store, dns: DnsServer, sql: psycopg.AsyncConnection[DictRow]) -> None:
        self.store, self.dns, self.sql, self.ses = store, dns, sql, Ses()
        self.now = NOW

    def watch(self, **changes: str) -> WatchDomains:
        settings = settings_for(
            "postgresql://unused",
            None,
            **{"AWS_REGION": "eu-west-1", "OWNER_EMAIL": "owner@example.com"} | changes,
        )
        resolver = DnsResolver((self.dns.address,))
        return WatchDomains(
            self.store, {REGION: self.ses}, resolver, settings, now=lambda: self.now
        )

    async def look(self) -> None:
        """A look, whenever the next one is due."""
        await self.sql.execute("update domain_checks set next_at = now()")
        await self.watch().step()

    async def row(self) -> dict[str, object]:
        [row] = await self.store.list_domain_checks()
        return row

    async def alarms(self) -> list[str]:
        row = await self.row()
        return [short(alarm["code"]) for alarm in row["watched"]["alarms"]]  # type: ignore[index]

    async def hours_left(self) -> float:
        cursor = await self.sql.execute(
            "select extract(epoch from next_at - checked_at) / 3600 as hours from domain_checks"
        )
        row = await cursor.fetchone()
        assert row is not None
        return round(float(row["hours"]))


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, dns: DnsServer, sql: psycopg.AsyncConnection[DictRow]
) -> Desk:
    in_order(dns, key=KEY)
    way = getattr(request, "param", "postgres")
    return Desk(Store(request.getfixturevalue(f"{way}_database")), dns, sql)


EACH_WAY = pytest.mark.parametrize("desk", ["postgres", "supabase"], indirect=True)
"""To the database, where its functions are what a test is about."""


@EACH_WAY
async def test_a_record_that_vanished_is_told_once_and_again_when_it_is_back(desk: Desk) -> None:
    await desk.look()
    assert await desk.alarms() == []
    assert await desk.hours_left() == 24
    assert await desk.store.domain_alarms() == {"domains": 1, "alarms": []}

    desk.dns.take(f"aaa._domainkey.{DOMAIN}")
    desk.dns.take(DMARC)
    with structlog.testing.capture_logs() as logs:
        await desk.look()
    assert await desk.alarms() == ["dkim:aaa", "dmarc"]
    assert await desk.hours_left() == 1
    assert [short(line["record"]) for line in logs if line["event"] == "dns_record_vanished"] == [
        "dkim:aaa",
        "dmarc",
    ]
    told = await desk.store.claim_owner_news("mail", "eu-west-1")
    assert told
    assert told.headline == f"2 DNS records of {DOMAIN} vanished or changed"
    assert "CNAME aaa._domainkey.example.com with the value" in told.lines[0]
    assert told.lines[1].endswith(
        f"Publish it again as it was: TXT {DMARC} with the value "
        "`v=DMARC1; p=reject; rua=mailto:d@example.com`."
    )

    await desk.look()
    assert await desk.alarms() == ["dkim:aaa", "dmarc"]
    assert await desk.store.claim_owner_news("mail") is None, "once is enough"

    desk.dns.put(DMARC, "TXT", "v=DMARC1; p=none")
    await desk.look()
    assert await desk.alarms() == ["dkim:aaa"]
    back = await desk.store.claim_owner_news("mail")
    assert back
    assert back.headline == f"1 DNS record of {DOMAIN} is back"
    assert await desk.store.claim_owner_news("slack") is None, "nobody asked for it"


async def test_a_record_that_comes_and_goes_is_told_thrice_a_day_at_most(desk: Desk) -> None:
    """As where the name servers of a domain don't agree."""
    await desk.look()
    record, told = "v=DMARC1; p=reject; rua=mailto:d@example.com", list[str]()
    for hour in range(7):
        desk.now += timedelta(hours=1)
        desk.dns.take(DMARC)
        if hour % 2:
            desk.dns.put(DMARC, "TXT", record)
        await desk.look()
        while due := await desk.store.claim_owner_news("mail"):
            told.append(" ".join((due.headline, *due.lines)))
    assert [one.split(" of ")[1].split()[1] for one in told] == ["vanished", "is", "vanished"]
    assert "comes and goes" in told[2]
    assert await desk.alarms() == ["dmarc"]
    desk.dns.take(DMARC)
    desk.dns.put(DMARC, "TXT", record)
    for hours, alarms in ((1, ["dmarc"]), (23, ["dmarc"]), (1, [])):
        desk.now += timedelta(hours=hours)
        await desk.look()
        assert await desk.alarms() == alarms
    due = await desk.store.claim_owner_news("mail")
    assert due
    assert due.headline == f"1 DNS record of {DOMAIN} is back"


async def test_dns_that_does_not_answer_is_no_alarm(desk: Desk) -> None:
    await desk.look()
    desk.dns.behave(DMARC, "servfail")
    desk.dns.behave(MAIL_FROM, "servfail")
    await desk.look()
    assert await desk.alarms() == []
    assert await desk.hours_left() == 1, "looked at again soon"
    desk.dns.behave(DMARC, "refused")
    desk.ses.away = True
    await desk.look()
    assert await desk.alarms() == []
    desk.ses.away = False
    desk.dns.reset()
    amazon(desk.dns, key=KEY)
    await desk.look()
    assert await desk.alarms() == ["dkim:aaa", "dkim:bbb", "dkim:ccc", "dmarc", "mx", "spf"]


async def test_what_was_never_there_has_not_vanished(desk: Desk) -> None:
    desk.dns.take(DMARC)
    await desk.look()
    await desk.look()
    assert await desk.alarms() == []


async def test_records_that_ses_no_longer_names_are_forgotten(desk: Desk) -> None:
    await desk.look()
    desk.dns.take(f"aaa._domainkey.{DOMAIN}")
    await desk.look()
    assert await desk.alarms() == ["dkim:aaa"]
    desk.ses.dkim |= {"Tokens": ["bbb", "ccc"]}
    await desk.look()
    assert await desk.alarms() == []


@EACH_WAY
async def test_one_process_looks_for_all(desk: Desk) -> None:
    await asyncio.gather(*(desk.watch().step() for _ in range(4)))
    asked = len(desk.dns.asked)
    assert asked == len(set(desk.dns.asked))
    await desk.watch().step()
    assert len(desk.dns.asked) == asked, "not due"
    assert await desk.store.ask_domain_check(DOMAIN)
    await desk.watch().step()
    assert len(desk.dns.asked) > asked
    assert not await desk.store.ask_domain_check("other.example")


async def test_a_service_that_was_off_for_months_still_knows_what_was_there(desk: Desk) -> None:
    await desk.look()
    await desk.sql.execute("update domain_checks set next_at = now() - interval '90 days'")
    desk.dns.take(DMARC)
    await desk.watch().step()
    assert await desk.alarms() == ["dmarc"]


async def test_a_domain_that_is_no_longer_used_alarms_nobody_for_long(desk: Desk) -> None:
    await desk.look()
    desk.dns.take(DMARC)
    await desk.look()
    moved = desk.watch(SES_FROM_EMAIL="news@other.example")
    await moved.step()
    assert len(await desk.store.list_domain_checks()) == 2, "it may be that of another process"
    await desk.sql.execute("update domain_checks set next_at = next_at - interval '3 days'")
    await moved.step()
    assert [row["domain"] for row in await desk.store.list_domain_checks()] == ["other.example"]


@EACH_WAY
async def test_the_domain_that_a_person_asks_for_is_the_next(desk: Desk) -> None:
    senders = {"a.example": "n@a.example", "b.example": "n@b.example"}
    for _ in senders:
        await desk.store.claim_domain_check(senders, 60)
    await desk.sql.execute("update domain_checks set next_at = now() - interval '1 hour'")
    await desk.store.ask_domain_check("b.example")
    due = await desk.store.claim_domain_check(senders, 60)
    assert due
    assert due.domain == "b.example"


async def test_a_clock_that_was_wrong_puts_no_look_off_for_years(desk: Desk) -> None:
    await desk.look()
    desk.dns.take(DMARC)
    await desk.sql.execute("update domain_checks set next_at = now() + interval '3 years'")
    await desk.watch().step()
    assert await desk.alarms() == ["dmarc"]


async def test_a_service_started_every_hour_looks_once_a_day(desk: Desk) -> None:
    await desk.watch().step()
    asked = len(desk.dns.asked)
    for _ in range(3):
        await desk.sql.execute("update domain_checks set next_at = next_at - interval '1 hour'")
        await desk.watch().step()
    assert len(desk.dns.asked) == asked
    assert await desk.hours_left() == 21


async def test_a_resolver_that_knows_nothing_at_all_is_no_witness(desk: Desk) -> None:
    """As behind a filter or a portal, which answers that no name is there."""
    await desk.look()
    everything = desk.dns.zone()
    desk.dns.reset()
    await desk.look()
    assert await desk.alarms() == []
    assert await desk.hours_left() == 1
    amazon(desk.dns, key=KEY)
    await desk.look()
    assert len(await desk.alarms()) == 6, "Amazon's are there: the domain has lost its own"
    desk.dns.reset(everything)
    await desk.look()
    assert await desk.alarms() == []
    told = [await desk.store.claim_owner_news("mail") for _ in range(3)]
    assert [bool(one) for one in told] == [True, True, False]


async def test_another_sender_of_the_domain_is_taken_over(desk: Desk) -> None:
    await desk.watch().step()
    await desk.store.ask_domain_check(DOMAIN)
    await desk.watch(SES_FROM_EMAIL=f"hello@{DOMAIN}").step()
    assert (await desk.row())["address"] == f"hello@{DOMAIN}"


@EACH_WAY
async def test_a_look_that_was_overtaken_is_not_kept(desk: Desk) -> None:
    await desk.look()
    await desk.sql.execute("update domain_checks set next_at = now()")
    late = await desk.store.claim_domain_check({DOMAIN: "a@example.com"}, 0)
    assert late
    assert await desk.store.claim_domain_check({DOMAIN: "a@example.com"}, 60)
    kept = await desk.store.save_domain_check(
        late,
        {"asked": True, "looks": [], "watched": {}},
        next_seconds=1,
        notice={"headline": "x", "lines": []},
        ways=["mail"],
    )
    assert not kept
    assert (await desk.row())["looks"]
    assert await desk.store.claim_owner_news("mail") is None


async def test_senders_of_mailouts_are_watched_too(desk: Desk, arrange: Arrange) -> None:
    for sender in ("A@Other.example", "b@other.example", None, "c@localhost"):
        mailout = await arrange.mailout()
        await desk.sql.execute(
            "update mailouts set from_email = %s where id = %s", (sender, mailout)
        )
    old = await arrange.mailout()
    await desk.sql.execute(
        "update mailouts set from_email = 'x@old.example', created_at = now() - interval '91 days'"
        " where id = %s",
        (old,),
    )
    await desk.look()
    found = {row["domain"]: row["looks"] for row in await desk.store.list_domain_checks()}
    assert set(found) == {DOMAIN, "other.example"}
    assert found["other.example"]


@EACH_WAY
async def test_of_a_thousand_domains_those_of_the_newest_mailouts_are_watched(
    desk: Desk, arrange: Arrange
) -> None:
    mailout = await arrange.mailout()
    await desk.sql.execute(
        "insert into mailouts (subject, body_html, from_email, created_at)"
        " select subject, body_html, who || '@d' || n || '.example',"
        " now() - n * interval '1 minute'"
        " from mailouts, generate_series(1, 1000) n, unnest(array['A', 'b']) who where id = %s",
        (mailout,),
    )
    found = await desk.store.sender_addresses()
    assert {address.rpartition("@")[2] for address in found} == {
        f"d{n}.example" for n in range(1, 201)
    }
    assert len(found) == 200


@EACH_WAY
async def test_a_notice_is_told_by_one_and_given_up_after_a_day(desk: Desk) -> None:
    await desk.look()
    desk.dns.take(DMARC)
    await desk.look()
    first, second = await asyncio.gather(
        *(desk.store.claim_owner_news("mail", "eu-west-1") for _ in range(2))
    )
    due = first or second
    assert due
    assert not (first and second)
    await desk.store.settle_owner_news(due.id, None, detail="throttled", retry_seconds=0)
    assert await desk.store.claim_owner_news("mail") == due
    await desk.store.settle_owner_news(due.id, None, detail="throttled", retry_seconds=0)
    await desk.sql.execute("update owner_news set created_at = now() - interval '25 hours'")
    assert await desk.store.claim_owner_news("mail") is None


def test_addresses_become_domains() -> None:
    addresses = ["", "news@Münze.example", "Second@münze.example", "a@b@c", "x@localhost"]
    assert senders_by_domain(addresses) == {"xn--mnze-0ra.example": "news@Münze.example"}
