"""DMARC as receivers read it: RFC 9989 (May 2026), which replaces RFC 7489. Pure.

New there: the organizational domain is found in DNS itself, by walking up from a domain (section
4.10), and no longer by a list of public suffixes; `pct`, `rf` and `ri` are gone; `t`, `np` and
`psd` have come; unknown tags are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from app.domain.dns.questions import Question, Walk
from app.domain.dns.tags import read_tags, shown

Policy = Literal["none", "quarantine", "reject"]
Mode = Literal["r", "s"]
Psd = Literal["y", "n", "u"]

MAX_QUERIES = 8
"""Of one walk, whatever the name's length: section 4.10."""
REMOVED = ("pct", "rf", "ri")
_KNOWN = {"v", "p", "sp", "np", "adkim", "aspf", "fo", "psd", "rua", "ruf", "t", *REMOVED}
_POLICIES = ("none", "quarantine", "reject")
_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(;|$)")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[^\s,!;]+(![0-9]+[kmgtKMGT]?)?")


@dataclass(frozen=True)
class Dmarc:
    """policy: for the domain itself; None: the record is as good as none (its p, sp or np is
    invalid, and it asks for no reports). problems: a sentence's end each. removed: tags that
    RFC 9989 took away, and that older receivers may still follow."""

    record: str
    policy: Policy | None
    subdomains: Policy | None = None
    absent: Policy | None = None
    dkim: Mode = "r"
    spf: Mode = "r"
    testing: bool = False
    psd: Psd = "u"
    reports_to: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


def dmarc_records(texts: Iterable[str]) -> list[str]:
    """Those of the TXT records that are DMARC: section 4.7. `v=dmarc1` is none."""
    return [text for text in texts if _VERSION.match(text)]


def read_dmarc(record: str) -> Dmarc:
    """What can't be read is left out: section 4.7."""
    tags, problems = read_tags(record)
    tags = _small(tags)

    def choice(name: str, allowed: tuple[str, ...], default: str | None) -> str | None:
        value = tags.get(name)
        if value is None:
            return default
        if value.lower() in allowed:
            return value.lower()
        problems.append(f"{name}={shown(value, 20)} is none of {', '.join(allowed)}")
        return None

    p, sp, np = (choice(name, _POLICIES, None) for name in ("p", "sp", "np"))
    reports = tuple(uri.strip() for uri in tags.get("rua", "").split(",") if uri.strip())
    is_invalid = p is None or any(
        name in tags and value is None for name, value in (("sp", sp), ("np", np))
    )
    if "p" not in tags:
        problems.append("p= is missing")
    policy = p
    if is_invalid:
        # Section 4.10.1: as p=none where reports are asked for, and else as nothing.
        policy = "none" if any(_URI.fullmatch(uri) for uri in reports) else None
        sp = np = None
    return Dmarc(
        record,
        cast(Policy | None, policy),
        cast(Policy | None, sp),
        cast(Policy | None, np),
        cast(Mode, choice("adkim", ("r", "s"), "r") or "r"),
        cast(Mode, choice("aspf", ("r", "s"), "r") or "r"),
        choice("t", ("y", "n"), "n") == "y",
        cast(Psd, choice("psd", ("y", "n", "u"), "u") or "u"),
        reports,
        tuple(problems),
        tuple(name for name in REMOVED if name in tags),
    )


def _small(tags: Mapping[str, str]) -> dict[str, str]:
    """By names in small letters; the first of two, as before."""
    small: dict[str, str] = {}
    for name, value in tags.items():
        small.setdefault(name.lower(), value)
    return {name: value for name, value in small.items() if name in _KNOWN}


@dataclass(frozen=True)
class TreeWalk:
    """What one walk found. records: by domain, from the longest to the shortest. several: domains
    with more than one record, all of which count for nothing. unknown: domains that DNS did not
    tell of, with why; a receiver can't decide then."""

    start: str
    records: tuple[tuple[str, Dmarc], ...] = ()
    several: tuple[str, ...] = ()
    unknown: tuple[tuple[str, str], ...] = ()

    @property
    def organizational(self) -> str:
        """Section 4.10.2."""
        for domain, record in self.records:
            if record.psd == "n":
                return domain
            if record.psd == "y" and domain != self.start:
                return _one_below(domain, self.start)
        return self.records[-1][0] if self.records else self.start

    @property
    def applied(self) -> tuple[str, Dmarc] | None:
        """The domain and the record whose policy applies to mail from `start`: that of its own, of
        its organizational domain, or of the public suffix above. Section 4.10.1."""
        by_domain = dict(self.records)
        for domain in (self.start, self.organizational):
            if domain in by_domain:
                return domain, by_domain[domain]
        return next((one for one in self.records if one[1].psd == "y"), None)

    @property
    def is_unsure(self) -> bool:
        """Whether a record that DNS did not tell of would apply in place of `applied`."""
        least = self.applied[0].count(".") if self.applied else -1
        return any(domain.count(".") > least for domain, _ in self.unknown)

    def policy(self, *, exists: bool = True) -> Policy | None:
        """What the domain's owner asks for where DMARC fails; None: nothing applies, or that isn't
        known. exists: whether `start` is there in DNS. With t=y it is one step milder (section
        4.7)."""
        if self.applied is None or self.is_unsure:
            return None
        domain, record = self.applied
        policy = record.policy
        if policy is not None and domain != self.start:
            policy = (not exists and record.absent) or record.subdomains or policy
        if policy is None or not record.testing:
            return policy
        return _POLICY_BELOW[policy]


_POLICY_BELOW: dict[Policy, Policy] = {
    "reject": "quarantine",
    "quarantine": "none",
    "none": "none",
}


def _one_below(domain: str, start: str) -> str:
    labels = start.split(".")
    return ".".join(labels[-(domain.count(".") + 2) :])


def walk_domains(start: str) -> list[str]:
    """The domains that are asked, in their order: `start`, then upwards; of a long name only its
    last seven labels and fewer."""
    labels = start.split(".")
    first = max(1, len(labels) - (MAX_QUERIES - 1))
    return [start, *(".".join(labels[at:]) for at in range(first, len(labels)))]


def walk_tree(start: str) -> Walk[TreeWalk]:
    """Section 4.10."""
    records: list[tuple[str, Dmarc]] = []
    several: list[str] = []
    unknown: list[tuple[str, str]] = []
    for domain in walk_domains(start):
        answer = yield Question(f"_dmarc.{domain}", "TXT")
        if answer.state == "unknown":
            unknown.append((domain, answer.why))
        texts = dmarc_records(answer.records)
        if len(texts) > 1:
            several.append(domain)
        elif texts:
            record = read_dmarc(texts[0])
            records.append((domain, record))
            if record.psd == "n" or (record.psd == "y" and domain != start):
                break
    return TreeWalk(start, tuple(records), tuple(several), tuple(unknown))


def aligned(mode: Mode, author: TreeWalk, other: TreeWalk) -> bool:
    """Whether an authenticated domain speaks for the author's: section 4.4."""
    if mode == "s":
        return author.start == other.start
    return author.start == other.start or author.organizational == other.organizational
