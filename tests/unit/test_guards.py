"""What is said when a mailout stops by itself, and how a canary is written."""

from __future__ import annotations

import pytest

from app.domain.sending.guards import Trip, parse_canary, pause_reason
from app.errors import InvalidRequest


def test_the_reason_has_figures_and_remedy() -> None:
    reason = pause_reason(Trip("bounce", "mailout", 62, 1_000, 0.05))
    assert "62 of 1,000 (6.2 %) of this mailout's mails" in reason
    assert "allowed are 5 %" in reason
    assert "resume it, or cancel it" in reason


def test_the_reason_says_whose_rate_it_is() -> None:
    assert "the canary's mails" in pause_reason(Trip("bounce", "canary", 3, 20, 0.05))
    account = pause_reason(Trip("complaint", "account", 4, 3_000, 0.001))
    assert "all mails of the last 24 hours" in account
    assert "4 of 3,000 (0.13 %)" in account
    assert "allowed are 0.1 %" in account
    assert "spam" in account


@pytest.mark.parametrize(
    ("text", "share", "wait"),
    [("0.02,15m", 0.02, "15m"), (".5,2h", 0.5, "2h"), ("0.1, 30s", 0.1, "30s")],
)
def test_a_canary_is_a_share_and_a_wait(text: str, share: float, wait: str) -> None:
    assert parse_canary(text) == {"share": share, "wait": wait}


@pytest.mark.parametrize(
    "text",
    ["", "0.02", "15m", "0,15m", "0.0,15m", "0.51,15m", "1,15m", "0.02,0m", "0.02,15", "0.02,15d"],
)
def test_another_canary_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse_canary(text)
    assert refused.value.extra["field"] == "canary"
