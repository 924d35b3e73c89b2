"""A warm-up's plan, as people write it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.pacing.plan import (
    MAX_CAP,
    Day,
    PlanInvalid,
    read_csv,
    read_plan,
    standard_plan,
    to_csv,
)
from tests.support.wide import examples


@settings(max_examples=examples(30))
@given(st.integers(50, MAX_CAP))
def test_the_standard_plan_grows_to_its_target_and_at_most_doubles(target: int) -> None:
    plan = standard_plan(target)
    totals = [day.total for day in plan]
    assert totals[0] == 50 and totals[-1] == target
    assert all(before <= after <= 2 * before for before, after in pairwise(totals))
    assert all(cap <= day.total for day in plan for cap in day.providers.values())


@settings(max_examples=examples(20))
@given(st.integers(50, 10**6))
def test_a_plan_is_the_same_when_it_comes_back_from_a_file(target: int) -> None:
    plan = standard_plan(target)
    assert read_csv(to_csv(plan)) == plan
    assert read_plan([day.to_row() for day in plan]) == plan


def test_numbers_alone_are_a_plan_and_providers_have_many_names() -> None:
    assert read_plan([50, 100]) == (Day(50), Day(100))
    csv = "day;Total;googlemail.com;outlook.com;example.org\n1;1.000;20;;5\n2;2 000;40;30;\n"
    assert read_csv(csv) == (
        Day(1_000, {"Gmail": 20, "example.org": 5}),
        Day(2_000, {"Gmail": 40, "Outlook.com": 30}),
    )


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "a list of days"),
        ({"total": 5}, "a list of days"),
        ([0], "day 1: total is a whole number from 1"),
        ([True], 'day 1: write {"total": 50}'),
        ([50, 40], "day 2: 40 is less than the day before"),
        ([{"total": 5, "cap": 6}], 'day 1: write {"total": 50}'),
        ([{"total": 5, "providers": {"nobody": 1}}], "day 1: nobody is no mailbox provider"),
        ([{"total": 5, "providers": {"gmail.com": 1, "Gmail": 2}}], "Gmail is named twice"),
        ([{"total": 5, "providers": {"gmail.com": "many"}}], "gmail.com is a whole number"),
        ([5] * 401, "at most 400 days"),
    ],
)
def test_a_plan_that_cannot_be_kept_names_the_day(rows: Any, says: str) -> None:
    with pytest.raises(PlanInvalid, match=says.replace("{", r"\{")):
        read_plan(rows)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the file is empty"),
        ("day,cap\n1,50\n", "one column named total"),
        ("total\n", "no day"),
        ("day,total\n2,50\n", "counts from 1"),
        ("total,gmail.com\n50\n", "1 fields, and the heading has 2"),
        ('total\n"50', "no CSV"),
        ("total\nfifty\n", "day 1: total is a whole number"),
    ],
)
def test_a_file_that_is_no_plan_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(PlanInvalid, match=says):
        read_csv(text)
