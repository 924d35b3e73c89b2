"""What was found of one way of our mail: an SES region, or a provider in its place. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from app.domain.dns.judging.dkim import KeySeen, judge_dkim
from app.domain.dns.judging.envelope import EnvelopeSeen, judge_envelope
from app.domain.dns.looks import Look
from app.domain.dns.sender import Sender


@dataclass(frozen=True)
class Proof:
    """One by which DMARC may pass. domain: for which it passes; None: not known whether."""

    way: Literal["DKIM", "SPF"]
    domain: str
    passes: bool | None


@dataclass(frozen=True)
class RouteJudged:
    """asked: whether it was said which records there have to be. refused: no mail is taken."""

    route: str
    looks: tuple[Look, ...]
    proofs: tuple[Proof, ...] = ()
    asked: bool = True
    refused: bool = False


def judge_region(
    sender: Sender, keys: tuple[KeySeen, ...], envelope: EnvelopeSeen | None
) -> RouteJudged:
    dkim, judged = judge_dkim(sender, keys), judge_envelope(sender, envelope)
    proofs = []
    if sender.signing is not None:
        proofs.append(Proof("DKIM", sender.signing.domain, dkim.passes))
    if judged.domain is not None:
        proofs.append(Proof("SPF", judged.domain, judged.passes))
    return RouteJudged(
        sender.region,
        (*dkim.looks, *judged.looks),
        tuple(proofs),
        asked=sender.asked,
        refused=judged.refused,
    )


def apart(judged: list[RouteJudged], senders: list[Sender]) -> list[RouteJudged]:
    """With what regions can't share: a MAIL FROM domain has one MX record, for one region."""
    first: dict[str, str] = {}
    looks: dict[str, Look] = {}
    for sender in senders:
        own = sender.mail_from
        if own is None:
            continue
        holder = first.setdefault(own.domain, sender.region)
        if holder != sender.region:
            label, _, rest = own.domain.partition(".")
            looks[own.mx_code] = Look(
                "fail" if own.rejects else "warn",
                f"{own.domain} is the MAIL FROM domain in {holder}, too, and its one MX record can "
                "lead to one region alone.",
                f"give {sender.region} one of its own, such as {label}-{sender.region}.{rest}, in "
                "the SES console of that region, under the identity's Custom MAIL FROM domain.",
                own.mx_code,
            )
    return [
        replace(one, looks=tuple(looks.get(look.code, look) for look in one.looks))
        for one in judged
    ]


def told_by_route(judged: list[tuple[RouteJudged, Look]]) -> tuple[Look, ...]:
    """All looks, each with the routes that it concerns where there are several; what two routes
    need alike stands there once, and what they want differently at one name twice."""
    several = len(judged) > 1
    told: dict[str, Look] = {}
    for route, verdict in judged:
        for look in (*route.looks, verdict):
            code, name = look.code, route.route
            if not several:
                told[code] = look
                continue
            if code in told and replace(told[code], routes=()) == look:
                told[code] = replace(told[code], routes=(*told[code].routes, name))
                continue
            if code in told or look.state == "none" or ":" not in code:
                code = f"{code}@{name}"
            told[code] = replace(look, code=code, routes=(name,))
    return tuple(told.values())
