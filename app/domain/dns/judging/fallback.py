"""Whether receivers will know our mail when SendGrid or Mailgun sends it in SES's place. Pure.

Sources: SendGrid's API reference, "Domain Authentication"; Mailgun's, "Domains".
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.dns.dkim import is_key, read_key
from app.domain.dns.judging.routes import Proof, RouteJudged
from app.domain.dns.looks import Look, as_found, not_told
from app.domain.dns.names import MAX_NAME, is_under, spelt
from app.domain.dns.questions import Answer, Question, Walk
from app.domain.dns.sender import Record
from app.domain.dns.spf_walk import SpfCheck, check_spf
from app.domain.dns.tags import read_tags, shown

KEYS = "._domainkey."
_SENDGRID, _SENDGRID_ZONE, _SENDGRID_SELECTORS = "SendGrid", "sendgrid.net", ("s1", "s2")
"""What SendGrid names its keys by itself; another name can be asked for."""


@dataclass(frozen=True)
class ProviderDomain:
    """What a provider has for a sender. where: in its console. known: it has a domain for it.

    keys: the records of its DKIM keys; None: it doesn't say. envelope: those of the name under
    which mail leaves. unsaid: why nothing was said; a sentence's end.
    """

    name: str
    where: str
    known: bool = True
    keys: tuple[Record, ...] | None = None
    envelope: tuple[Record, ...] = ()
    unsaid: str = ""

    @property
    def domains(self) -> list[str]:
        """For which mail may be proven to be ours."""
        keys = [one.name.partition(KEYS)[2] for one in self.keys or ()]
        return [*keys, *(one.name for one in self.envelope)]


@dataclass(frozen=True)
class RecordSeen:
    """there: of the record's own kind. text: the key at a CNAME's end. spf: of an SPF record."""

    record: Record
    there: Answer
    text: Answer | None = None
    spf: SpfCheck | None = None


def see_provider(domain: str, theirs: ProviderDomain) -> Walk[tuple[RecordSeen, ...]]:
    """domain: of the From address."""
    seen = list[RecordSeen]()
    for record in (*(theirs.keys or ()), *theirs.envelope):
        one = yield from _see(record)
        seen.append(one)
    if theirs.keys is None and theirs.name == _SENDGRID:
        for selector in _SENDGRID_SELECTORS:
            name = f"{selector}{KEYS}{domain}"
            cname = yield Question(name, "CNAME")
            if cname.records and is_under(spelt(cname.records[0]), _SENDGRID_ZONE):
                text = yield Question(name, "TXT")
                seen.append(RecordSeen(Record(name, "CNAME", spelt(cname.records[0])), cname, text))
    return tuple(seen)


def _see(record: Record) -> Walk[RecordSeen]:
    there = yield Question(record.name, record.kind)
    if KEYS in record.name:
        text = (yield Question(record.name, "TXT")) if record.kind == "CNAME" else there
        return RecordSeen(record, there, text)
    if record.kind == "TXT":
        names = frozenset(spelt(one) for one in re.findall(r"include:(\S+)", record.value))
        return RecordSeen(record, there, spf=(yield from check_spf(record.name, names)))
    return RecordSeen(record, there)


def judge_provider(domain: str, theirs: ProviderDomain, seen: Sequence[RecordSeen]) -> RouteJudged:
    if theirs.unsaid and not seen:
        look = not_told(f"keys:{theirs.name}", f"{theirs.name}'s records are there", theirs.unsaid)
        return RouteJudged(theirs.name, (look,), asked=False)
    if not theirs.known:
        what = (
            f"{theirs.name} has no domain for {domain}: mail that it sends in SES's place goes out "
            "under its own name, and nothing proves that it is yours."
        )
        remedy = f"add {domain} in {theirs.name}, under {theirs.where}, and publish what it shows."
        return RouteJudged(theirs.name, (Look("warn", what, remedy, "none"),))
    looks: list[Look] = []
    keys: dict[str, list[bool | None]] = {}
    proofs: list[Proof] = []
    for one in seen:
        if KEYS in one.record.name:
            look, usable = _judge_key(theirs, one)
            keys.setdefault(one.record.name.partition(KEYS)[2], []).append(usable)
        else:
            look, usable = _judge_envelope(theirs, one)
            if one.record.kind != "MX":
                proofs.append(Proof("SPF", one.record.name, usable))
        looks.append(look)
    for signer, usables in keys.items():
        passes = True if all(usables) else None if None in usables or any(usables) else False
        proofs.insert(0, Proof("DKIM", signer, passes))
    if theirs.keys is None and not keys:
        looks.append(_unsaid_keys(theirs))
        proofs += [Proof("DKIM", one.name, None) for one in theirs.envelope]
    return RouteJudged(theirs.name, tuple(looks), tuple(proofs), asked=bool(proofs))


def _unsaid_keys(theirs: ProviderDomain) -> Look:
    return Look(
        "warn",
        f"Which DKIM keys {theirs.name} signs by can't be told: the API key may only send.",
        f"see in {theirs.name}, under {theirs.where}, that every record is verified.",
        f"keys:{theirs.name}",
    )


def _judge_key(theirs: ProviderDomain, seen: RecordSeen) -> tuple[Look, bool | None]:
    record, name = seen.record, seen.record.name
    code, text = f"dkim:{name}", seen.text or seen.there
    usable: bool | None = None if text.state == "unknown" else False
    for one in text.records:
        if is_key(one) and not read_key(one).fault:
            usable = record.kind == "CNAME" or _key(one) == _key(record.value)
    if record.kind == "CNAME":
        if spelt(record.value) in (spelt(text.end), *map(spelt, seen.there.records)):
            what = f"DKIM: {name} leads to {theirs.name}'s key."
            return Look("ok", what, "", code, "there", record), usable
    elif usable:
        what = f"DKIM: {theirs.name}'s key is at {name}."
        return Look("ok", what, "", code, "there", record, as_found(text.records)), True
    return _not_there(theirs, seen, code), usable if seen.there.records else _void(seen.there)


def _key(record: str) -> str:
    return "".join(read_tags(record)[0].get("p", "").split())


def _judge_envelope(theirs: ProviderDomain, seen: RecordSeen) -> tuple[Look, bool | None]:
    record, name = seen.record, seen.record.name
    kind = "spf" if record.kind == "TXT" else record.kind.lower()
    code = f"{kind}:{name}"
    if seen.spf is not None:
        code += f":{theirs.name}"  # the same name may be SES's, too
        if seen.spf.state == "pass" or record.value in seen.there.records:
            what = f"SPF: mail of {theirs.name} that leaves under {name} passes."
            return Look("ok", what, "", code, "there", record, as_found(seen.spf.records)), True
        if seen.spf.state == "temperror":
            return not_told(code, f"SPF passes at {name} for {theirs.name}", seen.spf.why), None
        if seen.spf.records:
            why = f": {seen.spf.why}" if seen.spf.why else ""
            what = f"The SPF record of {name} doesn't let {theirs.name} pass{why}."
            remedy = f"put `{_includes(record)}` into it, before `all`."
            found = as_found(seen.spf.records)
            return Look("warn", what, remedy, code, "wrong", None, found), False
        return _missing(theirs, record, code), False
    hosts = [spelt(one.partition(" ")[2] or one) for one in seen.there.records]
    if spelt(record.value.rpartition(" ")[2]) in hosts:
        what = f"{name} leads to {theirs.name}, as mail that leaves under it needs."
        return Look("ok", what, "", code, "there", record), True
    return _not_there(theirs, seen, code), _void(seen.there)


def _includes(record: Record) -> str:
    return " ".join(part for part in record.value.split() if ":" in part) or record.value


def _void(answer: Answer) -> bool | None:
    return None if answer.state == "unknown" else False


def _not_there(theirs: ProviderDomain, seen: RecordSeen, code: str) -> Look:
    record = seen.record
    if seen.there.state == "unknown":
        return not_told(code, f"{theirs.name}'s record {record.name} is there", seen.there)
    if not seen.there.records:
        return _missing(theirs, record, code)
    first = shown(seen.there.records[0], MAX_NAME)
    what = f"{record.name} isn't as {theirs.name} needs it."
    if record.kind == "CNAME":
        what = f"{record.name} leads to {first}, not to {theirs.name}."
    found = as_found(seen.there.records)
    return Look("warn", what, "publish this in its place", code, "wrong", record, found)


def _missing(theirs: ProviderDomain, record: Record, code: str) -> Look:
    kind = "SPF" if code.startswith("spf:") else record.kind
    what = f"{record.name} has no {kind} record, by which mail of {theirs.name} is known as yours."
    return Look("warn", what, "publish this", code, "missing", record)
