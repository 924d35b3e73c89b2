"""What holds of the rules whatever came in, and in whatever order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.engagement.rules import judge
from app.domain.engagement.signals import BEST_FIRST, Class, Link, Mail, Signal
from tests.engagement.streams import links_of
from tests.support.wide import examples

SENT = datetime(2026, 3, 3, 9, tzinfo=UTC)
LINKS = links_of(body=5, footer=2)
MAIL = Mail(SENT, SENT + timedelta(seconds=3), body_links=5, footer_links=2)
NETWORKS = ("", "", "", "microsoft-protection", "proofpoint", "apple-relay")
AGENTS = ("", "", "", "none", "gmail-proxy", "gmail-prefetch", "apple-privacy", "checker")

_few = settings(max_examples=examples(50))
seconds = st.one_of(
    st.floats(-3, 12), st.floats(0, 700), st.floats(0, 20_000), st.sampled_from([0.0, 1.0, 10.0])
)
mails = st.builds(
    Mail,
    sent_at=st.just(SENT) | st.none(),
    delivered_at=st.just(MAIL.delivered_at) | st.none(),
    body_links=st.integers(0, 6) | st.none(),
    footer_links=st.integers(0, 3) | st.none(),
)


@st.composite
def a_signal(draw: st.DrawFn) -> Signal:
    first = SENT + timedelta(seconds=3 + draw(seconds))
    lasted = draw(st.sampled_from([0.0, 0.0, 0.5, 4.0, 300.0, 599.0]))
    kind = draw(st.sampled_from(["open", "click", "click"]))
    return Signal(
        kind=kind,  # type: ignore[arg-type]
        first_at=first,
        last_at=first + timedelta(seconds=lasted),
        link=draw(st.sampled_from([*LINKS, None])) if kind == "click" else None,
        network=draw(st.sampled_from(NETWORKS)),
        agent=draw(st.sampled_from(AGENTS)),
        events=draw(st.sampled_from([1, 2, 3, 150])) if lasted else 1,
    )


signals_of_a_mail = st.lists(a_signal(), max_size=25)


def scanner(start: float, gap: float) -> list[Signal]:
    """One that follows each link; its name is a browser's."""
    times = (SENT + timedelta(seconds=3 + start + gap * n) for n in range(len(LINKS)))
    return [Signal("click", at, at, link) for at, link in zip(times, LINKS, strict=True)]


def rank(class_: Class) -> int:
    return BEST_FIRST.index(class_)


@given(mails, signals_of_a_mail, st.randoms(use_true_random=False))
@_few
def test_the_order_in_which_signals_come_in_is_all_the_same(
    mail: Mail, signals: list[Signal], dice: random.Random
) -> None:
    pairs = list(zip(signals, judge(mail, signals), strict=True))
    dice.shuffle(pairs)
    mixed = judge(mail, [signal for signal, _ in pairs])
    assert mixed == [verdict for _, verdict in pairs]


@given(mails, signals_of_a_mail, signals_of_a_mail)
@_few
def test_what_comes_in_later_never_makes_a_person_of_what_was_there(
    mail: Mail, signals: list[Signal], more: list[Signal]
) -> None:
    """So a scanner can't talk itself out of it by scanning more."""
    before = judge(mail, signals)
    after = judge(mail, [*signals, *more])[: len(signals)]
    for was, now in zip(before, after, strict=True):
        assert rank(now.class_) >= rank(was.class_)


@given(st.floats(0, 4), st.floats(0.05, 4), signals_of_a_mail)
@_few
def test_a_scanner_at_the_delivery_is_one_whatever_else_happens(
    start: float, gap: float, others: list[Signal]
) -> None:
    scanned = scanner(start, gap)
    verdicts = judge(MAIL, [*scanned, *others])[: len(scanned)]
    assert {verdict.class_ for verdict in verdicts} == {"machine"}


@given(st.lists(st.tuples(st.integers(0, 4), seconds), min_size=1, max_size=12), mails)
@_few
def test_folding_repeats_never_turns_a_human_into_a_machine(
    clicks: list[tuple[int, float]], mail: Mail
) -> None:
    """Each event alone against the signals that are kept: one for each link and ten minutes."""
    single = [_click(LINKS[link], SENT + timedelta(seconds=3 + at)) for link, at in clicks]
    kept: dict[tuple[int, float], list[Signal]] = {}
    for each in single:
        assert each.link is not None
        slot = each.first_at.timestamp() // 600
        kept.setdefault((each.link.id, slot), []).append(each)
    folded = [
        Signal(
            "click",
            min(each.first_at for each in group),
            max(each.last_at for each in group),
            group[0].link,
            events=len(group),
        )
        for group in kept.values()
    ]
    alone = judge(mail, single)
    together = judge(mail, folded)
    for group, verdict in zip(kept.values(), together, strict=True):
        of_group = [
            alone[n].class_ for n, each in enumerate(single) if any(each is g for g in group)
        ]
        if "human" in of_group:
            assert verdict.class_ != "machine"


def _click(link: Link, at: datetime) -> Signal:
    return Signal("click", at, at, link)


@given(
    st.lists(
        st.builds(
            Signal,
            kind=st.sampled_from(["open", "click"]),
            first_at=st.datetimes() | st.datetimes(timezones=st.just(UTC)),
            last_at=st.datetimes() | st.datetimes(timezones=st.just(UTC)),
            link=st.builds(Link, st.integers(), st.sampled_from(["body", "footer", None]))
            | st.none(),
            network=st.text(max_size=5),
            agent=st.text(max_size=5),
            events=st.integers(-5, 10**9),
        ),
        max_size=8,
    ),
    st.builds(
        Mail,
        sent_at=st.datetimes() | st.none(),
        delivered_at=st.datetimes(timezones=st.just(UTC)) | st.none(),
        body_links=st.integers(-3, 9) | st.none(),
        footer_links=st.integers(-3, 9) | st.none(),
    ),
)
@_few
def test_nothing_raises(signals: list[Signal], mail: Mail) -> None:
    assert len(judge(mail, signals)) == len(signals)
