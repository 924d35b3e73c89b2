"""What each signal of a recipient proves. Pure, and versioned: docs/engagement.md.

The rules only ever lower a verdict: a signal is a person's unless one of them says otherwise, and
what comes in later can lower it further. Where a signal stands for several events, the best of
those whose time is known counts, since one of them may be a person's.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

from app.domain.engagement.agents import PROXIES, SAY_SO
from app.domain.engagement.bursts import (
    ALL_AT_LEAST,
    BESIDE,
    FLOOD_EVENTS,
    Clicks,
    Flood,
    Moment,
    Run,
)
from app.domain.engagement.networks import SCANNERS
from app.domain.engagement.reasons import Reason
from app.domain.engagement.signals import BEST_FIRST, Class, Mail, Signal, Verdict

RULES = 1
"""Goes up with each change that may judge a signal otherwise, ranges and user agents included."""

SOON = 5.0
"""Seconds after the delivery in which a program is as likely as a person."""
NEAR = 600.0
"""Seconds after the delivery in which a service that checks links is taken to do just that."""
SURELY_DELIVERED = 900.0
"""Seconds after sending that will do where nothing is known of the delivery."""

_RANK = {name: rank for rank, name in enumerate(BEST_FIRST)}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_Labels = tuple[str, str]
# What a moment is part of: where two are part of the same, so is what lies between them.
_Act = Run | Literal["scanner"] | None


def judge(mail: Mail, signals: Sequence[Signal]) -> list[Verdict]:
    """The verdict of each signal, in their order. signals: all of one recipient's mail, since some
    rules look at several together. Never raises, whatever the times say."""
    return _passed_on(signals, _Case(mail, signals).verdicts())


def best(classes: Iterable[Class | None]) -> Class | None:
    """The class by which a person counts: human before unknown before machine; None of nothing."""
    found = set(classes)
    return next((each for each in BEST_FIRST if each in found), None)


class _Case:
    """One recipient's mail, with what was done to it by each network and program."""

    def __init__(self, mail: Mail, signals: Sequence[Signal]) -> None:
        self._delivered = _seconds(mail.delivered_at)
        self._sent = _seconds(mail.sent_at)
        self._zero = self._delivered or 0.0
        moments: dict[_Labels, list[Moment]] = defaultdict(list)
        done: dict[tuple[str, str, str], list[tuple[float, int]]] = defaultdict(list)
        self._signals = [(signal, self._times(signal)) for signal in signals]
        for signal, times in self._signals:
            labels = (signal.network, signal.agent)
            # Where much was folded into one, it may as well have been at its end.
            often = times if signal.events > FLOOD_EVENTS else times[:1]
            done[signal.kind, *labels] += [(at, max(1, signal.events)) for at in often]
            if signal.kind == "click":
                moments[labels] += [_moment(signal, at) for at in times]
        self._floods = {key: Flood(each) for key, each in done.items()}
        all_links = _all_links(mail)
        self._clicks: dict[_Labels, Clicks] = {
            labels: Clicks(each, all_links, mail.footer_links or 0, self._delivered is not None)
            for labels, each in moments.items()
        }

    def verdicts(self) -> list[Verdict]:
        return [self._verdict(signal, times) for signal, times in self._signals]

    def _verdict(self, signal: Signal, times: list[float]) -> Verdict:
        if signal.agent in SAY_SO:
            return Verdict("machine", "previewer" if signal.agent == "previewer" else "checker")
        if signal.kind == "click":
            if signal.agent in PROXIES or signal.agent == "gmail-prefetch":
                return Verdict("machine", "proxy_click")
            if signal.network == "microsoft-protection":
                return Verdict("machine", "protection")
        found = [self._at(signal, at) for at in times]
        verdict = min((each for each, _ in found), key=lambda each: _RANK[each.class_])
        one_act = found[0][1] is found[-1][1]
        if verdict.class_ == "machine" and signal.events > len(times) and not one_act:
            return Verdict("unknown", "folded")
        return verdict

    def _at(self, signal: Signal, at: float) -> tuple[Verdict, _Act]:
        """The verdict on what was done at one moment, and the act that it is part of."""
        clicks = self._clicks.get((signal.network, signal.agent))
        run = None
        if clicks is not None and not _for_a_reader(signal):
            run = clicks.run_at(at, BESIDE if signal.kind == "open" else 0.0)
        if signal.network in SCANNERS:
            return self._of_scanner(signal, at, clicks, run), "scanner"
        if run is not None:
            return _of_run(signal, run), run
        doubt = self._doubt(signal, at, clicks)
        if doubt is not None:
            return Verdict("unknown", doubt), None
        return Verdict("human", _as_person(signal)), None

    def _of_scanner(
        self, signal: Signal, at: float, clicks: Clicks | None, run: Run | None
    ) -> Verdict:
        since = self._since_delivery(at)
        if since is not None and 0 <= since <= NEAR:
            return Verdict("machine", "scanner_near")
        if run is not None:
            return _of_run(signal, run)
        if signal.kind == "click" and clicks is not None and at in clicks.crowded:
            return Verdict("machine", "scanner_burst")
        return Verdict("unknown", "scanner_later")

    def _doubt(self, signal: Signal, at: float, clicks: Clicks | None) -> Reason | None:
        """Why it may be a program's and may be a person's; None: nothing speaks for a program."""
        if signal.agent == "none":
            return "unnamed"
        if signal.kind == "open":
            if signal.agent == "gmail-prefetch":
                return "prefetch"
            if signal.agent == "apple-privacy":
                return "apple_privacy"
            if signal.network == "apple-relay":
                return "apple_relay"
            if signal.network == "microsoft-protection":
                return "protection_open"
        elif signal.agent == "apple-privacy":
            return "unnamed"
        flooded = self._floods[signal.kind, signal.network, signal.agent].at(at)
        if flooded and signal.agent not in PROXIES:  # which may load a picture hundreds of times
            return "flood"
        among = self._doubtful_among(signal, at, clicks) if clicks is not None else None
        return among or self._doubtful_time(at)

    def _doubtful_among(self, signal: Signal, at: float, clicks: Clicks) -> Reason | None:
        if clicks.after_run(at):
            return "after_burst"
        if clicks.before_run(at):
            return "before_burst"
        if signal.kind == "click" and at in clicks.crowded:
            return "burst"
        if signal.kind == "click" and at in clicks.paired:
            return "two_at_once"
        return "all_slowly" if clicks.around_all(at) else None

    def _doubtful_time(self, at: float) -> Reason | None:
        since = self._since_delivery(at)
        if since is None:
            late = self._sent is not None and at + self._zero - self._sent >= SURELY_DELIVERED
            return None if late else "no_delivery"
        if since < 0:
            return "before_delivery"
        return "soon" if since < SOON else None

    def _since_delivery(self, at: float) -> float | None:
        return at if self._delivered is not None else None

    def _times(self, signal: Signal) -> list[float]:
        """When the first and the last of it happened, in seconds since the delivery; once where
        both are the same."""
        first, last = _of(signal.first_at) - self._zero, _of(signal.last_at) - self._zero
        return [first] if first == last else sorted((first, last))


def _of_run(signal: Signal, run: Run) -> Verdict:
    return Verdict("machine", "burst_open" if signal.kind == "open" else run.reason)


def _for_a_reader(signal: Signal) -> bool:
    """Whether pictures came through what loads them in a reader's place. It is never called a
    machine's, whatever was clicked through the same."""
    ordinary = signal.network in {"", *SCANNERS} and signal.agent in {"", "none"}
    return signal.kind == "open" and not ordinary


def _as_person(signal: Signal) -> Reason:
    if signal.kind == "open":
        return "proxy_open" if signal.agent in PROXIES else "open"
    return "relay_click" if signal.network == "apple-relay" else "click"


def _passed_on(signals: Sequence[Signal], verdicts: list[Verdict]) -> list[Verdict]:
    """Mailboxes of two providers showed the mail: then each of the two may be somebody else's."""
    shown = [verdict.reason == "proxy_open" for verdict in verdicts]
    providers = {signal.agent for signal, was in zip(signals, shown, strict=True) if was}
    if len(providers) < 2:
        return verdicts
    pairs = zip(verdicts, shown, strict=True)
    return [replace(each, reason="passed_on") if was else each for each, was in pairs]


def _all_links(mail: Mail) -> int | None:
    """How many links a program follows that follows all; None: a person might follow all, too."""
    if mail.body_links is None or not mail.footer_links or mail.footer_links < 0:
        return None
    total = mail.body_links + mail.footer_links
    return total if total >= ALL_AT_LEAST else None


def _moment(signal: Signal, at: float) -> Moment:
    link = signal.link
    if link is None:
        return Moment(at, -1, None)
    return Moment(at, link.id, None if link.place is None else link.place == "footer")


def _seconds(time: datetime | None) -> float | None:
    return None if time is None else _of(time)


def _of(time: datetime) -> float:
    """Seconds since a fixed moment. A time without a zone is taken as UTC."""
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (aware - _EPOCH).total_seconds()
