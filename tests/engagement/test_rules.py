"""What signals prove, rule by rule. The made-up streams are in test_streams.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest

from app.domain.engagement.reasons import WORDS, Reason, words
from app.domain.engagement.rules import best, judge
from app.domain.engagement.signals import Class, Kind, Link, Mail, Signal, Verdict
from tests.engagement.streams import links_of

SENT = datetime(2026, 3, 3, 9, tzinfo=UTC)
DELIVERED = SENT + timedelta(seconds=4)
LINKS = links_of(body=6, footer=2)
MAIL = Mail(sent_at=SENT, delivered_at=DELIVERED, body_links=6, footer_links=2)


def at(seconds: float) -> datetime:
    return DELIVERED + timedelta(seconds=seconds)


def signal(
    kind: Kind,
    seconds: float,
    *,
    link: Link | None = None,
    until: float | None = None,
    events: int = 1,
    network: str = "",
    agent: str = "",
) -> Signal:
    """seconds, until: of the first and the last event, since the delivery."""
    last = at(seconds if until is None else until)
    return Signal(kind, at(seconds), last, link, network, agent, events)


def click(seconds: float, link: int = 0, **more: object) -> Signal:
    return signal("click", seconds, link=LINKS[link], **more)  # type: ignore[arg-type]


def opened(seconds: float, **more: object) -> Signal:
    return signal("open", seconds, **more)  # type: ignore[arg-type]


def verdict(*signals: Signal, mail: Mail = MAIL) -> tuple[str, str]:
    """Of the first of them."""
    first = judge(mail, signals)[0]
    return first.class_, first.reason


def classes(signals: Sequence[Signal], mail: Mail = MAIL) -> list[Class]:
    return [each.class_ for each in judge(mail, signals)]


# One signal alone


@pytest.mark.parametrize(
    ("alone", "expected"),
    [
        (opened(3600), ("human", "open")),
        (opened(3600, agent="gmail-proxy"), ("human", "proxy_open")),
        (opened(3600, agent="yahoo-proxy"), ("human", "proxy_open")),
        (opened(3600, agent="gmail-prefetch"), ("unknown", "prefetch")),
        (opened(3600, agent="apple-privacy", network="apple-relay"), ("unknown", "apple_privacy")),
        (opened(3600, network="apple-relay"), ("unknown", "apple_relay")),
        (opened(3600, agent="apple-privacy"), ("unknown", "apple_privacy")),
        (opened(3600, network="microsoft-protection"), ("unknown", "protection_open")),
        (opened(0.2, network="microsoft-protection"), ("unknown", "protection_open")),
        (opened(3600, agent="none"), ("unknown", "unnamed")),
        (opened(0.5), ("unknown", "soon")),
        (opened(4.9, agent="gmail-proxy"), ("unknown", "soon")),
        (opened(5), ("human", "open")),
        (opened(30, network="proofpoint"), ("machine", "scanner_near")),
        (opened(7200, network="proofpoint"), ("unknown", "scanner_later")),
        (opened(3600, agent="checker"), ("machine", "checker")),
        (click(3600), ("human", "click")),
        (click(3600, network="apple-relay"), ("human", "relay_click")),
        (click(3600, agent="apple-privacy"), ("unknown", "unnamed")),
        (click(3600, agent="gmail-proxy"), ("machine", "proxy_click")),
        (click(3600, agent="previewer"), ("machine", "previewer")),
        (click(3600, network="microsoft-protection"), ("machine", "protection")),
        (click(-3600, network="microsoft-protection"), ("machine", "protection")),
        (click(0), ("machine", "instant")),
        (click(0.9), ("machine", "instant")),
        (click(1), ("unknown", "soon")),
        (click(4.9), ("unknown", "soon")),
        (click(5), ("human", "click")),
        (click(600, network="mimecast"), ("machine", "scanner_near")),
        (click(601, network="mimecast"), ("unknown", "scanner_later")),
        (click(-1, network="cisco"), ("unknown", "scanner_later")),
    ],
)
def test_a_signal_alone(alone: Signal, expected: tuple[str, str]) -> None:
    assert verdict(alone) == expected


def test_a_click_without_a_known_link_is_judged_like_any_other() -> None:
    assert verdict(signal("click", 3600)) == ("human", "click")


# Time


@pytest.mark.parametrize("seconds", [-0.001, -2, -86_400])
def test_nobody_is_accused_by_a_clock(seconds: float) -> None:
    """The click came before its delivery: a check on the way in, or a report that came late."""
    assert verdict(click(seconds)) == ("unknown", "before_delivery")
    assert verdict(opened(seconds)) == ("unknown", "before_delivery")


def test_without_a_delivery_the_time_of_sending_speaks_for_people_only() -> None:
    unknown = Mail(sent_at=SENT, body_links=6, footer_links=2)
    assert verdict(click(0), mail=unknown) == ("unknown", "no_delivery")
    assert verdict(click(300), mail=unknown) == ("unknown", "no_delivery")
    assert verdict(click(7200), mail=unknown) == ("human", "click")
    assert verdict(click(7200), mail=Mail()) == ("unknown", "no_delivery")
    assert verdict(click(2, network="cisco"), mail=unknown) == ("unknown", "scanner_later")


def test_a_burst_is_one_whatever_is_known_of_the_delivery() -> None:
    burst = [click(i * 0.3, i) for i in range(8)]
    assert set(classes(burst, Mail(sent_at=SENT))) == {"machine"}
    early = [click(-9 + i * 0.3, i) for i in range(8)]
    assert set(classes(early)) == {"machine"}


def test_times_without_a_zone_or_in_the_wrong_order_do_no_harm() -> None:
    naive = Signal("click", at(3700).replace(tzinfo=None), at(3600), LINKS[0], events=2)
    assert verdict(naive) == ("human", "click")
    first = datetime.min.replace(tzinfo=UTC)
    last = datetime.max.replace(tzinfo=UTC)
    assert verdict(Signal("click", last, first, LINKS[0], events=0)) == ("human", "click")


# Bursts


def test_three_links_at_the_delivery_are_a_scanners() -> None:
    assert verdict(*(click(2 + i, i) for i in range(3))) == ("machine", "burst_at_delivery")


def test_two_links_at_the_delivery_may_be_anybodys() -> None:
    assert classes([click(2, 0), click(3, 1)]) == ["unknown", "unknown"]


def test_three_links_by_hand_are_perhaps_a_persons() -> None:
    by_hand = [click(3600 + 11 * i, i) for i in range(3)]
    assert [each.reason for each in judge(MAIL, by_hand)] == ["burst"] * 3
    assert classes(by_hand) == ["unknown"] * 3


def test_three_links_in_a_minute_are_a_persons() -> None:
    assert classes([click(3600 + 20 * i, i) for i in range(3)]) == ["human"] * 3


def test_the_same_link_three_times_is_no_burst() -> None:
    again = [click(3600 + 9 * i, 0) for i in range(3)]
    assert classes(again) == ["human"] * 3


def test_three_links_within_a_second_are_a_scanners_at_any_time() -> None:
    assert verdict(*(click(9000 + i * 0.4, i) for i in range(3))) == ("machine", "burst_fast")


def test_all_links_in_a_row_are_a_scanners_where_the_footer_is_among_them() -> None:
    everything = [click(9000 + 3 * i, i) for i in range(8)]
    assert set(classes(everything)) == {"machine"}
    assert judge(MAIL, everything)[0].reason == "burst_all"


@pytest.mark.parametrize(
    "mail",
    [
        Mail(SENT, DELIVERED, body_links=8, footer_links=0),  # somebody opens each story in a tab
        Mail(SENT, DELIVERED, body_links=2, footer_links=1),  # few enough for a person
        Mail(SENT, DELIVERED),  # the mail's links aren't known
        Mail(SENT, DELIVERED, body_links=40, footer_links=2),
    ],
)
def test_all_links_in_a_row_may_be_a_persons_elsewhere(mail: Mail) -> None:
    everything = [click(9000 + 3 * i, i) for i in range(8)]
    assert set(classes(everything, mail)) == {"unknown"}


def test_all_links_within_minutes_may_be_a_patient_scanners() -> None:
    slowly = [click(3600 + 40 * i, i) for i in range(8)]
    assert verdict(*slowly) == ("unknown", "all_slowly")
    assert set(classes(slowly[:-1])) == {"human"}


def test_the_whole_footer_in_a_row_soon_after_the_delivery_is_a_scanners() -> None:
    row = [click(40, 0), click(43, 6), click(46, 7)]
    assert set(classes(row)) == {"machine"}
    assert judge(MAIL, row)[0].reason == "burst_footer"
    later = [click(4000, 0), click(4003, 6), click(4006, 7)]
    assert set(classes(later)) == {"unknown"}


def test_a_footer_of_one_link_proves_nothing() -> None:
    mail = Mail(SENT, DELIVERED, body_links=6, footer_links=1)
    assert set(classes([click(40, 0), click(43, 1), click(46, 6)], mail)) == {"unknown"}


def test_two_links_within_a_second_may_be_anybodys() -> None:
    assert verdict(click(3600, 0), click(3600.5, 1)) == ("unknown", "two_at_once")


def test_who_clicks_among_another_programs_burst_has_no_part_in_it() -> None:
    scanner = [click(20 + i, i, network="microsoft-protection") for i in range(8)]
    assert verdict(click(23.5, 2), *scanner) == ("human", "click")


def test_pictures_loaded_in_the_middle_of_a_burst_are_the_scanners() -> None:
    scanner = [click(2 + i * 0.4, i) for i in range(8)]
    for seconds in (1.1, 2.5, 5.7):
        assert verdict(opened(seconds), *scanner) == ("machine", "burst_open")
    assert verdict(opened(0.9), *scanner) == ("unknown", "before_burst")
    assert verdict(opened(5.9), *scanner) == ("unknown", "after_burst")
    assert verdict(opened(2.5)) == ("unknown", "soon")


@pytest.mark.parametrize("before", [3, 29])
def test_pictures_loaded_right_before_a_burst_are_perhaps_the_scanners(before: float) -> None:
    """One that comes a quarter of an hour after the delivery, and looks first."""
    scanner = [click(900 + i * 0.4, i) for i in range(3)]
    assert verdict(opened(900 - before), *scanner) == ("unknown", "before_burst")
    assert verdict(opened(900 - 31), *scanner) == ("human", "open")


def test_pictures_loaded_while_all_links_are_followed_are_perhaps_a_scanners() -> None:
    slowly = [click(3600 + 40 * i, i) for i in range(8)]
    assert verdict(opened(3590), *slowly) == ("unknown", "all_slowly")
    assert verdict(opened(9000), *slowly) == ("human", "open")


def test_five_links_in_a_row_soon_after_the_delivery_are_a_scanners() -> None:
    row = [click(25 + 4 * i, i) for i in range(5)]
    assert set(classes(row)) == {"machine"}
    assert judge(MAIL, row)[0].reason == "burst_near"
    assert set(classes(row[:4])) == {"unknown"}


@pytest.mark.parametrize(
    "labels",
    [{"network": "microsoft-protection"}, {"network": "apple-relay"}, {"agent": "gmail-proxy"}],
)
def test_what_loads_pictures_for_readers_is_no_machine_for_what_was_clicked_through_it(
    labels: dict[str, str],
) -> None:
    clicks = [click(20 + i * 0.4, i, **labels) for i in range(8)]
    assert verdict(opened(21, **labels), *clicks)[0] != "machine"


# A scanner and a person who can't be told apart by label


def test_the_person_who_comes_hours_after_an_unknown_scanner_is_human() -> None:
    scanner = [click(2 + i * 0.3, i) for i in range(8)]
    assert verdict(click(3 * 3600, 3), *scanner) == ("human", "click")
    assert verdict(opened(3 * 3600), *scanner) == ("human", "open")
    assert set(classes([*scanner, click(3 * 3600, 3)])[:-1]) == {"machine"}


def test_the_person_who_comes_minutes_after_an_unknown_scanner_is_perhaps_one() -> None:
    scanner = [click(2 + i * 0.3, i) for i in range(8)]
    assert verdict(click(360, 3), *scanner) == ("unknown", "after_burst")
    assert verdict(click(11, 3), *scanner) == ("unknown", "after_burst")
    folded = [click(2, 0, until=360, events=2), *scanner[1:]]
    assert verdict(*folded) == ("unknown", "after_burst")


def test_who_came_between_two_visits_of_a_program_is_not_called_one() -> None:
    """The first and the last of three are the scanner's; the second is of nobody knows when."""
    twice = [click(2 + i * 0.3, i, until=500 + i * 0.3, events=3) for i in range(8)]
    assert verdict(*twice) == ("unknown", "folded")
    both = [click(2 + i * 0.3, i, until=500 + i * 0.3, events=2) for i in range(8)]
    assert set(classes(both)) == {"machine"}


# Many


def test_ten_thousand_clicks_of_one_scanner_are_nobodys_reading() -> None:
    fast = [click(2 + i * 0.1, i, until=90 + i * 0.1, events=1250) for i in range(8)]
    assert "human" not in classes(fast)
    microsoft = [click(2 + i, i % 8, network="microsoft-protection") for i in range(10_000)]
    assert set(classes(microsoft)) == {"machine"}
    patient = [click(600 + 60 * i, 0) for i in range(10_000)]
    assert set(classes(patient)) == {"unknown"}
    # What is kept beyond some hundred signals is one for each link.
    rest = click(600, 0, until=600_000, events=9_000)
    assert set(classes([*patient[:500], rest])) == {"unknown"}


def test_a_flood_says_nothing_of_the_person_hours_later() -> None:
    flood = click(60, 0, until=500, events=10_000)
    assert verdict(flood) == ("unknown", "flood")
    assert verdict(click(3 * 3600, 0), flood) == ("human", "click")


def test_a_proxy_that_loads_a_picture_a_thousand_times_still_showed_the_mail() -> None:
    often = opened(3600, until=3900, events=1000, agent="gmail-proxy")
    assert verdict(often) == ("human", "proxy_open")


# Passed on


def test_a_mail_shown_in_mailboxes_of_two_providers_was_perhaps_passed_on() -> None:
    shown = [opened(3600, agent="gmail-proxy"), opened(90_000, agent="yahoo-proxy")]
    assert judge(MAIL, [*shown, click(3700)]) == [
        Verdict("human", "passed_on"),
        Verdict("human", "passed_on"),
        Verdict("human", "click"),
    ]


# Words


def test_each_reason_has_words_that_go_on_after_because() -> None:
    assert set(WORDS) == set(get_args(Reason))
    for text in WORDS.values():
        assert text[0].islower() or text.split()[0] in {"Microsoft's", "Gmail", "Apple", "Apple's"}
        assert not text.endswith(".")
    assert words("instant") == WORDS["instant"]
    assert words("of a later version") == "of a later version"


def test_a_person_counts_by_the_best() -> None:
    assert best(["machine", "unknown", "human"]) == "human"
    assert best(["machine", None, "unknown"]) == "unknown"
    assert best(["machine"]) == "machine"
    assert best([None]) is None
    assert best([]) is None
