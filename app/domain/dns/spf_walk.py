"""What a receiver finds when it evaluates a domain's SPF for a mail from Amazon SES: RFC 7208,
section 4.6. Pure.

The address that SES will send from isn't known beforehand, so a mail of SES is one that
`include:amazonses.com` lets pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.domain.dns.names import is_name, spelt
from app.domain.dns.questions import NXDOMAIN, Answer, Kind, Question, Walk
from app.domain.dns.spf import Mechanism, Network, Spf, SpfError, expanded, read_spf, spf_records

SES = "amazonses.com"
MAX_LOOKUPS, MAX_VOID, MAX_MX = 10, 2, 10
"""Section 4.6.4."""
COUNTED_AT_MOST = 20
"""Lookups that are counted of a record that has too many."""

SpfState = Literal["none", "pass", "fail", "softfail", "neutral", "permerror", "temperror"]


@dataclass(frozen=True)
class SpfCheck:
    """state: for a mail of SES. why: of an error, a sentence's end.

    lookups: that the whole record needs, at most COUNTED_AT_MOST. broken: what a receiver meets
    that evaluates all of it, as for mail that isn't SES's; empty: nothing. by_address: SES is let
    in by networks, not by its name.
    """

    domain: str
    state: SpfState
    why: str = ""
    records: tuple[str, ...] = ()
    lookups: int = 0
    broken: str = ""
    by_address: bool = False
    uses_ptr: bool = False
    lets_all: bool = False


class _Permanent(Exception):
    pass


class _Temporary(Exception):
    pass


def check_spf(domain: str, passing: frozenset[str] = frozenset({SES})) -> Walk[SpfCheck]:
    """passing: the names whose include lets the mail pass that is meant. Raises nothing: every
    error is a state."""
    first = yield Question(domain, "TXT")
    if first.state == "unknown":
        return SpfCheck(domain, "temperror", f"{domain}: {first.why}")
    records = tuple(spf_records(first.records))
    if not records:
        return SpfCheck(domain, "none")
    whole = _Evaluation(only_count=True)
    broken = ""
    try:
        yield from whole.of(domain)
    except _Permanent as exc:
        broken = str(exc)
    except _Temporary:
        pass  # another time it may be whole
    seen = _Evaluation(passing)
    by_address = False
    state: SpfState
    try:
        state, why = (yield from seen.of(domain)) or "neutral", ""
        if state != "pass" and seen.networks and SES in passing:
            by_address = yield from _holds_ses(seen.networks)
            state = "pass" if by_address else state
    except _Permanent as exc:
        state, why = "permerror", str(exc)
    except _Temporary as exc:
        state, why = "temperror", str(exc)
    return SpfCheck(
        domain,
        state,
        why,
        records,
        lookups=whole.lookups,
        broken=broken,
        by_address=by_address,
        uses_ptr=whole.uses_ptr,
        lets_all=whole.lets_all,
    )


def _holds_ses(networks: list[Network]) -> Walk[bool]:
    """Whether networks that were copied from Amazon's record hold all of those it has today.
    Raises _Temporary."""
    theirs = _Evaluation(only_count=True)
    try:
        yield from theirs.of(SES)
    except _Permanent:
        return False
    return bool(theirs.networks) and all(
        any(_holds(ours, one) for ours in networks) for one in theirs.networks
    )


def _holds(outer: Network, inner: Network) -> bool:
    return (
        outer.version == inner.version
        and int(outer.network_address) <= int(inner.network_address)
        and int(inner.broadcast_address) <= int(outer.broadcast_address)
    )


class _Evaluation:
    """One run over a record and those that it names.

    only_count: nothing matches, so that all is walked, beyond the limit of lookups too.
    networks: that pass, of all records together.
    """

    def __init__(self, passing: frozenset[str] = frozenset(), *, only_count: bool = False) -> None:
        self._passing = passing
        self._only_count = only_count
        self._voids = 0
        self.lookups = 0
        self.networks: list[Network] = []
        self.uses_ptr = False
        self.lets_all = False

    def of(self, domain: str) -> Walk[SpfState | None]:
        """What the domain says of SES's mail; None: nothing, which counts as neutral. Raises
        _Permanent, _Temporary."""
        answer = yield from self._ask(domain, "TXT")
        return (yield from self._evaluate(domain, self._read(domain, answer)))

    def _read(self, domain: str, answer: Answer) -> Spf:
        records = spf_records(answer.records)
        if not records:
            raise _Permanent(f"{domain} has no SPF record")
        if len(records) > 1:
            raise _Permanent(f"{domain} has {len(records)} SPF records, and only one may be there")
        try:
            return read_spf(records[0])
        except SpfError as exc:
            raise _Permanent(f"in the record of {domain}, {exc}") from None

    def _evaluate(self, domain: str, spf: Spf) -> Walk[SpfState | None]:
        for mechanism in spf.mechanisms:
            if mechanism.name == "all":
                self.lets_all |= mechanism.qualifier == "pass"
                return None if self._only_count else mechanism.qualifier
            if self._is_enough:
                return None
            if (yield from self._matches(domain, mechanism)) and not self._only_count:
                return mechanism.qualifier
        if spf.redirect is not None and not self._is_enough:
            target = expanded(spf.redirect, domain)
            self._count()
            if target is None:
                return None
            if target in self._passing and not self._only_count:
                yield from self.of(target)
                return "pass"
            return (yield from self.of(target))
        return None

    @property
    def _is_enough(self) -> bool:
        return self._only_count and self.lookups > COUNTED_AT_MOST - 1

    def _matches(self, domain: str, mechanism: Mechanism) -> Walk[bool]:
        if mechanism.network is not None:
            if mechanism.qualifier == "pass":
                self.networks.append(mechanism.network)
            return False
        self._count()
        target = expanded(mechanism.domain, domain)
        if mechanism.name == "ptr":
            self.uses_ptr = True
            return False
        if target is None:
            return False  # it depends on the mail
        if mechanism.name == "include":
            return (yield from self._includes(target))
        answer = yield from self._ask(target, "MX" if mechanism.name == "mx" else "A")
        self._count_void(answer, target)
        if mechanism.name == "mx" and len(answer.records) > MAX_MX:
            raise _Permanent(f"{target} has more than {MAX_MX} mail servers")
        return False

    def _includes(self, target: str) -> Walk[bool]:
        answer = yield from self._ask(target, "TXT")
        self._count_void(answer, target)
        spf = self._read(target, answer)
        if target in self._passing and not self._only_count:
            return True
        return (yield from self._evaluate(target, spf)) == "pass"

    def _ask(self, name: str, kind: Kind) -> Walk[Answer]:
        name = spelt(name)
        if not is_name(name):
            return NXDOMAIN
        answer = yield Question(name, kind)
        if answer.state == "unknown":
            raise _Temporary(f"{name}: {answer.why}")
        return answer

    def _count(self) -> None:
        self.lookups += 1
        if self.lookups > MAX_LOOKUPS and not self._only_count:
            raise _Permanent(f"it needs more than {MAX_LOOKUPS} lookups")

    def _count_void(self, answer: Answer, target: str) -> None:
        self._voids += answer.is_void
        if self._voids > MAX_VOID and not self._only_count:
            raise _Permanent(
                f"more than {MAX_VOID} of its lookups find nothing, the last at {target}"
            )
