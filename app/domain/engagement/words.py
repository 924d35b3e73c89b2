"""Ranges in words, for people. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def people_range(span: Mapping[str, Any]) -> str:
    """`between 312 and 540 people`; one number where both are the same."""
    low, high = span["low"], span["high"]
    if low == high:
        return "1 person" if low == 1 else f"{low:,} people" if low else "nobody"
    if low == 0:
        return "at most 1 person" if high == 1 else f"at most {high:,} people"
    return f"between {low:,} and {high:,} people"


def number_range(span: Mapping[str, Any]) -> str:
    """`312–540`; one number where both are the same."""
    low, high = span["low"], span["high"]
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def share_range(span: Mapping[str, Any]) -> str | None:
    """`26 to 45 %`, as exact as needed to tell them apart; None: too few mails for a rate."""
    if span["low_rate"] is None:
        return None
    low, high = _percent(span["low_rate"]), _percent(span["high_rate"])
    return f"{low} %" if low == high else f"{low} to {high} %"


def _percent(share: float) -> str:
    value = 100 * share
    if value in (0, 100) or value >= 10:
        return f"{value:.0f}" if value <= 99 or value == 100 else "99"
    return f"{value:.1f}".rstrip("0").rstrip(".") if value >= 0.1 else "<0.1"
