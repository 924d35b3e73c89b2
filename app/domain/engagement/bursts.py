"""Which clicks of a mail were made faster, or more completely, than people make them. Pure.

Looked at are the clicks that one network with one kind of program made: whoever clicks once in
between with another program has nothing to do with it. Times are seconds since the delivery, or
since any fixed moment where the delivery isn't known.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Literal

AT_LEAST = 3
"""Different links that make a burst. Source: facts of other senders, in docs/engagement.md."""
WITHIN = 30.0
"""Seconds in which they make one."""
GAP = 5.0
"""Seconds between two clicks of one run, at most: what people do in between is reading."""
MANY = 5
"""Different links in a row that nobody follows within `WITHIN` seconds of the delivery."""
FOOTER_WITHIN = 120.0
"""Seconds after the delivery in which nobody goes through the whole footer in a row."""
ALL_AT_LEAST = 5
"""Links that a mail must hold for "all of them" to tell anything."""
AFTER = 600.0
"""Seconds after a program's run in which nothing tells a click from another of the program's."""
BESIDE = 1.0
"""Seconds before and after a program's run in which the pictures were loaded by the same."""
INSTANT = 1.0
"""Seconds after the delivery in which only a program acts."""
FLOOD_EVENTS = 100
"""Within half an hour before and after: no person does the same so often."""
FLOOD_SIGNALS = 50
"""Ten minutes, or links in them, within half a day before and after: no person comes back so
often."""

RunReason = Literal[
    "burst_at_delivery", "burst_fast", "burst_near", "burst_all", "burst_footer", "instant"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Moment:
    """One click, of which its second is known."""

    at: float
    link: int
    footer: bool | None
    """Whether the link stands in the footer; None: it isn't in the document."""


@dataclass(slots=True)
class Run:
    """Clicks in a row that no person made, each at most `GAP` seconds after the one before; or
    fewer, at the delivery."""

    start: float
    end: float
    reason: RunReason

    def holds(self, at: float, beside: float = 0.0) -> bool:
        return self.start - beside <= at <= self.end + beside


@dataclass
class Clicks:
    """All of one network and program, in order of their time."""

    moments: list[Moment]
    all_links: int | None
    """Different links of the mail; None where they aren't known, or too few, or without a footer
    that people leave alone: then nothing follows from all of them."""
    footer_links: int
    delivery_known: bool
    runs: list[Run] = field(default_factory=list)
    crowded: set[float] = field(default_factory=set)
    """Times of clicks that stand within a burst."""
    paired: set[float] = field(default_factory=set)
    """Times of clicks with another one on another link within a second."""

    def __post_init__(self) -> None:
        self.moments.sort(key=lambda moment: moment.at)
        self.crowded = self._within(WITHIN, lambda links: len(links) >= AT_LEAST)
        self.paired = self._within(1.0, lambda links: len(links) >= 2)
        self._complete = sorted(self._within(AFTER, self._covers_all))
        fast = self._within(1.0, lambda links: len(links) >= AT_LEAST)
        for run in self._chains():
            reason = self._why(run, fast)
            if reason is not None:
                self.runs.append(Run(run[0].at, run[-1].at, reason))
        instant = [each.at for each in self.moments if 0 <= each.at < INSTANT]
        # Those at the delivery are one chain: a run that took one of them took all.
        if self.delivery_known and instant and not any(run.holds(instant[0]) for run in self.runs):
            self.runs.append(Run(instant[0], instant[-1], "instant"))
        self.runs.sort(key=lambda run: run.start)
        self._starts = [run.start for run in self.runs]

    def run_at(self, at: float, beside: float = 0.0) -> Run | None:
        """The program's run that a moment lies in, or at most so many seconds beside: fewer than
        `GAP`, so there is only one."""
        nearest = bisect_right(self._starts, at + beside) - 1
        return self.runs[nearest] if nearest >= 0 and self.runs[nearest].holds(at, beside) else None

    def after_run(self, at: float) -> bool:
        """Whether a program's run ended shortly before."""
        nearest = bisect_right(self._starts, at) - 1
        return nearest >= 0 and at - self.runs[nearest].end <= AFTER

    def before_run(self, at: float) -> bool:
        """Whether a program's run began right after."""
        following = bisect_right(self._starts, at)
        return following < len(self.runs) and self._starts[following] - at <= WITHIN

    def around_all(self, at: float) -> bool:
        """Whether each link was followed within ten minutes, before or after."""
        following = bisect_left(self._complete, at)
        beside = self._complete[max(0, following - 1) : following + 1]
        return any(abs(each - at) <= AFTER for each in beside)

    def _chains(self) -> list[list[Moment]]:
        chains: list[list[Moment]] = []
        for moment in self.moments:
            if chains and moment.at - chains[-1][-1].at <= GAP:
                chains[-1].append(moment)
            else:
                chains.append([moment])
        return [each for each in chains if len({moment.link for moment in each}) >= AT_LEAST]

    def _why(self, run: Sequence[Moment], fast: set[float]) -> RunReason | None:
        """What shows that no person made it; None: a person may have."""
        if self._any_within(run, GAP):
            return "burst_at_delivery"
        if any(moment.at in fast for moment in run):
            return "burst_fast"
        links = {moment.link for moment in run}
        if len(links) >= MANY and self._any_within(run, WITHIN):
            return "burst_near"
        footer = {moment.link for moment in run if moment.footer}
        body = {moment.link for moment in run if moment.footer is False}
        if self.all_links is not None and len(footer) + len(body) >= self.all_links:
            return "burst_all"
        whole_footer = 2 <= self.footer_links <= len(footer)
        if whole_footer and body and self._any_within(run, FOOTER_WITHIN):
            return "burst_footer"
        return None

    def _any_within(self, run: Sequence[Moment], seconds: float) -> bool:
        """Whether any of it was so soon after the delivery."""
        return self.delivery_known and any(0 <= moment.at < seconds for moment in run)

    def _covers_all(self, links: Counter[tuple[int, bool | None]]) -> bool:
        known = sum(footer is not None for _, footer in links)
        return self.all_links is not None and known >= self.all_links

    def _within(
        self, seconds: float, enough: Callable[[Counter[tuple[int, bool | None]]], bool]
    ) -> set[float]:
        """Times of the moments that lie in any stretch of so many seconds that holds enough."""
        found: set[float] = set()
        links: Counter[tuple[int, bool | None]] = Counter()
        first = marked = 0
        for at, moment in enumerate(self.moments):
            links[moment.link, moment.footer] += 1
            while moment.at - self.moments[first].at > seconds:
                gone = self.moments[first]
                links[gone.link, gone.footer] -= 1
                if not links[gone.link, gone.footer]:
                    del links[gone.link, gone.footer]
                first += 1
            if enough(links):
                found.update(each.at for each in self.moments[max(first, marked) : at + 1])
                marked = at + 1
        return found


class Flood:
    """How often something was done around a moment."""

    def __init__(self, done: Sequence[tuple[float, int]]) -> None:
        """done: of each signal when, in seconds, and how many times."""
        ordered = sorted(done)
        self._times = [at for at, _ in ordered]
        self._sums = [0, *accumulate(times for _, times in ordered)]

    def at(self, at: float) -> bool:
        """Whether it was done more often than a person would, around a moment."""
        first, after = self._around(at, 1800)
        if self._sums[after] - self._sums[first] > FLOOD_EVENTS:
            return True
        first, after = self._around(at, 43_200)
        return after - first > FLOOD_SIGNALS

    def _around(self, at: float, seconds: float) -> tuple[int, int]:
        first = bisect_left(self._times, at - seconds)
        return first, bisect_right(self._times, at + seconds)
