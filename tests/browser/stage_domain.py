"""A sender's domain of which one record vanished, one is wrong, one isn't known and one is missing
in another region; and a domain in order."""

from __future__ import annotations

from dataclasses import replace

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
    home, away = ("eu-west-1",), ("us-east-2",)
    mx = Record(f"bounce.{DOMAIN}", "MX", "10 feedback-smtp.us-east-2.amazonses.com")
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
        replace(missing, routes=home),
        Look(
            "warn",
            "The SPF record counts for nothing.",
            "correct it.",
            "spf:a",
            "wrong",
            None,
            (spf,),
            home,
        ),
        replace(not_told("mx:a", "the MX record is there", "the server fails"), routes=home),
        Look(
            "fail",
            "No receiver can tell that mail is yours.",
            "mend it.",
            "verdict@eu-west-1",
            routes=home,
        ),
        Look(
            "warn",
            f"The MX record of {mx.name} is missing.",
            "publish this",
            "mx:b",
            "missing",
            mx,
            routes=away,
        ),
        Look("ok", "Receivers can tell that mail is yours.", "", "verdict@us-east-2", routes=away),
    ]
    alarm = Alarm(
        "dkim:x", "2026-11-25T09:00:00+00:00", missing.what, missing.plain.remedy, key.value
    )
    fine = [looks[0], Look("ok", "Receivers can tell that mail is yours.", "", "verdict")]
    for domain, seen, watched in (
        (DOMAIN, looks, Watched({}, {alarm.code: alarm})),
        ("xn--mnze-0ra.example", fine, Watched()),
    ):
        await arrange.sql.execute(
            "insert into domain_checks"
            " (domain, address, next_at, checked_at, asked, looks, watched)"
            " values (%s, %s, now() + interval '1 hour', now(), true, %s, %s)",
            (
                domain,
                f"news@{domain}",
                Jsonb([look.to_stored() for look in seen]),
                Jsonb(watched.to_stored()),
            ),
        )
