"""Zones as a test writes them down, and what DNS says of them without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.domain.dns.questions import NODATA, NXDOMAIN, Answer, Question, found, unknown

Zone = Mapping[str, Mapping[str, list[str]] | str]
"""By name: the records of each kind; TXT alone may be written as the list's only text. `?`: DNS
doesn't say."""

SES_NETWORKS = "v=spf1 ip4:199.255.192.0/22 ip4:54.240.0.0/18 ip4:69.169.224.0/20 -all"
AMAZON: dict[str, str] = {"amazonses.com": SES_NETWORKS}


def asked_of(zone: Zone) -> Callable[[Question], Answer]:
    """What gives each question its answer."""
    names = {name.lower(): there for name, there in (AMAZON | dict(zone)).items()}

    def answer(question: Question) -> Answer:
        there = names.get(question.name)
        if there == "?":
            return unknown("DNS answers SERVFAIL")
        if isinstance(there, str):
            there = {"TXT": [there]}
        if there is None:
            below = any(name.endswith(f".{question.name}") for name in names)
            return NODATA if below else NXDOMAIN
        if question.kind in there:
            return found(*there[question.kind])
        if "CNAME" in there:
            end = there["CNAME"][0]
            followed = answer(Question(end, question.kind))
            return Answer(followed.state, followed.records, followed.why, followed.end or end)
        return NODATA

    return answer
