"""A warm-up from day to day: when a day counts, and how long a mailout takes.

A day of the plan counts once its mails were sent and nothing spoke against them. Else the next day
repeats it: a receiver knows a sender by the mails that it got, not by the calendar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from app.domain.pacing.mailboxes import REST
from app.domain.pacing.plan import Day, Plan

USED_SHARE = 0.5
"""Of a day's cap, so much has to be sent for the day to count."""
MIN_OUTCOMES = 100
"""Of a day's mails, so many have to have an outcome before their bounce rate says anything..."""
MIN_BOUNCES = 3
"""...and before that so many have to have bounced: a first day of 50 mails has fewer outcomes."""
MIN_COMPLAINTS = 2
"""One complaint of one person among 50 would hold every ramp."""
MAX_FORECAST_DAYS = 1_000


@dataclass(frozen=True)
class Outcome:
    """What was told on a day of a route's mails. bounced: for good."""

    delivered: int = 0
    bounced: int = 0
    complained: int = 0

    @property
    def known(self) -> int:
        return self.delivered + self.bounced + self.complained


@dataclass(frozen=True)
class Thresholds:
    """As of the guards: shares of the mails with an outcome."""

    bounces: float
    complaints: float


@dataclass(frozen=True)
class Verdict:
    """advances: whether the plan's next day comes. why: in words, where it doesn't."""

    advances: bool
    why: str = ""


def judge_day(cap: int, used: int, outcome: Outcome, thresholds: Thresholds) -> Verdict:
    """Of a day that is over."""
    if trouble := trouble_in(outcome, thresholds):
        return Verdict(False, trouble)
    if used < cap * USED_SHARE:
        return Verdict(False, f"only {used:,} of {cap:,} were sent, and a day counts from half on")
    return Verdict(True)


def trouble_in(outcome: Outcome, thresholds: Thresholds) -> str:
    """What speaks against sending more; empty: nothing."""
    if not outcome.known:
        return ""
    bounces, complaints = outcome.bounced / outcome.known, outcome.complained / outcome.known
    if (
        bounces > thresholds.bounces
        and outcome.bounced >= MIN_BOUNCES
        and (outcome.known >= MIN_OUTCOMES or bounces > 2 * thresholds.bounces)
    ):
        return (
            f"{outcome.bounced:,} of {outcome.known:,} bounced ({bounces:.1%}), and the limit is "
            f"{thresholds.bounces:.1%}"
        )
    if complaints > thresholds.complaints and outcome.complained >= MIN_COMPLAINTS:
        return (
            f"{outcome.complained:,} of {outcome.known:,} complained ({complaints:.2%}), and the "
            f"limit is {thresholds.complaints:.2%}"
        )
    return ""


def day_at(now: datetime, zone: ZoneInfo) -> date:
    return now.astimezone(zone).date()


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which the next day begins there: 23 or 25 hours later where clocks change."""
    return datetime.combine(day + timedelta(days=1), time(), zone)


@dataclass(frozen=True)
class Ramp:
    """A route that is warmed up: what is left of its plan, today first, and what today took."""

    plan: Plan
    used: int = 0
    used_by: Mapping[str, int] = field(default_factory=dict)


def together(ramps: Sequence[Ramp]) -> Ramp:
    """Several routes as one, up to the day on which the first of them has no cap any more. A
    provider has a cap where it has one on all of them."""
    days = []
    for those in zip(*(ramp.plan for ramp in ramps), strict=False):
        common = set.intersection(*(set(day.providers) for day in those))
        days.append(
            Day(
                sum(day.total for day in those),
                {key: sum(day.providers[key] for day in those) for key in sorted(common)},
            )
        )
    used_by = Counter[str]()
    for ramp in ramps:
        used_by.update(ramp.used_by)
    return Ramp(tuple(days), sum(ramp.used for ramp in ramps), used_by)


@dataclass(frozen=True)
class Forecast:
    """days: up to the last mail's, today being the first. None: more than `MAX_FORECAST_DAYS`."""

    days: int | None


def forecast(ramp: Ramp, recipients: Mapping[str, int]) -> Forecast:
    """How long a mailout takes where each day uses its cap and counts. recipients: by `mailbox`
    key, with `REST` for all whom no cap of their own concerns."""
    left = {key: count for key, count in recipients.items() if count > 0}
    for number in range(MAX_FORECAST_DAYS):
        if not left:
            return Forecast(number)
        if number >= len(ramp.plan):
            return Forecast(number + 1)  # the warm-up is over: all at once
        day = ramp.plan[number]
        room = day.total - (ramp.used if number == 0 else 0)
        sent = 0
        # Those with a cap of their own come first, since theirs is what takes longest.
        for key in sorted(left, key=lambda key: (key == REST, key)):
            most = room - sent
            if key in day.providers:
                spent = ramp.used_by.get(key, 0) if number == 0 else 0
                most = min(most, day.providers[key] - spent)
            taken = max(0, min(left[key], most))
            left[key] -= taken
            sent += taken
        left = {key: count for key, count in left.items() if count > 0}
    return Forecast(None)
