"""How large a run is, and everything that goes wrong in it, drawn from one seed beforehand."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

UNREADABLE = ("accept_then_drop", "drop_before_accept", "cut_answer", "short_results")
"""Calls whose sender can't tell what SES accepted; a 5xx is the fifth of that kind."""

Interval = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Times are seconds, shares are parts of calls (or of entries), rates recipients per second.

    kills: SIGKILLs, at progress points spread over `until` of the recipients. stops: SIGSTOPs for
    `stop_leases` leases, then SIGCONT. restarts: pause between two immediate stops of PostgreSQL;
    None: it stays up. unsubscribes: readers who leave while the mailout runs.
    regions: of SES, the first is home; each has the rate and its own faults. outages: how often
    one of them refuses all connections for a while, and cuts those it has.
    providers: that send while SES can't for `fallback_after` seconds. blackouts: how often all
    regions refuse everybody until a provider has gone on, which loses answers, too.
    hold_events: SES's events come only when the mailout is over. patience: how long SES may
    accept nobody before the run counts as stuck.
    """

    name: str
    seed: int
    recipients: int
    kills: int
    stops: int = 0
    stop_leases: Interval = (1.3, 2.5)
    restarts: Interval | None = None
    unsubscribes: int = 0
    regions: tuple[str, ...] = ("us-east-1",)
    outages: int = 0
    outage_seconds: Interval = (0.5, 6.0)
    providers: tuple[str, ...] = ()
    fallback_after: float = 1.5
    blackouts: int = 0
    executors: int = 4
    rate: float = 40
    batch: int = 20
    lease: float = 3
    latency: Interval = (0.3, 1.5)
    until: float = 0.75
    hold_events: bool = True
    dropped: float = 0.02
    throttled: float = 0.05
    entry_failures: float = 0.02
    cut: float = 0.005
    short: float = 0.005
    server_errors: float = 0.01
    patience: float = 90

    @classmethod
    def sized(cls, default: Self, environment: Mapping[str, str]) -> Self:
        """`default`, changed by SOAK_RECIPIENTS, SOAK_KILLS, SOAK_STOPS and SOAK_RATE."""
        given: dict[str, Any] = {}
        for name in ("recipients", "kills", "stops", "rate"):
            if text := environment.get(f"SOAK_{name.upper()}"):
                given[name] = int(text)
        return replace(default, **given)

    def dice(self, actor: str) -> random.Random:
        """A generator for one actor: what one draws doesn't change what another does."""
        return random.Random(f"{self.seed}/{actor}")

    def calls(self, region: str) -> list[dict[str, Any]]:
        """What a region's send calls meet, one after the other: `next` of `PUT /sandbox/faults`.

        Listed rather than left to the sandbox's own dice, because what is left of the list says
        which faults were met. Twice as many as the recipients need, for those sent again.
        """
        dice = self.dice("calls" if region == self.regions[0] else f"calls/{region}")
        return [self._call(dice) for _ in range(2 * self.recipients // self.batch + 100)]

    def _call(self, dice: random.Random) -> dict[str, Any]:
        kinds: dict[str, tuple[float, Any]] = {
            "accept_then_drop": (self.dropped, {"reset": dice.random() < 0.5}),
            "throttle": (self.throttled, True),
            "cut_answer": (self.cut, {"bytes": 10}),
            "short_results": (self.short, True),
            "server_error": (self.server_errors, {"status": 500, "accept": dice.random() < 0.5}),
        }
        call: dict[str, Any] = {
            "latency": dict(zip(("min", "max"), self.latency, strict=True)),
            "entry_failure": {
                "probability": self.entry_failures,
                "statuses": ["TRANSIENT_FAILURE", "MESSAGE_REJECTED"],
            },
        }
        drawn = dice.random()
        for kind, (share, details) in kinds.items():
            if drawn < share:
                return {**call, kind: details}
            drawn -= share
        return call

    def provider_faults(self, blackout: int) -> list[dict[str, Any]]:
        """What a provider's calls meet during a blackout, one at a time: bodies of `PUT
        /sandbox/NAME/faults`. The first is a call that is accepted and never answered."""
        dice = self.dice(f"providers/{blackout}")
        kinds: list[dict[str, Any]] = [
            {"status": 0, "ending": "drop", "accept": True},
            {"status": 0, "ending": "reset", "accept": True},
            {"status": 0, "ending": "cut", "accept": True},
            {"status": 0, "ending": "drop", "accept": False},
            {"status": 503, "accept": dice.random() < 0.5},
            {"status": 429},
        ]
        hang = {"status": 0, "ending": "hang", "accept": True}
        return [{**fault, "times": 1} for fault in (hang, *dice.choices(kinds, k=5))]

    def points(self) -> list[int]:
        """How many recipients are accepted when each kill falls due, ascending."""
        dice = self.dice("points")
        return sorted(
            round(dice.uniform(0.02, self.until) * self.recipients) for _ in range(self.kills)
        )


def faults_met(calls: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How often each kind of fault is in `calls`."""
    return Counter(
        kind for call in calls for kind in (*UNREADABLE, "throttle", "server_error") if kind in call
    )


def unreadable(met: Mapping[str, int]) -> int:
    """Calls of `met` whose outcome the sender can't know."""
    return sum(met.get(kind, 0) for kind in (*UNREADABLE, "server_error"))
