"""A standing with everything in it: alarms, findings, lists, figures, and what isn't known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from psycopg.types.json import Jsonb

from app.domain.sending.batches import Account
from app.domain.standing.alarms import compare
from app.domain.standing.blocklists import Listing
from app.domain.standing.judge import judge
from app.domain.standing.told import (
    Advice,
    DedicatedIp,
    Entity,
    IspFigures,
    Part,
    RegionStanding,
    off,
    told,
    unknown,
)
from tests.support.factories import Arrange

ARN = "arn:aws:ses:eu-west-1:123456789012:identity/a-rather-long-name-for-a-newsletter.example.com"
ACCOUNT = Account(14.0, 50_000.0, 31_204.0, True, "PROBATION", True, engagement_metrics=True)


def in_ireland() -> RegionStanding:
    lists: Part[Any] = told(
        [
            Listing("192.0.2.14", "zen.spamhaus.org", "listed", ("127.0.0.2",), "Spam trap hit"),
            Listing("192.0.2.15", "zen.spamhaus.org", "clean"),
            Listing("2001:db8:1234:5678::9", "bl.example", "unknown", why="DNS answers SERVFAIL"),
        ]
    )
    return RegionStanding(
        "eu-west-1",
        ACCOUNT,
        entities=told([Entity(ARN, "ENABLED", "ENABLED", impact="HIGH"), Entity(f"{ARN}.x")]),
        ips=told(
            [
                DedicatedIp("192.0.2.14", "news", "DONE", 100),
                DedicatedIp("192.0.2.15", "news", "IN_PROGRESS", 40),
                DedicatedIp("2001:db8:1234:5678::9", "news", "DONE", 100),
            ]
        ),
        dnsbl=lists,
        aws_lists=off("Amazon’s deliverability dashboard is not on"),
        advice=told([Advice(ARN, "DMARC", "No DMARC record was found.", "LOW", "")]),
        isps=told(
            [
                IspFigures("", 40_000, 39_000, 400, 600, 12, 21_000),
                IspFigures("Gmail", 25_000, 24_600, 250, 150, 0, None),
            ]
        ),
        isps_at="2026-11-26T02:00:00+00:00",
    )


def in_virginia() -> RegionStanding:
    silent = unknown("SES did not answer: AccessDenied; give the IAM user the permission")
    return RegionStanding(
        "us-east-1", replace(ACCOUNT, enforcement_status="HEALTHY", sent_last_24h=0.0),
        entities=silent, ips=told([]), advice=silent, isps=silent,
    )  # fmt: skip


async def stage_standing(arrange: Arrange) -> None:
    await arrange.sql.execute(
        "insert into provider_hours (hour, provider, delivered, bounced, complained, delayed)"
        " select date_trunc('hour', now()) - make_interval(days => d), p.name, p.mails - d * 7,"
        " p.mails / 200 + d, case p.name when 'Yahoo and AOL' then d % 4 else 0 end, d"
        " from generate_series(0, 27, 3) d, (values ('Gmail', 900), ('Yahoo and AOL', 420),"
        " ('GMX and WEB.DE', 260), ('Other', 700), ('Posteo', 230)) p (name, mails)"
    )
    regions = [in_ireland(), in_virginia()]
    for region in regions:
        await arrange.sql.execute(
            "insert into standing_samples (region, taken_at, sample) values (%s, now(), %s)",
            (region.region, Jsonb(region.to_stored())),
        )
    alarms = compare((), judge(regions, {}), "2026-11-25T09:00:00+00:00").to_stored()
    await arrange.sql.execute(
        "update standing_state set looked_at = now(), alarms = %s", (Jsonb(alarms),)
    )
