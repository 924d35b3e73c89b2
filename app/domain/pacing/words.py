"""Paces and warm-ups in words, for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from app.domain.reports.words import plural

WAITING_MOST = 10_000
"""More recipients who wait aren't counted, only said to be more."""


def waiting_reason(region: str, cap: int, until: datetime) -> str:
    """Why a mailout waits; the database knows it by its first words (warmups.sql)."""
    at = until.astimezone(UTC)
    return (
        f"Waiting for the warm-up of {region}: today's {plural(cap, 'mail')} "
        f"{'is' if cap == 1 else 'are'} sent. It goes on at {at:%Y-%m-%d %H:%M} UTC."
    )


def on_day(day: str) -> str:
    """`26 Nov 2026`, of an ISO date."""
    found = date.fromisoformat(day)
    return f"{found.day} {found:%b %Y}"


def rate_in_words(rate: float) -> str:
    """`2.5 a second`, `12 a minute`: the larger unit where the figure is 1 or more."""
    return f"{rate:,.3g} a second" if rate >= 1 else f"{rate * 60:,.3g} a minute"


def slowed_because(pace: Mapping[str, Any]) -> str:
    """pace: a row of provider_paces."""
    share = pace["deferred"] / pace["answered"] if pace["answered"] else 0
    return (
        f"{pace['deferred']:,} of {plural(pace['answered'], 'mail')} that it answered were "
        f"deferred ({share:.0%})"
    )


def count_in_words(count: int) -> str:
    return f"more than {WAITING_MOST:,}" if count > WAITING_MOST else f"{count:,}"


def held_in_words(*, slowed: bool, capped: bool) -> str:
    """What those of a mailout who were set aside wait for. slowed, capped: what holds for their
    provider now, by any route."""
    causes = [
        *(["it defers mail, so it is sent less"] if slowed else []),
        *(["its part of today’s warm-up"] if capped else []),
    ]
    return ", and ".join(causes) or "their turn, which comes next"
