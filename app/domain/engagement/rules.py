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

from app.domain.engagement.agents import PROXIES, SAY_SO
from app.domain.engagement.bursts import ALL_AT_LEAST, Clicks, Flood, Moment, Run
from app.domain.engagement.networks import SCANNERS
from app.domain.engagement.reasons import Reason
from app.domain.engagement.signals import BEST_FIRST, Class, Mail, Signal, Verdict

RULES = 1
"""Goes up with each change that may judge a signal otherwise, ranges and user agents included."""

SOON = 10.0
"""Seconds after the delivery in which a program is as likely as a person."""
NEAR = 600.0
"""Seconds after the delivery in which a service that checks links is taken to do just that."""
SURELY_DELIVERED = 3600.0
"""Seconds after sending that will do where nothing is known of the delivery."""

_RANK = {name: rank for rank, name in enumerate(BEST_FIRST)}
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)

_Labels = tuple[str, str]
# Whether two moments are the same act of a program: then what lies between them is, too.
_Act = Run | str | None


def judge(mail: Mail, signals: Sequence[Signal]) -> list[Verdict]:
    """The verdict of each signal, in their order. signals: all of one recipient's mail, since some
    rules look at several together. Never raises, whatever the times say."""
    case = _Case(mail, signals)
    verdicts = [case.verdict(signal) for signal in signals]
    return _passed_on(signals, verdicts)


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
        for signal in signals:
            labels = (signal.network, signal.agent)
            done[signal.kind, *labels].append((self._times(signal)[0], max(1, signal.events)))
            if signal.kind == "click":
                moments[labels] += [_moment(signal, at) for at in self._times(signal)]
        self._floods = {key: Flood(each) for key, each in done.items()}
        all_links = _all_links(mail)
        self._clicks: dict[_Labels, Clicks] = {
            labels: Clicks(each, all_links, mail.footer_links or 0, self._delivered is not None)
            for labels, each in moments.items()
        }

    def verdict(self, signal: Signal) -> Verdict:
        if signal.agent in SAY_SO:
            return Verdict("machine", "previewer" if signal.agent == "previewer" else "checker")
        if signal.kind == "click":
            if signal.agent in PROXIES or signal.agent == "gmail-prefetch":
                return Verdict("machine", "proxy_click")
            if signal.network == "microsoft-protection":
                return Verdict("machine", "protection")
        times = self._times(signal)
        found = [self._at(signal, at) for at in times]
        verdict = min((each for each, _ in found), key=lambda each: _RANK[each.class_])
        one_act = len({id(act) if isinstance(act, Run) else act for _, act in found}) == 1
        if verdict.class_ == "machine" and signal.events > len(times) and not one_act:
            return Verdict("unknown", "folded")
        return verdict

    def _at(self, signal: Signal, at: float) -> tuple[Verdict, _Act]:
        """The verdict on what was done at one moment, and the act of a program that it is part
        of."""
        clicks = self._clicks.get((signal.network, signal.agent))
        run = clicks.run_at(at) if clicks is not None else None
        if run is not None and signal.kind == "open":
            return Verdict("machine", "burst_open"), run
        if run is not None:
            return Verdict("machine", run.reason), run
        if signal.network in SCANNERS:
            return self._of_scanner(signal, at, clicks)
        doubt = self._doubt(signal, at, clicks)
        if doubt is not None:
            return Verdict("unknown", doubt), None
        return Verdict("human", _as_person(signal)), None

    def _of_scanner(self, signal: Signal, at: float, clicks: Clicks | None) -> tuple[Verdict, _Act]:
        since = self._since_delivery(at)
        if since is not None and 0 <= since <= NEAR:
            return Verdict("machine", "scanner_near"), "scanner_near"
        if signal.kind == "click" and clicks is not None and at in clicks.crowded:
            return Verdict("machine", "scanner_burst"), None
        return Verdict("unknown", "scanner_later"), None

    def _doubt(self, signal: Signal, at: float, clicks: Clicks | None) -> Reason | None:
        """Why it may be a program's and may be a person's; None: nothing speaks for a program."""
        if signal.agent == "none":
            return "unnamed"
        if signal.kind == "open":
            if signal.agent == "gmail-prefetch":
                return "prefetch"
            if signal.agent == "apple-privacy" or signal.network == "apple-relay":
                return "apple_privacy"
            if signal.network == "microsoft-protection":
                return "protection_open"
        elif signal.agent == "apple-privacy":
            return "unnamed"
        flooded = self._floods[signal.kind, signal.network, signal.agent].at(at)
        if flooded and signal.agent not in PROXIES:  # which may load a picture hundreds of times
            return "flood"
        if clicks is not None and clicks.after_run(at):
            return "after_burst"
        if signal.kind == "click" and clicks is not None:
            if at in clicks.crowded:
                return "burst"
            if at in clicks.paired:
                return "two_at_once"
            if at in clicks.complete:
                return "all_slowly"
        return self._doubtful_time(at)

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
        both = {_seconds(signal.first_at) or 0.0, _seconds(signal.last_at) or 0.0}
        return sorted(each - self._zero for each in both)


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
    """Since a fixed moment. A time without a zone is taken as UTC."""
    if time is None:
        return None
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return (aware - _EPOCH).total_seconds()
