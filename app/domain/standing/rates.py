"""How many mails bounced or were reported as spam, by mailbox provider, and what that says. Pure.

A share of few mails says little: under FEWEST there is none, and each other one has the range in
which the true share lies with 95 % (Wilson's interval).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, Self

from app.domain.engagement.providers import OTHER, provider_of

WINDOWS = (1, 7, 30)
"""Days that are looked at, up to now."""
FEWEST = 100
"""Mails with an outcome, from which on a share is given: as many as the guards ask for."""
FEWEST_COMPLAINTS = 3
"""Before a share of complaints is an alarm: one reader in a hundred must not be one."""
_Z = 1.96

ALL = "All"
"""In place of a provider: all of them together."""

NO_FEEDBACK = frozenset({"Gmail"})
"""Providers that tell SES of no complaint (SES developer guide, "Complaint feedback": Gmail has
Postmaster Tools instead)."""
FEEDBACK = frozenset({"Yahoo and AOL", "Outlook.com", "Comcast"})
"""Those known to tell of complaints by a feedback loop. Of all others it isn't known until a first
complaint comes."""

Feedback = Literal["told", "never", "unknown"]
"""Whether a provider's readers' complaints reach us: never, where there is no feedback loop."""


@dataclass(frozen=True)
class Counts:
    """Events of one provider. bounced: for good. suppressed: SES didn't even try. delayed: times
    that a mail was put off."""

    delivered: int = 0
    bounced: int = 0
    soft_bounced: int = 0
    suppressed: int = 0
    complained: int = 0
    delayed: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        return cls(*(int(row[each.name]) for each in fields(cls)))

    @property
    def outcomes(self) -> int:
        """Mails that somebody's server took or refused for good."""
        return self.delivered + self.bounced

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            *(getattr(self, each.name) + getattr(other, each.name) for each in fields(self))
        )


@dataclass(frozen=True)
class Share:
    """count of `among`. value, low, high: 0 to 1; None: too few to tell."""

    count: int
    among: int
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ProviderRates:
    """complaints: None where the provider's complaints don't reach us, or that isn't known."""

    provider: str
    counts: Counts
    feedback: Feedback
    bounces: Share
    complaints: Share | None

    def to_json(self) -> dict[str, Any]:
        return {
            "provider": self.provider,
            **vars(self.counts),
            "feedback": self.feedback,
            "bounce_rate": vars(self.bounces),
            "complaint_rate": None if self.complaints is None else vars(self.complaints),
        }


_COLUMNS: Mapping[str, str] = {
    "delivery": "delivered",
    "bounce": "bounced",
    "soft_bounce": "soft_bounced",
    "suppressed": "suppressed",
    "complaint": "complained",
    "delivery_delay": "delayed",
}


def share(count: int, among: int) -> Share:
    """Wilson's score interval; none under FEWEST."""
    if among < FEWEST:
        return Share(count, among)
    p, z2 = min(1.0, count / among), _Z * _Z
    middle = (p + z2 / (2 * among)) / (1 + z2 / among)
    half = _Z / (1 + z2 / among) * math.sqrt(p * (1 - p) / among + z2 / (4 * among * among))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return Share(count, among, p, low, min(1.0, middle + half))


def feedback_of(provider: str, ever_complained: bool) -> Feedback:
    if provider in NO_FEEDBACK and not ever_complained:
        return "never"
    return "told" if ever_complained or provider in FEEDBACK else "unknown"


def by_provider(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events counted by domain, by hour and provider.

    rows: `hour`, `domain` in lower case (empty: it was erased), `kind`, `n`.
    """
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in rows:
        if (column := _COLUMNS.get(row["kind"])) is None:
            continue
        key = row["hour"], provider_of(row["domain"]) or OTHER
        counts = found.setdefault(key, dict.fromkeys(_COLUMNS.values(), 0))
        counts[column] += row["n"]
    return [
        {"hour": hour, "provider": provider, **counts}
        for (hour, provider), counts in sorted(found.items())
    ]


def rates(
    figures: Iterable[Mapping[str, Any]], complained_ever: Iterable[str]
) -> list[ProviderRates]:
    """Of one window: all together first, then the providers by their mails, others last.

    figures: a row of counts for each provider. complained_ever: providers of whom a complaint was
    told at some time that is still kept.
    """
    ever = frozenset(complained_ever)
    counted = {row["provider"]: Counts.from_row(row) for row in figures}
    single = [
        _rates(provider, counts, feedback_of(provider, provider in ever))
        for provider, counts in counted.items()
    ]
    single.sort(key=lambda one: (one.provider == OTHER, -one.counts.outcomes, one.provider))
    return [_together(single), *single]


def _rates(provider: str, counts: Counts, feedback: Feedback) -> ProviderRates:
    told = share(counts.complained, counts.delivered) if feedback == "told" else None
    return ProviderRates(provider, counts, feedback, share(counts.bounced, counts.outcomes), told)


def _together(single: list[ProviderRates]) -> ProviderRates:
    """All providers. Complaints among the mails of those alone that tell of them, as SES counts:
    else many readers at Gmail would make any rate look small."""
    total, telling = Counts(), Counts()
    for one in single:
        total += one.counts
        if one.feedback == "told":
            telling += one.counts
    told = share(telling.complained, telling.delivered) if telling.delivered else None
    feedback: Feedback = "told" if told else "unknown"
    return ProviderRates(ALL, total, feedback, share(total.bounced, total.outcomes), told)
