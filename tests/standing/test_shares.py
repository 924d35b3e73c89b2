"""Shares by mailbox provider: none of too few mails, none where nobody would tell, and honest ones
between."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.standing.rates import ALL, by_provider, rates, share
from tests.support.wide import examples


def row(provider: str, **counts: int) -> dict[str, Any]:
    columns = ("delivered", "bounced", "soft_bounced", "suppressed", "complained", "delayed")
    return {"provider": provider, **dict.fromkeys(columns, 0), **counts}


def test_of_few_mails_there_is_no_share() -> None:
    few = share(1, 99)
    assert (few.count, few.among, few.value, few.low, few.high) == (1, 99, None, None, None)
    enough = share(1, 100)
    assert enough.value == 0.01
    assert enough.low == pytest.approx(0.0018, abs=0.0002)  # Wilson's, by hand
    assert enough.high == pytest.approx(0.0545, abs=0.0005)


@settings(max_examples=examples(50))
@given(st.integers(100, 10_000_000), st.floats(0, 1))
def test_the_range_holds_the_share(among: int, part: float) -> None:
    found = share(round(among * part), among)
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    assert 0 <= found.low <= found.value + 1e-9
    assert found.value - 1e-9 <= found.high <= 1


def test_a_provider_that_tells_nothing_has_no_share_of_complaints() -> None:
    """0 % at Gmail would be a lie: it tells SES of no complaint."""
    all_, gmail, yahoo, own = rates(
        [
            row("Other", delivered=500),
            row("Yahoo and AOL", delivered=1_000, complained=2),
            row("Gmail", delivered=9_000),
        ],
        (),
    )
    assert (all_.provider, gmail.provider, yahoo.provider) == (ALL, "Gmail", "Yahoo and AOL")
    assert (gmail.complaints, gmail.feedback) == (None, "never")
    assert yahoo.complaints is not None
    assert yahoo.complaints.value == 0.002
    assert (own.complaints, own.feedback) == (None, "unknown")
    assert all_.complaints is not None
    assert (all_.complaints.count, all_.complaints.among) == (2, 1_000), "Gmail's aren't counted in"
    assert all_.bounces.among == 10_500


def test_who_told_of_one_complaint_tells_of_all() -> None:
    [_, gmx] = rates([row("GMX and WEB.DE", delivered=1_000)], ["GMX and WEB.DE"])
    assert gmx.complaints is not None
    assert gmx.complaints.value == 0


def test_nobody_who_tells_is_no_share_for_all() -> None:
    [all_, _] = rates([row("Gmail", delivered=1_000)], ())
    assert (all_.complaints, all_.feedback) == (None, "unknown")
    [none] = rates([], ())
    assert none.bounces.value is None


def test_domains_become_providers_by_the_hour() -> None:
    hour, later = "2026-11-26T09:00:00+00:00", "2026-11-26T10:00:00+00:00"
    found = by_provider(
        [
            {"hour": hour, "domain": "gmail.com", "kind": "delivery", "n": 2},
            {"hour": hour, "domain": "googlemail.com", "kind": "bounce", "n": 1},
            {"hour": later, "domain": "yahoo.co.uk", "kind": "complaint", "n": 3},
            {"hour": later, "domain": "", "kind": "delivery", "n": 4},
            {"hour": later, "domain": "gmail.com", "kind": "reject", "n": 5},
        ]
    )
    assert [(one["hour"], one["provider"]) for one in found] == [
        (hour, "Gmail"),
        (later, "Other"),
        (later, "Yahoo and AOL"),
    ]
    assert (found[0]["delivered"], found[0]["bounced"]) == (2, 1)
    assert found[2]["complained"] == 3
