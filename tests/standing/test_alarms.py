"""What is wrong is told once when it begins or gets worse, and once when it is over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from app.domain.sending.batches import Account
from app.domain.standing.alarms import Alarm, News, compare, notice
from app.domain.standing.blocklists import Listing
from app.domain.standing.judge import Judgement, judge
from app.domain.standing.rates import ProviderRates, rates
from app.domain.standing.told import Advice, Entity, Part, RegionStanding, off, told, unknown

REGION = "eu-west-1"
ARN = f"arn:aws:ses:{REGION}:123456789012:identity/example.com"
HEALTHY = Account(14.0, 50_000.0, 10.0, True, "HEALTHY", True)
NOW = "2026-11-26T09:00:00+00:00"


def region(**parts: Any) -> RegionStanding:
    nothing: Part[Any] = told(())
    well: dict[str, Any] = {
        "account": HEALTHY,
        "entities": nothing,
        "ips": nothing,
        "dnsbl": nothing,
    }
    return RegionStanding(REGION, **(well | parts))


def window(*, delivered: int, bounced: int = 0, complained: int = 0) -> list[ProviderRates]:
    row = {"provider": "Yahoo and AOL", "delivered": delivered, "bounced": bounced}
    return rates([row | {"soft_bounced": 0, "suppressed": 0, "complained": complained,
                         "delayed": 0}], ())  # fmt: skip


def judged(days: int = 7, **counts: int) -> Judgement:
    return judge([], {days: window(**counts)})


def levels(found: Judgement) -> dict[str, str]:
    return {fault.code: fault.level for fault in found.faults}


@pytest.mark.parametrize(
    ("counts", "level"),
    [
        ({"delivered": 951, "bounced": 49}, None),
        ({"delivered": 950, "bounced": 50}, "warn"),
        ({"delivered": 900, "bounced": 100}, "fail"),
        ({"delivered": 80, "bounced": 19}, None),  # 99 mails say too little
        ({"delivered": 96, "bounced": 4}, None),
    ],
)
def test_bounces_are_judged_as_amazon_does(counts: dict[str, int], level: str | None) -> None:
    assert levels(judged(**counts)).get("rate:bounces") == level


@pytest.mark.parametrize(
    ("delivered", "complained", "level"),
    [(4_000, 3, None), (3_000, 3, "warn"), (1_000, 3, "fail"), (100, 2, None)],
)
def test_complaints_are_judged_as_mailbox_providers_do(
    delivered: int, complained: int, level: str | None
) -> None:
    found = levels(judged(delivered=delivered, complained=complained))
    assert found.get("rate:complaints") == level
    assert "rate:complaints:Yahoo and AOL" not in found, "it would say the same twice"


def test_the_figures_and_the_remedy_are_told() -> None:
    yahoo = window(delivered=1_000, complained=3)[1]
    rest = window(delivered=9_000)[0]
    [one] = judge([], {7: [rest, yahoo]}).faults
    [all_] = judged(delivered=1_000, complained=3).faults
    assert all_.what == (
        "0.3 % (3 of 1,000) of the mails to providers that tell of complaints of the last 7 days "
        "were reported as spam."
    )
    assert one.what == (
        "0.3 % (3 of 1,000) of the mails to Yahoo and AOL of the last 7 days were reported as spam."
    )
    assert "Gmail and Yahoo take 0.3 %" in one.remedy


def test_domains_of_nobody_in_particular_have_a_name() -> None:
    row = dict.fromkeys(("soft_bounced", "suppressed", "complained", "delayed"), 0)
    mails = [
        {"provider": "Gmail", "delivered": 5_000, "bounced": 0} | row,
        {"provider": "Other", "delivered": 180, "bounced": 20} | row,
    ]
    [fault] = judge([], {1: rates(mails, ())}).faults
    assert fault.what == (
        "10 % (20 of 200) of the mails to all other domains of the last 24 hours bounced for good."
    )


def test_a_month_is_not_judged() -> None:
    assert judged(30, delivered=100, bounced=100).faults == ()


@pytest.mark.parametrize(
    ("account", "level", "words"),
    [
        (replace(HEALTHY, enforcement_status="SHUTDOWN"), "fail", "Amazon has stopped sending"),
        (replace(HEALTHY, sending_enabled=False), "fail", "switched off"),
        (replace(HEALTHY, enforcement_status="PROBATION"), "warn", "under review"),
    ],
)
def test_what_amazon_says_of_the_account(account: Account, level: str, words: str) -> None:
    [fault] = judge([region(account=account)], {}).faults
    assert (fault.level, fault.code) == (level, f"account:{REGION}:sending")
    assert words in fault.what


@pytest.mark.parametrize(
    ("entity", "level", "code", "words"),
    [
        (Entity(ARN, "ENABLED", "DISABLED", "Traps"), "fail", "sending", "its reason: Traps"),
        (Entity(ARN, "DISABLED", "ENABLED"), "warn", "sending", "switched off, by you"),
        (Entity(ARN, "ENABLED", "ENABLED", impact="HIGH"), "fail", "finding", "harms it much"),
        (Entity(ARN, "", "REINSTATED", impact="LOW"), "warn", "finding", "harms it a little"),
    ],
)
def test_what_amazon_says_of_an_identity(entity: Entity, level: str, code: str, words: str) -> None:
    [fault] = judge([region(entities=told([entity, Entity(f"{ARN}.x")]))], {}).faults
    assert (fault.level, fault.code) == (level, f"reputation:{REGION}:{code}:{ARN}")
    assert "identity/example.com" in fault.what
    assert words in fault.what


def test_lists_and_advice() -> None:
    lists = told([Listing("192.0.2.1", "bl.example", "listed", ("127.0.0.2",), "Spam trap"),
                  Listing("192.0.2.2", "bl.example", "clean"),
                  Listing("192.0.2.3", "bl.example", "unknown", why="SERVFAIL")])  # fmt: skip
    advice = told([Advice(ARN, "DMARC", "No DMARC record.", "HIGH", NOW),
                   Advice(ARN, "BIMI", "No BIMI record.", "LOW", NOW)])  # fmt: skip
    found = judge([region(dnsbl=lists, advice=advice)], {})
    listed, advised = found.faults
    assert listed.code == f"list:{REGION}:192.0.2.1|bl.example"
    assert "The list says: Spam trap." in listed.what
    assert (advised.level, "No DMARC record" in advised.what) == ("warn", True)
    assert found.open == (f"list:{REGION}:192.0.2.3|bl.example",)


def after(before: News, found: Judgement) -> News:
    return compare(before.alarms, found, "2026-11-26T10:00:00+00:00")


def test_an_alarm_is_told_once_and_again_when_it_gets_worse_and_over() -> None:
    begun = compare((), judged(delivered=1_900, bounced=100), NOW)
    told_first = notice(begun)
    assert told_first
    assert told_first["headline"].startswith("5 % (100 of 2,000)")
    same = after(begun, judged(delivered=1_890, bounced=110))
    assert (notice(same), len(same.alarms)) == (None, 1)
    assert same.alarms[0].since == NOW
    assert "110 of 2,000" in same.alarms[0].what, "the page shows the latest figures"
    worse = after(same, judged(delivered=1_000, bounced=1_000))
    assert {alarm.level for alarm in worse.begun} == {"fail"}
    near = after(worse, judged(delivered=1_910, bounced=90))
    assert (len(near.alarms), near.over) == (1, ()), "at its limit it doesn't come and go"
    over = after(near, judged(delivered=1_980, bounced=20))
    assert (over.alarms, len(over.over)) == ((), 1)
    told_last = notice(over)
    assert told_last
    assert told_last["headline"].startswith("Over: 50 %")
    assert told_last["lines"] == ["None is left."]


def test_who_was_under_review_and_is_stopped_is_told_again() -> None:
    review = judge([region(account=replace(HEALTHY, enforcement_status="PROBATION"))], {})
    begun = compare((), review, NOW)
    stopped = judge([region(account=replace(HEALTHY, enforcement_status="SHUTDOWN"))], {})
    told_then = notice(after(begun, stopped))
    assert told_then
    assert told_then["headline"].startswith("Amazon has stopped sending")
    found = judge([region(entities=told([Entity(ARN, impact="HIGH")]))], {})
    both = judge([region(entities=told([Entity(ARN, aws="DISABLED", impact="HIGH")]))], {})
    worse = after(compare((), found, NOW), both)
    assert [alarm.code for alarm in worse.begun] == [f"reputation:{REGION}:sending:{ARN}"]
    assert worse.over == ()


def test_many_are_told_in_one_notice() -> None:
    lists = [Listing(f"192.0.2.{n}", "bl.example", "listed") for n in range(20)]
    begun = compare((), judge([region(dnsbl=told(lists))], {}), NOW)
    told_first = notice(begun)
    assert told_first
    assert told_first["headline"] == "Your standing as a sender: 20 new alarms"
    assert (len(told_first["lines"]), told_first["lines"][-1]) == (13, "And 8 more.")
    told_last = notice(after(begun, judge([region()], {})))
    assert told_last
    assert told_last["headline"] == "Your standing as a sender: 20 alarms over"


def test_a_single_alarm_is_the_headline_itself() -> None:
    shut = judge([region(account=replace(HEALTHY, enforcement_status="SHUTDOWN"))], {})
    begun = compare((), shut, NOW)
    told_first = notice(begun)
    assert told_first
    assert told_first["headline"] == f"Amazon has stopped sending for this account in {REGION}"
    assert "Support Center" in told_first["lines"][0]
    told_last = notice(after(begun, Judgement()))
    assert told_last
    assert told_last["headline"].startswith("Over: Amazon has stopped sending")


@pytest.mark.parametrize(
    ("code", "silent"),
    [
        (f"account:{REGION}:sending", {"account": None}),
        (f"reputation:{REGION}:finding:{ARN}", {"entities": unknown("denied")}),
        (f"advice:{REGION}:DMARC:{ARN}", {"advice": unknown("denied")}),
        (f"list:{REGION}:192.0.2.1|bl.example", {"ips": unknown("denied")}),
        (f"list:{REGION}:192.0.2.1|bl.example", {"aws_lists": unknown("denied")}),
        (
            f"list:{REGION}:192.0.2.1|bl.example",
            {"dnsbl": told([Listing("192.0.2.1", "bl.example", "unknown")])},
        ),
    ],
)
def test_what_is_not_known_neither_begins_nor_ends_an_alarm(
    code: str, silent: dict[str, Any]
) -> None:
    alarm = Alarm(code, "fail", "It is bad.", "Mend it.", NOW)
    still = compare([alarm], judge([region(**silent)], {}), NOW)
    assert (still.alarms, still.begun, still.over) == ((alarm,), (), ())
    over = compare([alarm], judge([region()], {}), NOW)
    assert over.over == (alarm,)


def test_what_is_no_longer_asked_for_is_over() -> None:
    code = f"list:{REGION}:192.0.2.1|bl.example"
    alarm = Alarm(code, "fail", "It is listed.", "Mend it.", NOW)
    assert compare([alarm], judge([region(dnsbl=off("not set"))], {}), NOW).over == (alarm,)


def test_a_look_is_stored_and_read_back() -> None:
    full = region(
        entities=told([Entity(ARN, "ENABLED", "DISABLED", "Spam", "HIGH")]),
        dnsbl=told([Listing("192.0.2.1", "bl.example", "listed", ("127.0.0.2",), "x")]),
        advice=unknown("denied"),
    )
    assert RegionStanding.from_stored(REGION, full.to_stored()) == full
