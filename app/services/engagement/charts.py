"""The drawings of a mailout's report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.engagement.report import HOURS, daily, hourly
from app.domain.engagement.signals import Class
from app.domain.reports.charts import Series, bars_over_time, step_labels
from app.services.dashboard.views import Chart, Timeline

DAYS = 45
"""What came later is drawn at the last one."""
LEAST_STEPS = 12
"""That are drawn, also where less time has passed: a single bar tells nothing."""

_KINDS = (("open", "Opens"), ("click", "Clicks"))
SERIES: Mapping[Class, str] = {
    "human": "proven",
    "unknown": "possible",
    "machine": "machines",
}


def draw(over_time: Mapping[str, Any], zone: ZoneInfo) -> list[tuple[str, Timeline]]:
    """First opens and clicks: by the hour for two days, and by the day where there is more; each
    with its title. over_time: as the report has it. zone: in which times are told."""
    points, start = over_time["points"], datetime.fromisoformat(over_time["start"])
    hour, day = timedelta(hours=1), timedelta(days=1)
    early = {kind: hourly(points, start, kind, "people") for kind, _ in _KINDS}
    drawn = [("The first two days, by the hour", _timeline(early, start, hour, zone))]
    if any(datetime.fromisoformat(one["at"]) >= start + HOURS * hour for one in points):
        late = {kind: daily(points, start, kind, "people", DAYS) for kind, _ in _KINDS}
        drawn.append(("By the day", _timeline(late, start, day, zone)))
    return drawn


def _timeline(
    found: Mapping[str, Mapping[Class, Sequence[int]]],
    start: datetime,
    step: timedelta,
    zone: ZoneInfo,
) -> Timeline:
    lengths = (len(values) for kinds in found.values() for values in kinds.values())
    length = max(LEAST_STEPS, *lengths)
    charts = []
    for kind, title in _KINDS:
        series = tuple(
            Series(SERIES[name], tuple(values) + (0,) * (length - len(values)))
            for name, values in found[kind].items()
        )
        said = ", ".join(f"{one.total:,} {one.name}" for one in series)
        svg = bars_over_time(f"{title} over time: {said}", series, start, step, zone)
        charts.append(Chart(title, series, svg))
    everything = [one for chart in charts for one in chart.series]
    values = list(zip(*(one.values for one in everything), strict=True))
    times = step_labels(start, step, length, zone)
    return Timeline(
        tuple(charts),
        tuple(f"{chart.title} {one.name}" for chart in charts for one in chart.series),
        tuple((at, row) for at, row in zip(times, values, strict=True) if any(row)),
    )
