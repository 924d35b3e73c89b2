"""The drawings of how the list grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from app.domain.readership.growth import By, gains, losses
from app.domain.reports.charts import Series, stacked_bars
from app.services.dashboard.views import Chart


def draw(periods: Sequence[Mapping[str, Any]], by: By) -> list[Chart]:
    """Who came, who left, and how many were active at each end."""
    labels = tuple(label(one["start"], by) for one in periods)
    active = Series("active at the end", tuple(one["active"] for one in periods))
    return [
        _chart("Active subscribers", (active,), labels, f"{active.values[-1]:,} now"),
        _chart("Who came", gains(periods), labels),
        _chart("Who left", losses(periods), labels),
    ]


def label(day: str, by: By) -> str:
    """`3 Nov`, of a month `Nov 2026`."""
    at = date.fromisoformat(day)
    return f"{at:%b %Y}" if by == "month" else f"{at.day} {at:%b}"


def _chart(
    title: str, series: tuple[Series, ...], labels: tuple[str, ...], said: str | None = None
) -> Chart:
    words = said or ", ".join(f"{one.total:,} {one.name}" for one in series) or "nobody"
    svg = stacked_bars(f"{title}: {words}", series, labels) if series else ""
    return Chart(title, series, svg)
