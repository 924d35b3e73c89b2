"""Who gave no human sign of life for some days: figures, and the rule for a segment. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from app.domain.engagement.providers import OTHER, provider_of

Group = Literal["possible", "silent", "not_judged"]
GROUPS: tuple[Group, ...] = get_args(Group)
ALL = ("human", *GROUPS)
DAYS = 180
MOST_DAYS = 730
RULE_MAILOUTS = 20
"""So many mailouts a segment's rule names; of more it asks for any that was got."""
PROVIDERS_SHOWN = 12


class Tally:
    """Adds up slices of quiet_people.sql."""

    def __init__(self) -> None:
        self.looked_at = 0
        self._groups: Counter[str] = Counter()
        self._providers: dict[str, Counter[str]] = {}

    def add(self, found: Mapping[str, Any]) -> None:
        self.looked_at += found["seen"]
        for domain, counts in found["groups"].items():
            provider = (provider_of(domain) if domain else None) or OTHER
            self._groups.update(counts)
            self._providers.setdefault(provider, Counter()).update(counts)

    def figures(self, active: int, *, whole: bool) -> dict[str, Any]:
        """People per group, and by mailbox provider, the largest first. active: of the list.
        whole: everybody was looked at; else the figures are an estimate of that sample."""
        counted = self._groups.total()
        scale = 1.0 if whole or not counted else active / counted
        providers = sorted(self._providers.items(), key=lambda one: -one[1].total())
        head, rest = providers[:PROVIDERS_SHOWN], providers[PROVIDERS_SHOWN:]
        tail: Counter[str] = Counter()
        for name, counts in [*head, *rest]:
            if name == OTHER or (name, counts) in rest:
                tail.update(counts)
        rows = [(name, counts) for name, counts in head if name != OTHER]
        return {
            "active": counted if whole else active,
            "looked_at": self.looked_at,
            "estimated": not whole,
            **_scaled(self._groups, scale),
            "providers": [
                {"provider": name, **_scaled(counts, scale)}
                for name, counts in [*rows, *([(OTHER, tail)] if tail else [])]
            ],
        }


def _scaled(counts: Mapping[str, int], scale: float) -> dict[str, int]:
    return {group: round(counts.get(group, 0) * scale) for group in ALL}


def silent_rule(days: int, tracked: Sequence[str], every: int) -> dict[str, Any] | None:
    """The rule of an audience for the silent: they got one of these tracked mailouts, and opened
    and clicked nothing since, not even possibly. None: no mailout was tracked, so nobody can be
    judged.

    tracked: ids, at most RULE_MAILOUTS of `every` one. Where there are more, the rule asks for any
    mailout that was got, tracked or not.
    """
    if not tracked:
        return None
    got: dict[str, Any]
    if every > len(tracked):
        got = {"field": "received", "op": "is", "value": "any", "days": days}
    else:
        each = [{"field": "received", "op": "is", "value": one} for one in tracked]
        got = each[0] if len(each) == 1 else {"any": each}
    nothing = [
        {"field": field, "op": "is_not", "value": "any", "days": days}
        for field in ("opened", "clicked")
    ]
    return {"all": [got, *nothing]}
