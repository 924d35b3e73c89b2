"""What the Virtual Deliverability Manager is asked for, and its answers by mailbox provider. Pure.

Source: SES API v2 reference, BatchGetMetricData: 10 queries in a call, 16 calls and 160 queries a
second. It keeps days, so it is asked once a day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from app.domain.standing.told import VDM_DAYS, IspFigures

Metric = Literal[
    "SEND", "DELIVERY", "PERMANENT_BOUNCE", "TRANSIENT_BOUNCE", "COMPLAINT", "DELIVERY_OPEN"
]
QUERIES_AT_ONCE = 10
ISPS = ("Gmail", "Yahoo", "Hotmail", "Outlook", "AOL", "Apple", "Comcast", "GMX")
"""As Amazon calls mailbox providers; it lists them nowhere, and answers nothing for a name that it
doesn't know, which is left out."""


@dataclass(frozen=True)
class Query:
    """isp: empty: all."""

    id: str
    metric: Metric
    isp: str


def queries(*, engagement: bool) -> list[tuple[Query, ...]]:
    """For each call. engagement: whether opens are tracked."""
    metrics = [one for one in get_args(Metric) if engagement or one != "DELIVERY_OPEN"]
    every = [
        Query(f"q{number}_{metric.lower()}", metric, isp)
        for number, isp in enumerate(("", *ISPS))
        for metric in metrics
    ]
    return [
        tuple(every[start : start + QUERIES_AT_ONCE])
        for start in range(0, len(every), QUERIES_AT_ONCE)
    ]


def interval(now: datetime) -> tuple[datetime, datetime]:
    """The last whole days in UTC, as VDM counts."""
    end = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return end - timedelta(days=VDM_DAYS), end


def figures(
    asked: Sequence[tuple[Query, ...]], sums: Mapping[str, int | None]
) -> tuple[IspFigures, ...]:
    """All together first. One whose answers are missing or all nothing is left out."""
    return tuple(_figures(asked, sums))


def _figures(
    asked: Sequence[tuple[Query, ...]], sums: Mapping[str, int | None]
) -> Iterator[IspFigures]:
    by_isp: dict[str, dict[Metric, int | None]] = {}
    for query in (one for call in asked for one in call):
        by_isp.setdefault(query.isp, {})[query.metric] = sums.get(query.id)
    for isp, found in by_isp.items():
        counts = [found.get(one) for one in get_args(Metric)]
        sent, delivered, bounced, soft, complained, opened = counts
        if None in (sent, delivered, bounced, soft, complained) or not any(counts[:5]):
            continue
        yield IspFigures(
            isp, sent or 0, delivered or 0, bounced or 0, soft or 0, complained or 0, opened
        )
