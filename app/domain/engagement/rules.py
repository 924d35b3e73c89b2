"""What each signal of a recipient proves. Pure, and versioned: docs/engagement.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from app.domain.engagement.signals import BEST_FIRST, Class, Mail, Signal, Verdict

RULES = 1
"""Goes up with each change that may judge a signal otherwise."""


def judge(mail: Mail, signals: Sequence[Signal]) -> list[Verdict]:
    """The verdict of each signal, in their order. signals: all of one recipient's mail, since some
    rules look at several together. Never raises."""
    return [_verdict(mail, signal) for signal in signals]


def best(classes: Iterable[Class | None]) -> Class | None:
    """The class by which a person counts: human before unknown before machine; None of nothing."""
    found = set(classes)
    return next((each for each in BEST_FIRST if each in found), None)


def _verdict(mail: Mail, signal: Signal) -> Verdict:
    if signal.agent in ("previewer", "checker"):
        return Verdict("machine", signal.agent)
    if signal.network == "microsoft-protection" and signal.kind == "click":
        return Verdict("machine", "protection")
    if signal.network == "apple-relay" and signal.kind == "open":
        return Verdict("unknown", "apple_relay")
    return Verdict("human", signal.kind)
