"""Whether DMARC passes for a sender's mail, and what is asked of receivers where not. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.dns.dmarc import REMOVED, Dmarc, Mode, TreeWalk, aligned, walk_tree
from app.domain.dns.judging.routes import RouteJudged
from app.domain.dns.looks import Look, as_found, listed, not_told
from app.domain.dns.names import is_under
from app.domain.dns.questions import Question, Walk
from app.domain.dns.sender import Record


@dataclass(frozen=True)
class DmarcSeen:
    """walks: from the From domain, from the one that signs and from the envelope's. exists:
    whether the From domain is there (RFC 9989, section 3.2.12); None: not known."""

    walks: dict[str, TreeWalk]
    exists: bool | None = True


def see_dmarc(domains: tuple[str, ...]) -> Walk[DmarcSeen]:
    """domains: the From domain first."""
    walks = {}
    for domain in dict.fromkeys(domains):
        walks[domain] = yield from walk_tree(domain)
    return DmarcSeen(walks, (yield from _exists(domains[0])))


def _exists(domain: str) -> Walk[bool | None]:
    answers = []
    for kind in ("MX", "A", "AAAA"):
        answer = yield Question(domain, kind)
        if answer.state == "found":
            return True
        answers.append(answer)
    return None if any(answer.state == "unknown" for answer in answers) else False


def judge_dmarc(domain: str, seen: DmarcSeen) -> tuple[Look, ...]:
    """What concerns every route alike. domain: of the From address."""
    author = seen.walks[domain]
    looks = [_judge_record(author)]
    if seen.exists is False:
        looks.append(
            Look(
                "warn",
                f"{domain} has neither a mail server nor an address in DNS: answers of readers "
                "reach nobody, and some receivers refuse its mail.",
                "give it an MX record, or send from a domain that gets mail.",
                "exists",
            )
        )
    return tuple(looks)


def _judge_record(author: TreeWalk) -> Look:
    code, domain, applied = "dmarc", author.start, author.applied
    record = Record(f"_dmarc.{domain}", "TXT", "v=DMARC1; p=none")
    if author.several and (applied is None or domain in author.several):
        where = author.several[0]
        what = f"_dmarc.{where} has more than one DMARC record, so none of them counts."
        return Look("warn", what, "keep one of them.", code, "wrong")
    if author.is_unsure:
        return not_told(code, f"DMARC applies to {domain}", author.unknown[0][1])
    if applied is None:
        what = f"{domain} has no DMARC record. Gmail and Yahoo ask senders of many mails for one."
        return Look("warn", what, "publish this", code, "missing", record)
    where, found = applied
    told = as_found((found.record,))
    if found.policy is None:
        what = f"The DMARC record of {where} counts for nothing: {found.problems[0]}."
        remedy = "correct it; the least that counts is"
        return Look(
            "warn",
            what,
            remedy,
            code,
            "wrong",
            Record(f"_dmarc.{where}", "TXT", record.value),
            told,
        )
    policy = author.policy()
    inherited = "" if where == domain else f", from the record of {where}"
    what = f"DMARC: the policy for {domain} is {policy}{inherited}."
    if found.testing:
        what += f" It is a test (t=y): the record asks for {found.policy}."
    if found.problems:
        what = f"{what} But {found.problems[0]}."
        return Look("warn", what, "correct it.", code, "there", None, told)
    if found.removed:
        what += f" {_listed_removed(found)} counts for nothing any more (RFC 9989)."
    return Look("ok", what, "", code, "there", None, told)


def _listed_removed(found: Dmarc) -> str:
    return " and ".join(f"{name}=" for name in REMOVED if name in found.removed)


def judge_proofs(domain: str, seen: DmarcSeen, route: RouteJudged) -> Look:
    """What all of it comes to for a mail of `domain` that leaves by `route`."""
    author = seen.walks[domain]
    rules = author.applied[1] if author.applied else None
    modes: dict[str, Mode] = {
        "DKIM": rules.dkim if rules else "r",
        "SPF": rules.spf if rules else "r",
    }
    proofs: list[bool | None] = []
    ways: list[str] = []
    strangers: list[str] = []
    for one in route.proofs:
        mode, other = modes[one.way], seen.walks[one.domain]
        agrees = None if _undecided(mode, author, other) else aligned(mode, author, other)
        if agrees is False and one.passes is not False:
            strangers.append(one.domain)
        proof = False if one.passes is False or agrees is False else one.passes and agrees
        proofs.append(proof)
        if proof:
            ways.append(f"{one.way} ({one.domain})")
    code = "verdict"
    if route.refused:
        what = f"SES takes no mail of {domain} as long as its MAIL FROM domain isn't in order."
        return Look("fail", what, "see above.", code)
    if ways:
        what = f"Receivers can tell that mail of {domain} is yours, by {listed(ways)}."
        return Look("ok", what, "", code)
    if None in proofs or not route.asked:
        return not_told(code, f"receivers can tell that mail of {domain} is yours", "")
    return _unproven(domain, author, seen, strangers)


def _undecided(mode: Mode, author: TreeWalk, other: TreeWalk) -> bool:
    """Whether what DNS did not tell could change if they are aligned. What is above the domain that
    both belong to couldn't: it would move both alike."""
    if author.start == other.start:
        return False
    if author.is_unsure:
        return True  # the mode may be another
    if mode == "s":
        return False
    unknown = [domain for domain, _ in (*author.unknown, *other.unknown)]
    if not aligned(mode, author, other):
        return bool(unknown)
    return not all(is_under(author.organizational, domain) for domain in unknown)


def _unproven(name: str, author: TreeWalk, seen: DmarcSeen, strangers: list[str]) -> Look:
    """strangers: domains for which something passes, and that don't speak for this one."""
    policy = author.policy(exists=seen.exists is not False)
    remedy = "mend what stands above, DKIM first."
    mail = f"mail of {name} is yours: neither DKIM nor SPF passes for it"
    if strangers:
        mail += f", only for {listed(sorted(set(strangers)))}"
    if policy == "reject":
        what = f"No receiver can tell that {mail}, and its DMARC record asks them to refuse such."
        return Look("fail", what, remedy, "verdict")
    if policy == "quarantine":
        what = f"No receiver can tell that {mail}, and its DMARC record asks for the spam folder."
        return Look("warn", what, remedy, "verdict")
    return Look("warn", f"No receiver can tell that {mail}.", remedy, "verdict")
