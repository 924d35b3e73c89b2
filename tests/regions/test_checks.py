"""`doctor` and preflight look at every region, and a region that can't send is said while another
can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import httpx
import pytest

from app.domain.reports.findings import Finding
from app.errors import Unavailable
from app.outside import examine
from app.ports import Subscription
from app.services.checks.amazon.regions import join_regions
from app.services.checks.asking import Outside
from app.services.checks.settings import check_topics
from app.settings import Settings
from tests.integration.test_doctor import (
    FakeSes,
    FakeSns,
    any_database,
    aws_settings,
    destination,
    healthy,
)
from tests.support.factories import an_account
from tests.support.service import TOPIC

HOME, AWAY = "us-east-1", "eu-west-1"
TOPIC_AWAY = TOPIC.replace(HOME, AWAY)


class AnySns(FakeSns):
    def subscriptions(self, topic_arn: str, endpoint: str) -> list[Subscription] | None:
        assert not isinstance(self.found, Exception)
        return self.found


def two_regions(**changes: str | None) -> Settings:
    base = {"SES_REGIONS": f"{HOME},{AWAY}", "SNS_ALLOWED_TOPIC_ARNS": f"{TOPIC},{TOPIC_AWAY}"}
    return aws_settings(**base | changes)


def in_order() -> dict[str, FakeSes]:
    return {HOME: FakeSes(), AWAY: FakeSes(destinations=[destination(TOPIC_AWAY)])}


async def found(settings: Settings, ses: Mapping[str, FakeSes]) -> list[Finding]:
    outside = Outside(
        ses=lambda settings: ses[settings.home.name],
        sns=lambda _: AnySns(),
        http=lambda: httpx.AsyncClient(transport=httpx.MockTransport(healthy)),
    )
    findings = await examine(settings, open_db=any_database, outside=outside)
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    return findings


def bad(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.what) for finding in findings if finding.level != "ok"]


async def test_two_regions_in_good_order_are_each_told_of() -> None:
    findings = await found(two_regions(), in_order())
    assert bad(findings) == []
    said = [finding.what for finding in findings]
    assert f"{HOME}: SES answers in {HOME}." in said
    assert f"{AWAY}: SES answers in {AWAY}." in said
    # What all have alike stands there once.
    assert said.count("SES has verified example.com for news@example.com, with DKIM.") == 1


async def test_a_region_without_verified_identity_is_named_and_stops_nothing() -> None:
    ses = in_order()
    ses[AWAY].identities = {}
    findings = await found(two_regions(), ses)
    what = f"SES does not know news@example.com or its domain in {AWAY}."
    assert bad(findings) == [("warn", f"{AWAY}: {what}")]
    assert "Identities" in next(each.remedy for each in findings if what in each.what)


async def test_when_no_region_can_send_it_is_a_failure() -> None:
    ses = in_order()
    ses[AWAY].identities = {}
    ses[HOME].account = an_account(max_send_rate=14.0, sending_enabled=False)
    assert bad(await found(two_regions(), ses)) == [
        ("fail", f"{HOME}: Sending is switched off for this account."),
        ("fail", f"{AWAY}: SES does not know news@example.com or its domain in {AWAY}."),
    ]


async def test_a_region_that_does_not_answer_is_named() -> None:
    ses = in_order()
    ses[HOME].account = Unavailable("SES did not answer GetAccount: nobody is there")
    assert bad(await found(two_regions(), ses)) == [
        ("warn", f"{HOME}: SES did not answer GetAccount: nobody is there")
    ]


async def test_each_region_is_asked_for_its_own_configuration_set() -> None:
    """The other's would be refused by the double."""
    ses = in_order()
    ses[AWAY].destinations = None
    settings = two_regions(SES_CONFIGURATION_SET_EU_WEST_1="sandbox", SES_CONFIGURATION_SET=None)
    assert [
        (level, what)
        for level, what in bad(await found(settings, ses))
        if "onfiguration" in what or "CONF" in what
    ] == [
        (
            "warn",
            f"{HOME}: SES_CONFIGURATION_SET is missing. Bounces and complaints will not arrive, "
            "so people who don't want mail keep getting it, and recipients whose outcome is "
            "unknown stay so.",
        ),
        (
            "warn",
            f"{AWAY}: There is no configuration set sandbox in {AWAY}: SES refuses mail.",
        ),
    ]


@pytest.mark.parametrize(
    ("topics", "without"),
    [
        (f"{TOPIC},{TOPIC_AWAY}", []),
        (TOPIC, [AWAY]),
        (TOPIC_AWAY, [HOME]),
        (f"{TOPIC},{TOPIC}-more", [AWAY]),
        (None, []),  # that there is none at all is said elsewhere
    ],
)
def test_a_region_without_a_topic_of_its_own_is_named(
    topics: str | None, without: list[str]
) -> None:
    findings = list(check_topics(two_regions(SNS_ALLOWED_TOPIC_ARNS=topics)))
    assert [finding.what.partition(".")[0] for finding in findings] == [
        f"SNS_ALLOWED_TOPIC_ARNS has no topic in {region}" for region in without
    ]
    assert all(finding.level == "warn" and finding.remedy for finding in findings)


def test_one_region_may_have_its_topic_anywhere() -> None:
    assert list(check_topics(aws_settings(SNS_ALLOWED_TOPIC_ARNS=TOPIC_AWAY))) == []


def test_what_stops_one_region_is_a_warning_while_another_can_send() -> None:
    told = {
        HOME: [Finding("ok", "It sends."), Finding("ok", "DNS is right.")],
        AWAY: [Finding("fail", "It is off.", "switch it on."), Finding("ok", "DNS is right.")],
    }
    assert join_regions(told) == [
        Finding("ok", f"{HOME}: It sends."),
        Finding("ok", "DNS is right."),
        Finding("warn", f"{AWAY}: It is off.", "switch it on."),
    ]
    alone = {AWAY: told[AWAY]}
    assert join_regions(alone) == told[AWAY]
    both = {HOME: told[AWAY], AWAY: [replace(told[AWAY][0], what="It is closed.")]}
    assert [finding.level for finding in join_regions(both)] == ["fail", "ok", "fail"]


def test_opens_can_only_be_watched_when_every_region_does() -> None:
    assert two_regions().missing_to_track() == "SES_TRACKING_CONFIGURATION_SET"
    one = two_regions(SES_TRACKING_CONFIGURATION_SET_US_EAST_1="watched")
    assert one.missing_to_track() == "SES_TRACKING_CONFIGURATION_SET_EU_WEST_1"
    assert one.missing_to_track(HOME) is None
    assert two_regions(SES_TRACKING_CONFIGURATION_SET="watched").missing_to_track() is None
