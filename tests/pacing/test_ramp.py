"""When a day of a warm-up counts, and how long a mailout takes."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.pacing.plan import Day, Plan, standard_plan
from app.domain.pacing.ramp import (
    Outcome,
    Ramp,
    Thresholds,
    day_at,
    end_of,
    forecast,
    judge_day,
    together,
)
from tests.support.wide import examples

LIMITS = Thresholds(0.05, 0.001)


def test_a_day_counts_when_half_was_sent_and_nothing_speaks_against_it() -> None:
    assert judge_day(100, 50, Outcome(49, 1), LIMITS).advances
    idle = judge_day(100, 49, Outcome(49), LIMITS)
    assert not idle.advances and "only 49 of 100 were sent" in idle.why


def test_bounces_and_complaints_hold_the_ramp_and_say_so() -> None:
    bounces = judge_day(200, 200, Outcome(180, 20), LIMITS)
    assert not bounces.advances
    assert bounces.why == "20 of 200 bounced (10.0%), and the limit is 5.0%"
    complaints = judge_day(200, 200, Outcome(198, 0, 2), LIMITS)
    assert not complaints.advances and "2 of 200 complained (1.00%)" in complaints.why
    small = judge_day(50, 50, Outcome(44, 6), LIMITS)
    assert not small.advances, "a first day has few mails, and twice the limit is clear enough"


def test_one_of_few_holds_nothing() -> None:
    assert judge_day(50, 50, Outcome(47, 2, 1), LIMITS).advances


@settings(max_examples=examples(50))
@given(
    st.integers(1, 1_000), st.integers(0, 1_000), st.integers(0, 500), st.integers(0, 500),
    st.integers(1, 100),
)  # fmt: skip
def test_more_trouble_never_lets_a_day_count(
    cap: int, delivered: int, bounced: int, complained: int, more: int
) -> None:
    before = judge_day(cap, cap, Outcome(delivered, bounced, complained), LIMITS)
    worse = judge_day(cap, cap, Outcome(delivered, bounced, complained + more), LIMITS)
    assert before.advances or not worse.advances or bounced  # complaints dilute a bounce rate


def test_a_day_ends_at_midnight_there_also_when_the_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert day_at(datetime(2026, 10, 24, 22, 30, tzinfo=UTC), berlin) == date(2026, 10, 25)
    ends = end_of(date(2026, 10, 25), berlin)
    assert ends.astimezone(UTC) == datetime(2026, 10, 25, 23, tzinfo=UTC)
    assert end_of(date(2026, 10, 24), berlin).astimezone(UTC) == datetime(
        2026, 10, 24, 22, tzinfo=UTC
    )


def test_a_mailout_of_fifty_thousand_takes_its_days() -> None:
    plan = standard_plan(50_000)
    assert forecast(Ramp(plan), {"": 50}).days == 1
    assert forecast(Ramp(plan), {"": 51}).days == 2
    assert forecast(Ramp(plan, 50), {"": 50}).days == 2, "today is used up"
    assert forecast(Ramp(plan), {"": 50_000}).days == 12
    assert forecast(Ramp(plan[20:]), {"": 10**6}).days == 1, "the warm-up is over"


def test_a_provider_with_a_small_cap_takes_longest() -> None:
    plan = (Day(100, {"Gmail": 10}),) * 30
    assert forecast(Ramp(plan), {"": 90, "Gmail": 10}).days == 1
    assert forecast(Ramp(plan), {"Gmail": 100}).days == 10
    assert forecast(Ramp(plan, 5, {"Gmail": 5}), {"Gmail": 10}).days == 2
    assert forecast(Ramp((Day(5, {"Gmail": 0}),) * 400), {"Gmail": 1}).days == 401
    never = (Day(5, {"Gmail": 0}),) * 1_000
    assert forecast(Ramp(never), {"Gmail": 1}).days is None


@settings(max_examples=examples(40))
@given(
    st.lists(st.integers(1, 50), min_size=1, max_size=10).map(sorted),
    st.integers(0, 300),
    st.integers(0, 300),
)
def test_what_a_forecast_promises_is_what_the_caps_allow(
    totals: list[int], others: int, gmail: int
) -> None:
    plan: Plan = tuple(Day(total, {"Gmail": total // 2}) for total in totals)
    days = forecast(Ramp(plan), {"": others, "Gmail": gmail}).days
    assert days is not None
    if days <= len(plan):
        assert sum(totals[:days]) >= others + gmail
        assert sum(total // 2 for total in totals[:days]) >= gmail
    if others + gmail:
        assert days >= 1


def test_two_routes_share_a_mailout_until_one_has_no_cap_any_more() -> None:
    both = together(
        [
            Ramp((Day(10, {"Gmail": 5}), Day(20), Day(40)), used=4, used_by={"Gmail": 4}),
            Ramp((Day(100, {"Gmail": 50}), Day(200))),
        ]
    )
    assert both == Ramp((Day(110, {"Gmail": 55}), Day(220)), 4, {"Gmail": 4})
    assert forecast(both, {"": 106}).days == 1
    assert forecast(both, {"": 326}).days == 2
    assert forecast(both, {"": 10**9}).days == 3
