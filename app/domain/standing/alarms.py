"""Alarms: what is told of a fault once when it begins, when it gets worse, and when it is over.
Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.domain.reports.words import plural
from app.domain.standing.judge import Fault, Judgement

MOST_LINES = 12
"""Of a notice: who has more has to see the page."""


@dataclass(frozen=True)
class Alarm:
    """since: when it began, ISO 8601. what, remedy: as of the latest look that knew."""

    code: str
    level: str
    what: str
    remedy: str
    since: str

    @property
    def sentences(self) -> str:
        return f"{self.what} {self.remedy}".rstrip()


@dataclass(frozen=True)
class News:
    """alarms: those that last, fails first. begun: those that are new or got worse. over: those
    that aren't any more."""

    alarms: tuple[Alarm, ...]
    begun: tuple[Alarm, ...] = ()
    over: tuple[Alarm, ...] = ()

    def to_stored(self) -> list[dict[str, Any]]:
        return [vars(one) for one in self.alarms]


def stored_alarms(rows: Sequence[Mapping[str, Any]]) -> tuple[Alarm, ...]:
    return tuple(Alarm(**row) for row in rows)


def compare(before: Sequence[Alarm], judged: Judgement, now: str) -> News:
    """now: ISO 8601."""
    earlier = {alarm.code: alarm for alarm in before}
    lasting: dict[str, Alarm] = {}
    begun = []
    for fault in judged.faults:
        alarm = _alarm(fault, now)
        if (known := earlier.get(fault.code)) is not None:
            alarm = replace(alarm, since=known.since)
        if known is None or (known.level, fault.level) == ("warn", "fail"):
            begun.append(alarm)
        lasting[fault.code] = alarm
    over = []
    for code, alarm in earlier.items():
        if code in lasting:
            continue
        if code in judged.near or code.startswith(judged.open or ("\0",)):
            lasting[code] = alarm
        else:
            over.append(alarm)
    ordered = sorted(lasting.values(), key=lambda one: (one.level != "fail", one.code))
    return News(tuple(ordered), tuple(begun), tuple(over))


def _alarm(fault: Fault, now: str) -> Alarm:
    return Alarm(fault.code, fault.level, fault.what, fault.remedy, now)


def notice(news: News) -> dict[str, Any] | None:
    """What the owner is told: headline and lines; None: nothing is new."""
    if not news.begun and not news.over:
        return None
    match news.begun, news.over:
        case [alarm], []:
            return {"headline": alarm.what.rstrip("."), "lines": [alarm.remedy]}
        case [], [alarm]:
            still = f"{plural(len(news.alarms), 'alarm')} left." if news.alarms else "None is left."
            return {"headline": f"Over: {alarm.what.rstrip('.')}", "lines": [still]}
    lines = [one.sentences for one in news.begun]
    lines += [f"Over: {one.what}" for one in news.over]
    if (more := len(lines) - MOST_LINES) > 0:
        lines = [*lines[:MOST_LINES], f"And {more} more."]
    return {"headline": _headline(news), "lines": lines}


def _headline(news: News) -> str:
    if news.begun:
        return f"Your standing as a sender: {plural(len(news.begun), 'new alarm')}"
    still = f", {len(news.alarms)} left" if news.alarms else ""
    return f"Your standing as a sender: {plural(len(news.over), 'alarm')} over{still}"
