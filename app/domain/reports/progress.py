"""How far a mailout is, from its recipients per status. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.domain.providers import NAMES, PROVIDERS

MIN_SAMPLE = 100
"""Mails with an outcome, below which a rate says nothing (CONTRACT: states of a mailout)."""


@dataclass(frozen=True)
class Progress:
    """All figures are recipients.

    expected: the audience when the mailout started; the ledger may not hold all of it yet.
    """

    counts: Mapping[str, int]
    unsubscribed: int = 0
    expected: int = 0

    def __getitem__(self, status: str) -> int:
        return self.counts.get(status, 0)

    @property
    def audience(self) -> int:
        return max(self.expected, sum(self.counts.values()))

    @property
    def unqueued(self) -> int:
        """Of the audience, not in the ledger yet."""
        return self.audience - sum(self.counts.values())

    @property
    def waiting(self) -> int:
        return self["queued"] + self["sending"] + self.unqueued

    @property
    def settled(self) -> int:
        return self.audience - self.waiting

    @property
    def accepted(self) -> int:
        """SES took the mail and did not reject it afterwards."""
        return self["sent"] + self["delivered"] + self["bounced"] + self["complained"]

    @property
    def delivered(self) -> int:
        """Including those who then complained."""
        return self["delivered"] + self["complained"]

    @property
    def missed(self) -> int:
        """Whom a person may decide to send to again."""
        return self["failed"] + self["unknown"]

    def share(self, part: int) -> float:
        """Of the audience, 0 to 1."""
        return part / self.audience if self.audience else 0.0

    def seconds_left(self, pace: float) -> float | None:
        """pace: recipients per second. None when it can't be told."""
        return self.waiting / pace if pace > 0 else None


@dataclass(frozen=True)
class Rates:
    """How mail servers and readers took it, as SES judges a sender.

    outcomes: mails delivered or bounced. bounced: for good, without those that SES's own
    suppression list caused.
    """

    outcomes: int
    bounced: int
    complained: int

    @property
    def bounce_rate(self) -> float:
        return self.bounced / self.outcomes if self.outcomes else 0.0

    @property
    def complaint_rate(self) -> float:
        return self.complained / self.outcomes if self.outcomes else 0.0

    @property
    def enough(self) -> bool:
        return self.outcomes >= MIN_SAMPLE


@dataclass(frozen=True)
class RouteFigures:
    """What a route did for a mailout. name: an SES region or a provider. accepted: mails.

    unknown: recipients of whom nobody knows whether it accepted their mail; None: too many failed
    for them to be told apart.
    """

    name: str
    accepted: int
    unknown: int | None

    def __str__(self) -> str:
        unknown = f", {self.unknown:,} unknown" if self.unknown else ""
        return f"{self.accepted:,} accepted{unknown}"


def figures_by_route(routes: Mapping[str, Mapping[str, Any]]) -> tuple[RouteFigures, ...]:
    """The busiest first; none where all left by one SES region. routes: of `GET /mailouts/{id}`."""
    if len(routes) < 2 and not set(routes) & set(PROVIDERS):
        return ()
    shown: dict[str, str] = dict(NAMES.items())
    figures = (RouteFigures(shown.get(name, name), **of) for name, of in routes.items())
    return tuple(sorted(figures, key=lambda figure: (-figure.accepted, figure.name)))
