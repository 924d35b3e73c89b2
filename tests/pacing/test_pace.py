"""How fast a provider that defers is mailed: properties of the rule, and its course in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.pacing.pace import (
    DECREASE,
    FEW,
    MIN_DEFERRED,
    SLOWEST,
    TOO_MANY,
    Figures,
    Pace,
    next_pace,
)
from tests.support.wide import examples

NOW = datetime(2026, 11, 26, 10, tzinfo=UTC)
counts = st.integers(0, 10_000)
figures = st.builds(Figures, counts, counts, st.floats(0.001, 1_000))
ages = st.timedeltas(timedelta(0), timedelta(hours=1))


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    ceiling = draw(st.floats(SLOWEST / DECREASE, 1_000))
    rate = draw(st.floats(SLOWEST, ceiling))
    slowed = NOW - draw(ages)
    raised = min(NOW, slowed + draw(ages))
    return Pace(rate, ceiling, slowed, slowed, raised, 10, 20)


@settings(max_examples=examples(50))
@given(paces(), figures)
def test_a_rate_stays_between_the_slowest_and_that_at_which_it_began(
    pace: Pace, told: Figures
) -> None:
    after = next_pace(pace, told, NOW)
    assert after is None or SLOWEST <= after.rate <= max(pace.ceiling, pace.rate)


@settings(max_examples=examples(50))
@given(paces(), figures)
def test_deferrals_never_make_it_faster_and_silence_never_slower(pace: Pace, told: Figures) -> None:
    after = next_pace(pace, told, NOW)
    if told.share >= TOO_MANY:
        assert (after is not None and after.rate <= pace.rate) or told.deferred < 3
    if told.share <= FEW:
        assert after is None or after.rate >= pace.rate


@settings(max_examples=examples(50))
@given(st.one_of(st.none(), paces()), figures, st.integers(1, 1_000))
def test_more_deferrals_never_mean_a_faster_rate(
    pace: Pace | None, told: Figures, more: int
) -> None:
    worse = Figures(told.delivered, told.deferred + more, told.rate)
    after, after_worse = next_pace(pace, told, NOW), next_pace(pace, worse, NOW)
    assert after is None or (after_worse is not None and after_worse.rate <= after.rate)


@settings(max_examples=examples(30))
@given(st.floats(SLOWEST, 1_000), st.integers(MIN_DEFERRED, 500))
def test_a_provider_that_takes_mail_again_is_free_within_half_an_hour(
    rate: float, deferred: int
) -> None:
    pace = next_pace(None, Figures(0, deferred, rate), NOW)
    for minute in range(1, 31):
        if pace is None:
            return
        pace = next_pace(pace, Figures(20, 0, rate), NOW + timedelta(minutes=minute))
    assert pace is None


def test_it_is_halved_while_it_defers_and_no_more_often_than_it_can_tell() -> None:
    pace = next_pace(None, Figures(30, 30, 8.0), NOW)
    assert pace is not None and pace.rate == 4.0
    at_once = next_pace(pace, Figures(0, 5, 4.0), NOW + timedelta(seconds=30))
    assert at_once is not None and at_once.rate == 4.0, "these were sent before it was slowed down"
    later = next_pace(pace, Figures(0, 5, 4.0), NOW + timedelta(minutes=2))
    assert later is not None and later.rate == 2.0
    assert (later.deferred, later.answered) == (5, 5), "the page says why"


def test_a_few_deferrals_slow_nobody() -> None:
    assert next_pace(None, Figures(0, MIN_DEFERRED - 1, 5.0), NOW) is None
    assert next_pace(None, Figures(1_000, 50, 5.0), NOW) is None
