"""Whoever got least is next."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.domain.sending.fairness import Fairness

MAILOUTS = [UUID(int=n) for n in range(4)]


def next_of(fairness: Fairness, waiting: list[UUID]) -> UUID:
    return min(waiting, key=fairness.standing)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=60))
def test_no_two_differ_by_more_than_one_claim(claims: list[int]) -> None:
    fairness, got = Fairness(), Counter(dict.fromkeys(MAILOUTS, 0))
    for recipients in claims:
        served = next_of(fairness, MAILOUTS)
        fairness.serve(served, recipients)
        got[served] += recipients
        assert max(got.values()) - min(got.values()) <= max(claims)


def test_who_was_away_gets_no_more_than_the_others_from_then_on() -> None:
    fairness = Fairness()
    old, new, back = MAILOUTS[:3]
    for mailout in (back, old):
        fairness.serve(mailout, 50)
    for _ in range(20):
        fairness.serve(old, 50)
    fairness.keep({old, back})
    got = Counter[UUID]()
    for _ in range(30):
        served = next_of(fairness, [old, new, back])
        fairness.serve(served, 50)
        got[served] += 50
    assert max(got.values()) - min(got.values()) <= 50
