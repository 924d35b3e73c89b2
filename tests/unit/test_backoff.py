from __future__ import annotations

import ast
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.sending.backoff import Breaker, backoff_seconds

APP = Path(__file__).parents[2] / "app"


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_backoff_is_bounded_and_never_negative(attempt: int, chance: float) -> None:
    assert 0 <= backoff_seconds(attempt, chance, base=1, cap=30) <= 30


def test_backoff_doubles_up_to_its_cap() -> None:
    spans = [backoff_seconds(n, 1.0, base=1, cap=30) for n in range(1, 8)]
    assert spans == [1, 2, 4, 8, 16, 30, 30]


def test_no_other_pause_grows_by_itself() -> None:
    """`2.0 ** failures` overflows at the 1,024th, after an hour of an outage."""
    powers = [
        f"{path.relative_to(APP)}:{node.lineno}"
        for path in APP.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.BinOp)
        and isinstance(node.op, ast.Pow | ast.LShift)
        and not isinstance(node.right, ast.Constant)
    ]
    # Beside it, no pauses: the scale of an axis, the size of a table of colours.
    known = ("domain/sending/backoff.py", "domain/reports/charts.py", "domain/assets/gif.py")
    assert [place for place in powers if not place.startswith(known)] == []


def test_chance_is_a_share_of_the_span() -> None:
    """All of it is drawn (full jitter), so that many who failed at once don't come back at once."""
    assert [backoff_seconds(3, chance) for chance in (0.0, 0.25, 0.5)] == [0, 1, 2]


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


def test_other_proof_that_ses_answers_ends_the_spell_with_a_probe() -> None:
    breaker = opened(Breaker(threshold=3, base_seconds=300), at=0)
    breaker.try_now(10)
    assert breaker.state(10) == "half_open"
    breaker.failed(10)
    assert breaker.wait(10) == 300, "the probe failed, so the next spell is no shorter"
    breaker = Breaker()
    breaker.try_now(10)
    assert breaker.state(10) == "closed"


def test_only_an_answer_makes_it_trusted() -> None:
    breaker = Breaker(threshold=3)
    seen = [breaker.trusted]
    for step in (breaker.succeeded, partial(breaker.failed, 1), breaker.succeeded):
        step()
        seen.append(breaker.trusted)
    assert seen == [False, True, False, True]
    assert not opened(breaker, at=2).trusted


def test_a_probe_that_hung_from_before_the_proof_starts_no_new_spell() -> None:
    breaker = opened(Breaker(threshold=3, base_seconds=300), at=0)
    breaker.try_now(310)  # half-open since 300, its probe went at 305
    breaker.failed(335, began=305)
    assert breaker.state(335) == "half_open", "the next probe may go"
    breaker.failed(340, began=336)
    assert breaker.state(340) == "open"


def test_calls_that_began_before_it_opened_do_not_lengthen_the_spell() -> None:
    breaker = opened(Breaker(threshold=3, base_seconds=5), at=0)
    for _ in range(16):
        breaker.failed(0.1)
    assert breaker.wait(0.1) == pytest.approx(4.9)


def test_it_opens_when_half_of_the_last_calls_failed_though_never_in_a_row() -> None:
    """Each success would start the count of a row anew."""
    breaker = Breaker(threshold=5, window=20)
    for n in range(19):
        breaker.failed(n) if n % 2 else breaker.succeeded()
        assert breaker.state(n) == "closed"
    breaker.failed(19)
    assert breaker.state(19) == "open"
    assert breaker.wait(19) == 5


def test_fewer_than_half_are_borne_with() -> None:
    breaker = Breaker(threshold=5, window=20)
    for n in range(200):
        breaker.failed(n) if n % 5 in {1, 3} else breaker.succeeded()
        assert breaker.state(n) == "closed"


def test_once_closed_the_old_failures_are_forgotten() -> None:
    breaker = Breaker(threshold=5, window=20, base_seconds=5)
    for n in range(20):
        breaker.failed(n) if n % 2 else breaker.succeeded()
    assert breaker.state(19) == "open"
    breaker.succeeded()
    breaker.failed(30)
    assert breaker.state(30) == "closed"


def test_a_spell_is_never_longer_than_the_cap() -> None:
    breaker = Breaker(threshold=1, base_seconds=5, cap_seconds=300)
    now, spells = 0.0, []
    for _ in range(10):
        breaker.failed(now)
        spells.append(breaker.wait(now))
        now += breaker.wait(now)
    assert spells == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]
