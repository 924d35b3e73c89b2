"""Whether receivers find SPF in order for the envelope (MAIL FROM) of a sender's mail. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from app.domain.dns.looks import Look, as_found, not_told
from app.domain.dns.names import is_under, spelt
from app.domain.dns.questions import Answer, Question, Walk
from app.domain.dns.sender import MailFrom, Record, Sender
from app.domain.dns.spf_walk import MAX_LOOKUPS, SES, SpfCheck, check_spf

_FITS = 450
"""Characters of a record that fit into one answer by UDP: RFC 7208, section 3.4."""


@dataclass(frozen=True)
class EnvelopeSeen:
    mx: Answer
    spf: SpfCheck


@dataclass(frozen=True)
class EnvelopeJudged:
    """domain: under which mail leaves, a domain of one's own; None: Amazon's. passes: SPF there;
    None: that isn't known. refused: SES takes no mail."""

    domain: str | None
    passes: bool | None
    looks: tuple[Look, ...]
    refused: bool = False


def see_envelope(mail_from: MailFrom) -> Walk[EnvelopeSeen]:
    mx = yield Question(mail_from.domain, "MX")
    return EnvelopeSeen(mx, (yield from check_spf(mail_from.domain)))


def judge_envelope(sender: Sender, seen: EnvelopeSeen | None) -> EnvelopeJudged:
    mail_from = sender.mail_from
    if not sender.asked:
        return EnvelopeJudged(None, None, ())
    if mail_from is None or seen is None:
        what = (
            f"Mail leaves under {sender.default_envelope}, so SPF passes for Amazon's domain and "
            "not for yours: DKIM alone proves that it is yours. That suffices; a MAIL FROM domain "
            "of your own is a second proof."
        )
        return EnvelopeJudged(None, True, (Look("ok", what, "", "mail_from"),))
    mx, there = _judge_mx(mail_from, seen.mx)
    looks = [mx, _judge_ses(mail_from, there)] if there is not False else [mx]
    spf = judge_spf(seen.spf, mail_from.spf)
    leaves = there is not False and mail_from.by_ses == "SUCCESS"
    return EnvelopeJudged(
        mail_from.domain if leaves else None,
        {"pass": True, "temperror": None}.get(seen.spf.state, False) if leaves else True,
        (*(look for look in looks if look is not None), spf),
        refused=mail_from.rejects and (there is False or mail_from.by_ses == "FAILED"),
    )


def _judge_mx(mail_from: MailFrom, mx: Answer) -> tuple[Look, bool | None]:
    code, record, domain = mail_from.mx_code, mail_from.mx, mail_from.domain
    if mx.state == "unknown":
        return not_told(code, f"the MX record of {domain} is there", mx), None
    hosts = [spelt(one.partition(" ")[2]) for one in mx.records]
    wanted = spelt(record.value.partition(" ")[2])
    if hosts == [wanted]:
        return Look(
            "ok", f"MAIL FROM: {domain} sends bounces to SES.", "", code, "there", record
        ), True
    level, then = (
        ("fail", "SES refuses every mail as long as that is so, since you asked for it.")
        if mail_from.rejects
        else ("warn", f"Mail leaves under {SES} as long as that is so, without your SPF.")
    )
    if not hosts:
        what, state = f"The MX record of {domain} is missing. {then}", "missing"
    elif wanted in hosts:
        what, state = f"{domain} has more MX records than the one for SES. {then}", "wrong"
    else:
        what, state = f"The MX record of {domain} isn't the one for SES. {then}", "wrong"
    remedy = (
        "publish this" if not hosts else "let this be the only one, at a name used for nothing else"
    )
    look = Look(level, what, remedy, code, state, record, as_found(mx.records))  # type: ignore[arg-type]
    return look, False


def _judge_ses(mail_from: MailFrom, there: bool | None) -> Look | None:
    if mail_from.by_ses == "SUCCESS":
        return None
    said = mail_from.by_ses or "nothing"
    remedy = "SES looks by itself for up to 72 hours; then set the MAIL FROM domain anew."
    what = f"SES does not use the MAIL FROM domain {mail_from.domain} yet: it says {said}."
    level = "fail" if mail_from.rejects and mail_from.by_ses == "FAILED" else "warn"
    return Look(level, what, remedy, "mail_from")  # type: ignore[arg-type]


def judge_spf(check: SpfCheck, record: Record) -> Look:
    """Of the envelope's domain. record: to publish where there is none."""
    code, domain, found = f"spf:{check.domain}", check.domain, as_found(check.records)
    if check.state == "temperror":
        return not_told(code, f"SPF passes at {domain}", check.why)
    if check.state == "none":
        what = f"{domain} has no SPF record, so SPF fails for mail that leaves under it."
        return Look("warn", what, "publish this", code, "missing", record)
    if check.state == "permerror":
        what = f"The SPF record of {domain} counts for nothing: {check.why}."
        return Look("warn", what, _mend(check, record), code, "wrong", None, found)
    if check.state != "pass":
        what = f"The SPF record of {domain} doesn't let Amazon SES pass ({check.state})."
        remedy = f"put `include:{SES}` into it, before `all`."
        return Look("warn", what, remedy, code, "wrong", None, found)
    if check.by_address:
        what = f"The SPF record of {domain} lists Amazon's networks themselves, and they change."
        return Look(
            "warn", what, f"write `include:{SES}` in their place.", code, "there", None, found
        )
    if odd := _oddity(check):
        return Look("warn", odd[0], odd[1], code, "there", None, found)
    lookups = f"{check.lookups} of {MAX_LOOKUPS} lookups"
    what = f"SPF: mail that leaves under {domain} passes ({lookups})."
    return Look("ok", what, "", code, "there", record, found)


def judge_own_spf(check: SpfCheck) -> Look | None:
    """Of the From domain, which receivers don't ask for SES's mail: only what is broken for other
    mail of the domain."""
    code, domain = "own_spf", check.domain
    if check.state in ("none", "temperror"):
        return None
    found = as_found(check.records)
    if check.state == "permerror" or check.broken or check.lookups > MAX_LOOKUPS:
        why = check.why or check.broken or f"it needs {_count(check)} lookups"
        what = (
            f"The SPF record of {domain} counts for nothing: {why}. That doesn't concern mail by "
            "SES, but all other mail of the domain."
        )
        return Look("warn", what, _mend(check, None), code, "wrong", None, found)
    if odd := _oddity(check):
        return Look("warn", odd[0], odd[1], code, "there", None, found)
    return None


def _mend(check: SpfCheck, record: Record | None) -> str:
    if len(check.records) > 1:
        return "make one record of them: v=spf1 once, then all their parts, then one `all`."
    if check.lookups > MAX_LOOKUPS or "lookups" in check.why:
        return (
            "take out senders that are no longer used, or give SES a MAIL FROM domain of its own."
        )
    if record is not None and is_under(check.domain, record.name):
        return f"correct it; for SES alone it is `{record.value}`."
    return "correct it."


def _count(check: SpfCheck) -> str:
    return str(check.lookups) if check.lookups < 20 else "20 or more"


def _oddity(check: SpfCheck) -> tuple[str, str] | None:
    """What works for SES's mail and should still be mended, with its remedy."""
    domain = check.domain
    if check.lets_all:
        return f"The SPF record of {domain} lets everybody send (+all).", "end it with `~all`."
    if check.broken:
        what = f"The SPF record of {domain} lets SES pass, but then breaks: {check.broken}."
        return what, "correct it: receivers that read to its end count it for nothing."
    if check.lookups > MAX_LOOKUPS:
        what = (
            f"The SPF record of {domain} needs {_count(check)} lookups, and {MAX_LOOKUPS} are "
            "allowed: it works for SES only because that stands early."
        )
        return what, "take out senders that are no longer used."
    if check.uses_ptr:
        what = f"The SPF record of {domain} uses ptr, which receivers are told to avoid."
        return what, "take it out (RFC 7208, section 5.5)."
    size = max(map(len, check.records), default=0)
    if size > _FITS:
        what = f"The SPF record of {domain} has {size:,} characters: some receivers get it cut."
        return what, "make it shorter than 450, with include for what belongs together."
    return None
