"""What became of a domain's records from one check to the next. Pure.

A record that was in order and no longer is has vanished: an alarm, until it is back. "Unknown" is
neither: DNS that doesn't answer for a day takes nothing away. Where name servers don't agree, a
record comes and goes: one that vanishes a second time within a day is only back after a whole one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from app.domain.dns.looks import Look
from app.domain.reports.words import plural

WATCHED = ("dkim:", "mx:", "spf:", "cname:", "dmarc")
"""How the codes begin of records that readers' mailboxes depend on."""
HOUR, DAY = 3_600.0, 86_400.0
COMES_AND_GOES = (
    "It comes and goes: see that all name servers of the domain have the same records. It counts "
    "as back when it was there for a day."
)


@dataclass(frozen=True)
class Alarm:
    """since: when it was noticed, ISO 8601. what: a sentence. remedy: with the record. before: the
    record as it was; empty: that isn't known. again: it was back for less than a day. there_since:
    since when it is there again; empty: it isn't."""

    code: str
    since: str
    what: str
    remedy: str
    before: str = ""
    again: bool = False
    there_since: str = ""

    @property
    def sentences(self) -> str:
        told = not self.before or f"`{self.before}`" in self.remedy
        before = "" if told else f" Before it was `{self.before}`."
        remedy = f"{self.remedy[:1].upper()}{self.remedy[1:]}"
        goes = f" {COMES_AND_GOES}" if self.again else ""
        return f"{self.what} {remedy}{before}{goes}"


@dataclass(frozen=True)
class Watched:
    """there: records that were in order when DNS last told of them, by code. alarms: by code, of
    those that vanished since. backs: when those came back that did within a day."""

    there: Mapping[str, str] = field(default_factory=dict)
    alarms: Mapping[str, Alarm] = field(default_factory=dict)
    backs: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_stored(cls, row: Mapping[str, Any]) -> Self:
        alarms = (Alarm(**one) for one in row.get("alarms", ()))
        by_code = {alarm.code: alarm for alarm in alarms}
        return cls(dict(row.get("there", {})), by_code, dict(row.get("backs", {})))

    def to_stored(self) -> dict[str, Any]:
        return {
            "there": dict(self.there),
            "alarms": [vars(self.alarms[code]) for code in sorted(self.alarms)],
            "backs": dict(self.backs),
        }


@dataclass(frozen=True)
class News:
    """After a check. vanished: alarms that are new; back: those that are over. next_seconds: until
    the next check."""

    watched: Watched
    vanished: tuple[Alarm, ...]
    back: tuple[Alarm, ...]
    next_seconds: float


def compare(
    before: Watched, looks: Iterable[Look], now: str, *, asked: bool, blind: bool = False
) -> News:
    """asked: whether SES said which records there have to be. If it did, those that it no longer
    names (new keys, another MAIL FROM domain) are forgotten. blind: the resolver knew of nothing at
    all, so that what it doesn't know hasn't vanished. now: ISO 8601."""
    seen = {look.code: look for look in looks if look.code.startswith(WATCHED)}
    there, alarms = dict[str, str](), dict[str, Alarm]()
    vanished = []
    backs = {code: at for code, at in before.backs.items() if not _a_day_later(at, now)}
    for code in sorted(before.there.keys() | before.alarms.keys() | seen.keys()):
        look, alarm = seen.get(code), before.alarms.get(code)
        if look is None and asked:
            continue
        if look is not None and look.state == "there":
            if alarm is None:
                there[code] = _as_it_is(look)
            elif alarm.again and not _a_day_later(alarm.there_since or now, now):
                alarms[code] = replace(alarm, there_since=alarm.there_since or now)
            else:
                there[code], backs[code] = _as_it_is(look), now
        elif look is not None and look.state in ("missing", "wrong") and not blind:
            if alarm is None and code in before.there:
                plain = again(look, before.there[code]).plain
                was = before.there[code]
                alarm = Alarm(code, now, plain.what, plain.remedy, was, again=code in backs)
                vanished.append(alarm)
            if alarm is not None:
                alarms[code] = replace(alarm, there_since="")
        elif alarm is not None:
            alarms[code] = alarm
        elif code in before.there:
            there[code] = before.there[code]
    unsure = any(look.state == "unknown" for look in seen.values()) or blind or not asked
    return News(
        Watched(there, alarms, backs),
        tuple(vanished),
        tuple(alarm for code, alarm in before.alarms.items() if code in there),
        HOUR if alarms or unsure else DAY,
    )


def _a_day_later(since: str, now: str) -> bool:
    passed = datetime.fromisoformat(now) - datetime.fromisoformat(since)
    return passed.total_seconds() >= DAY


def again(look: Look, before: str) -> Look:
    """Of a record that is gone: with the one to publish as it was, where that is known whole."""
    if look.state != "missing" or look.publish is None or not before or before.endswith("…"):
        return look
    remedy = "publish it again as it was"
    return replace(look, remedy=remedy, publish=replace(look.publish, value=before))


def _as_it_is(look: Look) -> str:
    return look.found[0] if look.found else look.publish.value if look.publish else ""


def headline(domain: str, vanished: int, back: int) -> str:
    """Of a notice to the owner, by mail and in Slack."""
    if vanished:
        return f"{plural(vanished, 'DNS record')} of {domain} vanished or changed"
    return f"{plural(back, 'DNS record')} of {domain} {'is' if back == 1 else 'are'} back"


def notice(domain: str, news: News) -> dict[str, Any] | None:
    """What the owner is told; None: nothing is new."""
    if not news.vanished and not news.back:
        return None
    lines = [one.sentences for one in news.vanished]
    lines += [f"In order again: {_named(one.code)}." for one in news.back]
    return {"headline": headline(domain, len(news.vanished), len(news.back)), "lines": lines}


def _named(code: str) -> str:
    kind, _, name = code.partition(":")
    name, _, region = name.partition(":")
    named = {"dkim": "DKIM", "mx": "MX", "spf": "SPF", "cname": "CNAME"}.get(kind)
    if named is None:
        return "the DMARC record"
    return f"the {named} record of {name}" + (f" ({region})" if region else "")
