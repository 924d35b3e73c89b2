"""A sender's domain of which one record vanished, one is wrong, and one isn't known."""

from __future__ import annotations

from psycopg.types.json import Jsonb

from app.domain.dns.looks import Look, not_told
from app.domain.dns.sender import Record
from app.domain.dns.watched import Alarm, Watched
from tests.support.factories import Arrange

DOMAIN = "a-rather-long-name-for-a-newsletter.example.com"
KEY = "xk3pzq7w5vd2y6fjm4ltr8hn1bgcs9ae"


async def stage_domain(arrange: Arrange) -> None:
    key = Record(f"{KEY}._domainkey.{DOMAIN}", "CNAME", f"{KEY}.dkim.amazonses.com")
    spf = "v=spf1 " + "ip4:192.0.2.1 " * 40 + "~all"
    missing = Look("warn", f"{key.name} is missing.", "publish this", "dkim:x", "missing", key)
    looks = [
        Look(
            "ok",
            "DMARC: the policy is reject.",
            "",
            "dmarc",
            "there",
            None,
            ("v=DMARC1; p=reject",),
        ),
        missing,
        Look(
            "warn",
            "The SPF record counts for nothing.",
            "correct it.",
            "spf",
            "wrong",
            None,
            (spf,),
        ),
        not_told("mx", "the MX record is there", "DNS answers SERVFAIL"),
        Look("fail", "No receiver can tell that mail is yours.", "mend it.", "verdict"),
    ]
    alarm = Alarm(
        "dkim:x", "2026-11-25T09:00:00+00:00", missing.what, missing.plain.remedy, key.value
    )
    await arrange.sql.execute(
        "insert into domain_checks (domain, address, next_at, checked_at, asked, looks, watched)"
        " values (%s, %s, now() + interval '1 hour', now(), true, %s, %s)",
        (
            DOMAIN,
            f"news@{DOMAIN}",
            Jsonb([look.to_stored() for look in looks]),
            Jsonb(Watched({}, {alarm.code: alarm}).to_stored()),
        ),
    )
