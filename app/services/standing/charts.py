"""The drawings of how the standing changes, a bar a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from app.domain.reports.charts import Series, stacked_bars
from app.services.dashboard.views import Chart

OF = 10_000
"""Shares are drawn as so many of this many mails: a bar of 0.1 % has a number of its own."""


def draw(days: Sequence[Mapping[str, Any]], sent: Sequence[Mapping[str, Any]]) -> list[Chart]:
    """days, sent: of a report, oldest first. None where nothing came yet."""
    charts = []
    if days:
        axis = _axis([row["day"] for row in days])
        by_day = {row["day"]: row for row in days}
        charts = [
            _chart("Mails delivered", "delivered", axis, by_day, lambda row: row["delivered"]),
            _chart(
                f"Bounced for good, of {OF:,}",
                "bounced for good",
                axis,
                by_day,
                lambda row: _of(row["bounce_rate"]),
            ),
            _chart(
                f"Reported as spam, of {OF:,}",
                "reported as spam",
                axis,
                by_day,
                lambda row: _of(row["complaint_rate"]),
            ),
        ]
    axis = _axis([row["day"] for row in sent]) if sent else []
    if len(axis) > 1:
        totals: dict[str, int] = {}
        for row in sent:
            totals[row["day"]] = totals.get(row["day"], 0) + round(row["sent"] or 0)
        values = {day: {"sent": n} for day, n in totals.items()}
        charts.append(
            _chart("Most sent in 24 hours", "sent", axis, values, lambda row: row["sent"])
        )
    return charts


def _of(share: Mapping[str, Any] | None) -> int:
    """0 also where there are too few mails for a share."""
    return 0 if share is None or share["value"] is None else round(OF * share["value"])


def _axis(days: Sequence[str]) -> list[str]:
    """Every day from the first to the last."""
    first, last = (date.fromisoformat(days[end]) for end in (0, -1))
    return [(first + timedelta(days=n)).isoformat() for n in range((last - first).days + 1)]


def _chart(
    title: str,
    name: str,
    axis: Sequence[str],
    rows: Mapping[str, Mapping[str, Any]],
    value: Callable[[Mapping[str, Any]], int],
) -> Chart:
    one = Series(name, tuple(value(rows[day]) if day in rows else 0 for day in axis))
    labels = tuple(f"{at.day} {at:%b}" for at in map(date.fromisoformat, axis))
    said = f"{title}, by day: {max(one.values):,} at most, {one.values[-1]:,} on the last day"
    return Chart(title, (one,), stacked_bars(said, (one,), labels))
