"""The verdict on a run: the sandbox's accept log against what the service tells an outsider.

Whether somebody was mailed twice or lost is never asked of the service's own tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

ACCEPTED_SHOWN_AS = frozenset({"sent", "delivered", "bounced", "complained"})
NOT_ACCEPTED_SHOWN_AS = frozenset({"failed", "unknown", "skipped", "cancelled"})


def accepted_at(line: Mapping[str, Any]) -> float:
    """When a line of the accept log was written: unix seconds."""
    return datetime.fromisoformat(line["time"]).timestamp()


@dataclass(frozen=True)
class Accepted:
    """Recipients by the accept log. times: unix seconds of every acceptance, by address."""

    times: dict[str, list[float]]

    @classmethod
    def read(cls, lines: Iterable[Mapping[str, Any]], mailout: str) -> Accepted:
        times: dict[str, list[float]] = {}
        for line in lines:
            if line["tags"]["mailout_id"] == mailout:
                times.setdefault(line["to"], []).append(accepted_at(line))
        return cls(times)

    def __contains__(self, address: str) -> bool:
        return address in self.times

    def __len__(self) -> int:
        return len(self.times)

    @property
    def duplicates(self) -> int:
        """D: recipients whom SES accepted more than once."""
        return sum(len(times) > 1 for times in self.times.values())


@dataclass(frozen=True)
class Shown:
    """What the service tells: the closing statement, and the counts of `GET /mailouts/{id}`."""

    status: dict[str, str]
    rows: int
    counts: dict[str, int]
    recipients: int

    @classmethod
    def read(cls, statement: Sequence[Mapping[str, str]], mailout: Mapping[str, Any]) -> Shown:
        return cls(
            {row["email"]: row["status"] for row in statement},
            len(statement),
            mailout["counts"],
            mailout["recipients"],
        )

    @property
    def adds_up(self) -> bool:
        """One row for each of the audience, and the counts sum to it."""
        return self.rows == len(self.status) == self.recipients == sum(self.counts.values())

    @property
    def agrees(self) -> bool:
        """The counts are those of the statement's rows."""
        return Counter(self.counts) == Counter(self.status.values())

    def with_status(self, *statuses: str) -> set[str]:
        return {address for address, status in self.status.items() if status in statuses}


@dataclass
class Verdict:
    """Figures of one run, in the order in which they are told; `wrong` names what is not so."""

    figures: dict[str, object] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect(self, name: str, value: int, *, at_most: int = 0) -> None:
        """Note a figure that must not be larger than `at_most`."""
        self.figures[name] = value if at_most == 0 else f"{value} (at most {at_most})"
        if value > at_most:
            self.wrong.append(f"{name}: {value}, at most {at_most}")

    def table(self) -> str:
        width = max(map(len, self.figures))
        return "\n".join(f"{name:<{width}}  {value}" for name, value in self.figures.items())


def judge(
    verdict: Verdict, eligible: Iterable[str], accepted: Accepted, shown: Shown, *, final: bool
) -> None:
    """Add the invariants D, L and A (RELIABILITY.md, section 2), and that the ledger is whole.

    final: SES's events have come in, so that nothing accepted may be unknown any more.
    """
    when = "after the events" if final else "before the events"
    lost = unreported = unledgered = 0
    for address in eligible:
        status = shown.status.get(address)
        if status is None:
            unledgered += 1
        elif address in accepted:
            unreported += status not in ACCEPTED_SHOWN_AS | (set() if final else {"unknown"})
        else:
            lost += status not in NOT_ACCEPTED_SHOWN_AS
    verdict.expect(f"accepted twice (D), {when}", accepted.duplicates)
    verdict.expect(f"lost (L), {when}", lost)
    verdict.expect(f"accepted, but shown as not sent (A), {when}", unreported)
    verdict.expect(f"missing from the ledger, {when}", unledgered)
    adds_up = shown.adds_up and (shown.agrees or not final)  # events may come in between
    verdict.expect(f"statements that don't add up, {when}", int(not adds_up))


def fullest_second(taken: Iterable[tuple[float, int]]) -> int:
    """The most tokens in any window of one second. taken: (unix seconds, tokens)."""
    ordered = sorted(taken)
    most = inside = start = 0
    for time, tokens in ordered:
        inside += tokens
        while ordered[start][0] <= time - 1:
            inside -= ordered[start][1]
            start += 1
        most = max(most, inside)
    return most
