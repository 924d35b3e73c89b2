"""Figures of a mailout's opens and clicks, told as ranges. Pure.

What is proven is the least: people in whom a person was seen. What may be is the most: those of
whom nobody can say, too. The truth lies between, so no figure stands alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from app.domain.engagement.providers import OTHER, provider_of
from app.domain.engagement.signals import Class

MIN_TRACKED = 5
"""Mails, below which a rate would tell of single persons (facts: Ghost's rule)."""
CLASSES: tuple[Class, ...] = ("human", "unknown", "machine")
KINDS = ("opens", "clicks")
HOURS = 48
"""After which time is told by the day."""
PROVIDERS_SHOWN = 12

Classes = Mapping[str, int]
"""People per class."""


def nobody() -> dict[str, int]:
    return {"human": 0, "machine": 0, "unknown": 0}


def span(classes: Classes, tracked: int) -> dict[str, Any]:
    """From `low`, people who did it for certain, to `high`, those who may have; as shares of the
    tracked mails (0 to 1) too, which are None where there are too few."""
    low = classes["human"]
    high = low + classes["unknown"]
    enough = tracked >= MIN_TRACKED
    return {
        "low": low,
        "high": high,
        "low_rate": round(low / tracked, 6) if enough else None,
        "high_rate": round(high / tracked, 6) if enough else None,
    }


def why_no_rate(tracked: int) -> str | None:
    if tracked >= MIN_TRACKED:
        return None
    return f"Fewer than {MIN_TRACKED} mails were tracked: a rate would say nothing."


def with_range(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of `tracked`, `opens` and `clicks`, with `range` of both."""
    return {**row, "range": {kind: span(row[kind], row["tracked"]) for kind in KINDS}}


def scaled(row: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A group as found in a sample, as large as it is in the whole."""
    return {
        **row,
        "tracked": round(row["tracked"] * factor),
        **{kind: {name: round(n * factor) for name, n in row[kind].items()} for kind in KINDS},
    }


def added(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Groups as one."""
    total: dict[str, Any] = {"tracked": 0, "opens": nobody(), "clicks": nobody()}
    for row in rows:
        total["tracked"] += row["tracked"]
        for kind in KINDS:
            for name in CLASSES:
                total[kind][name] += row[kind][name]
    return total


@dataclass
class Sample:
    """Those who were looked at, in groups, as slices of the ledger are added.

    counts: of each group as in `Store.engagement_groups_slice`.
    """

    people: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)

    def add(self, found: Mapping[str, Any]) -> None:
        self.people += found["people"]
        for name, *counts in found["groups"]:
            before = self.counts.get(name)
            self.counts[name] = [*map(sum, zip(before, counts, strict=True))] if before else counts

    def told(self, limit: int, *, whole: bool) -> dict[str, Any]:
        """`whole`, `people` and `groups`, the largest first; those beyond `limit` are summed up
        as ''."""
        ranked = sorted(self.counts.items(), key=lambda group: (-group[1][0], group[0]))
        rows = [_group(name, counts) for name, counts in ranked[:limit]]
        if rest := [counts for _, counts in ranked[limit:]]:
            rows.append(_group("", [*map(sum, zip(*rest, strict=True))]))
        return {"whole": whole, "people": self.people, "groups": rows}


def _group(name: str, counts: Sequence[int]) -> dict[str, Any]:
    order = ("human", "machine", "unknown")
    return {
        "name": name,
        "tracked": counts[0],
        "opens": dict(zip(order, counts[1:4], strict=True)),
        "clicks": dict(zip(order, counts[4:], strict=True)),
    }


def margin(looked_at: int, tracked: int) -> float:
    """Within how much a share is told, 19 of 20 times, in a group with a tenth of the mails of
    which so many were looked at: two standard deviations of a share of a half, the widest."""
    left_out = max(0.0, 1 - looked_at / max(tracked, 1))
    return round(2 * math.sqrt(left_out * 0.25 / max(looked_at / 10, 1)), 4)


def by_provider(domains: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Providers and domains of others, those with most mails first; what is rare is `Other`, which
    comes last. domains: rows with `name`, '' for all that aren't told."""
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in domains:
        groups.setdefault(provider_of(row["name"]) or row["name"] or OTHER, []).append(row)
    rare = groups.pop(OTHER, [])
    found = [{"provider": name, **added(rows)} for name, rows in groups.items()]
    found.sort(key=lambda row: (-row["tracked"], row["provider"]))
    shown = [row for row in found[:PROVIDERS_SHOWN] if row["tracked"] >= MIN_TRACKED]
    rest = added([*rare, *found[len(shown) :]])
    return [*shown, {"provider": OTHER, **rest}] if rest["tracked"] else shown


def steps(points: Iterable[Mapping[str, Any]], start: datetime) -> Iterator[dict[str, Any]]:
    """The points in time, each with how much it covers: `hour` or `day`."""
    for point in points:
        early = datetime.fromisoformat(point["at"]) < start + timedelta(hours=HOURS)
        yield {**point, "step": "hour" if early else "day"}


def hourly(
    points: Sequence[Mapping[str, Any]], start: datetime, kind: str, value: str
) -> dict[Class, list[int]]:
    """Per class and hour of the first two days, up to the last in which something happened.

    kind: open or click. value: `people` or `events`.
    """
    return _series(points, start, kind, value, timedelta(hours=1), most=HOURS)


def daily(
    points: Sequence[Mapping[str, Any]], start: datetime, kind: str, value: str, most: int
) -> dict[Class, list[int]]:
    """Per class and day since the start; what is later than `most` days counts for the last."""
    return _series(points, start, kind, value, timedelta(days=1), most=most, all_in=True)


def _series(
    points: Sequence[Mapping[str, Any]],
    start: datetime,
    kind: str,
    value: str,
    step: timedelta,
    *,
    most: int,
    all_in: bool = False,
) -> dict[Class, list[int]]:
    found: dict[Class, dict[int, int]] = {name: {} for name in CLASSES}
    last = 0
    for point in points:
        n = max(0, (datetime.fromisoformat(point["at"]) - start) // step)
        if all_in:
            n = min(n, most - 1)
        if point["kind"] == kind and n < most and point[value]:
            values = found[point["class"]]
            values[n] = values.get(n, 0) + point[value]
            last = max(last, n)
    return {name: [values.get(n, 0) for n in range(last + 1)] for name, values in found.items()}
