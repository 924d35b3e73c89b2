from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.backoff import Breaker, backoff_seconds


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_never_negative(attempt: int, chance: float) -> None:
    assert 0 <= backoff_seconds(attempt, chance, base=1, cap=30) <= 30


def test_backoff_doubles_up_to_its_cap() -> None:
    spans = [backoff_seconds(n, 1.0, base=1, cap=30) for n in range(1, 8)]
    assert spans == [1, 2, 4, 8, 16, 30, 30]


def opened(breaker: Breaker, at: float) -> Breaker:
    for _ in range(breaker.threshold):
        breaker.failed(at)
    return breaker


def test_the_breaker_opens_on_failures_in_a_row_only() -> None:
    breaker = Breaker(threshold=3)
    breaker.failed(0)
    breaker.failed(0)
    breaker.succeeded()
    breaker.failed(0)
    breaker.failed(0)
    assert breaker.state(0) == "closed"
    breaker.failed(0)
    assert breaker.state(0) == "open"
    assert breaker.wait(0) == 5


def test_half_open_closes_on_success_and_opens_longer_on_failure() -> None:
    breaker = opened(Breaker(threshold=3, base_seconds=5), at=0)
    assert breaker.state(5) == "half_open"
    assert breaker.wait(5) == 0
    assert breaker.probing
    breaker.failed(5)
    assert breaker.wait(5) == 10
    breaker.succeeded()
    assert breaker.state(5) == "closed"
    assert not breaker.probing


def test_calls_that_began_before_it_opened_do_not_lengthen_the_spell() -> None:
    breaker = opened(Breaker(threshold=3, base_seconds=5), at=0)
    for _ in range(16):
        breaker.failed(0.1)
    assert breaker.wait(0.1) == pytest.approx(4.9)
