"""How an audience differs from that of the last mailout with the same rule. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from app.domain.reports.findings import Finding

SHARE = 1 / 3
"""Beyond this share of those before, coming or leaving, a person has to say that it is right."""
FEWEST = 100
"""So many people must have come or left: on a small list a third is soon reached."""
FEWEST_FOUND = 500 / 3
"""So many must have been found by an estimate: a third of 500 people. Fewer stop nobody."""
SURE = 6
"""Standard deviations. Of those before, a share up to SHARE that came or left, found by a sample of
n of them, has one of at most DEVIATION / √n: √SHARE, and some more for the sample's own size."""
DEVIATION = 2 / 3
CONFIRMED_WITHIN = 0.01
"""A confirmed number may be off by this share: people come and go while somebody decides."""

_LEFT = {
    "rule": "don’t fit any more",
    "deleted": "were deleted",
    "no_address": "have no address that can be mailed",
    "pending": "wait to be confirmed",
}


@dataclass(frozen=True)
class AudienceDiff:
    """Of Store.audience_diff (audience_diff.sql)."""

    previous: Mapping[str, str]
    before: int
    now: int
    added: int
    new: int
    removed: int
    reasons: Mapping[str, int]
    estimated: bool
    each: Mapping[str, float]
    """Of an estimate: for how many people each stands who was found to have `came` or `left`.
    1: they are counted."""

    @property
    def _moves(self) -> tuple[tuple[int, float], ...]:
        """Who came and who left: how many, and for how many each of those found stands."""
        return (self.added, self.each["came"]), (self.removed, self.each["left"])

    @property
    def is_large(self) -> bool:
        """Whether a person has to confirm it."""
        return any(
            n >= FEWEST and n > SHARE * self.before and (each <= 1 or n >= FEWEST_FOUND * each)
            for n, each in self._moves
        )

    @property
    def is_surely_small(self) -> bool:
        """Whether looking at more people can't make it large."""
        if not self.estimated:
            return not self.is_large
        return all(n <= (SHARE - self._margin(each)) * self.before for n, each in self._moves)

    def _margin(self, each: float) -> float:
        return SURE * DEVIATION / sqrt(max(1, self.before / each)) if each > 1 else 0

    @property
    def accuracy(self) -> int:
        """Who came and who left may be so many more or fewer: two standard deviations, and three of
        the sample where none was found in it."""
        return max(
            round(each * max(3, 2 * sqrt(n / each))) if each > 1 else 0 for n, each in self._moves
        )

    def is_confirmed(self, count: int | None) -> bool:
        """count: of recipients, as the person saw it."""
        return count is not None and abs(self.now - count) <= CONFIRMED_WITHIN * count

    @property
    def words(self) -> str:
        """`+120 (100 new on the list, 20 fit now), −40 (30 unsubscribed, 10 don’t fit any more)`;
        of an estimate with its accuracy."""
        came = {"new on the list": self.new, "fit now or came back": self.added - self.new}
        left = {_LEFT.get(reason, reason): n for reason, n in self.reasons.items()}
        about = f", each give or take {self.accuracy:,}" if self.estimated else ""
        return f"+{self.added:,}{_why(came)}, −{self.removed:,}{_why(left)}{about}"

    @property
    def finding(self) -> Finding:
        at = datetime.fromisoformat(self.previous["started_at"])
        about = "About " if self.estimated else ""
        what = (
            f"{about}{self.words} since “{self.previous['subject'][:60]}” "
            f"({at.day} {at:%b %Y}), the last mailout with this audience."
        )
        if not self.is_large:
            return Finding("ok", what)
        return Finding(
            "warn",
            f"The audience has changed by more than a third: {what}",
            "make sure that this is right; the request to send has to confirm it.",
        )


def _why(parts: Mapping[str, int]) -> str:
    told = [f"{n:,} {words}" for words, n in sorted(parts.items(), key=lambda p: -p[1]) if n > 0]
    return f" ({', '.join(told)})" if told else ""
