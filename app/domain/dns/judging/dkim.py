"""Whether receivers can verify the signature that SES puts under a sender's mail. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from app.domain.dns.dkim import GOOD_BITS, DkimKey, is_key, read_key
from app.domain.dns.looks import Look, as_found, not_told
from app.domain.dns.names import MAX_NAME, spelt
from app.domain.dns.questions import Answer, Question, Walk
from app.domain.dns.sender import Sender, Signing
from app.domain.dns.tags import shown


@dataclass(frozen=True)
class KeySeen:
    """What DNS says of one selector. cname: None: none is expected. doubled: it stands under the
    domain's name twice, as some control panels make it."""

    selector: str
    text: Answer
    cname: Answer | None = None
    doubled: bool = False


@dataclass(frozen=True)
class DkimJudged:
    """passes: whether some signature of SES verifies; None: that isn't known."""

    passes: bool | None
    looks: tuple[Look, ...]


def see_key(signing: Signing, selector: str) -> Walk[KeySeen]:
    name = signing.key_name(selector)
    text = yield Question(name, "TXT")
    if signing.zone is None:
        return KeySeen(selector, text)
    cname = yield Question(name, "CNAME")
    doubled = False
    if text.is_void and cname.is_void:
        twice = yield Question(f"{name}.{signing.domain}", "CNAME")
        doubled = f"{selector}.{signing.zone}" in map(spelt, twice.records)  # else a wildcard
    return KeySeen(selector, text, cname, doubled)


def judge_dkim(sender: Sender, seen: tuple[KeySeen, ...]) -> DkimJudged:
    signing = sender.signing
    if not sender.asked:
        return DkimJudged(None, (not_told("dkim", "SES signs the mail", "SES couldn't be asked"),))
    if signing is None:
        return DkimJudged(
            False,
            (
                Look(
                    "warn",
                    f"SES has no DKIM keys for {sender.domain}: nothing proves that the mail is "
                    "yours.",
                    f"add {sender.domain} as a domain in the SES console, with Easy DKIM, and "
                    "publish the records that it shows.",
                    "dkim:none",
                ),
            ),
        )
    judged = [_judge_key(signing, one) for one in seen]
    looks = tuple(look for look, _ in judged)
    verifies: bool | None = any(usable for _, usable in judged)
    if not verifies and any(usable is None for _, usable in judged):
        verifies = None
    return DkimJudged(
        verifies if signing.enabled and signing.by_ses == "SUCCESS" else False,
        (*looks, _whole(signing, looks, verifies)),
    )


def _whole(signing: Signing, looks: tuple[Look, ...], verifies: bool | None) -> Look:
    if not signing.enabled:
        return Look(
            "warn",
            f"Signing by {signing.domain} is switched off in SES.",
            "switch it on in the SES console, under the identity's Authentication.",
            "dkim",
        )
    if signing.by_ses != "SUCCESS":
        complete = all(look.state == "there" for look in looks)
        done = "The records are there now; " if complete else ""
        return Look(
            "warn",
            f"{done}SES does not sign by {signing.domain} yet: it says "
            f"{signing.by_ses or 'nothing'} of its keys.",
            "SES looks by itself for up to 72 hours; then verify the domain anew in its console."
            if complete
            else "publish the records above; SES looks for them for up to 72 hours.",
            "dkim",
        )
    if verifies:
        return Look(
            "ok", f"DKIM: receivers can verify the signature of {signing.domain}.", "", "dkim"
        )
    if verifies is None:
        return not_told("dkim", f"the signature of {signing.domain} can be verified", "")
    return Look(
        "warn",
        f"SES signs by {signing.domain}, and no receiver can verify it: no usable key is there, so "
        "many mails end as spam.",
        "publish the records above.",
        "dkim",
    )


def _judge_key(signing: Signing, seen: KeySeen) -> tuple[Look, bool | None]:
    """The look, and whether a signature by it verifies; None: not known."""
    code, name = signing.code(seen.selector), signing.key_name(seen.selector)
    key = _key(seen.text)
    if signing.zone is None:
        return _judge_own(code, name, seen, key)
    target = f"{seen.selector}.{signing.zone}"
    record = signing.record(seen.selector)
    assert seen.cname is not None
    leads = spelt(seen.cname.records[0]) if seen.cname.records else ""
    usable = None if seen.text.state == "unknown" else key is not None and not key.fault
    if target in (spelt(seen.text.end), leads):
        look = Look("ok", f"DKIM: {name} leads to Amazon's key.", "", code, "there", record)
        if key is not None and not key.fault:
            return replace(look, what=look.what + _size(key)), True
        return look, usable
    if leads or seen.text.state == "found":
        told = as_found(seen.cname.records or seen.text.records)
        what = (
            f"{name} leads to {shown(leads, MAX_NAME)}, not to {target}."
            if leads
            else (
                f"{name} holds a key itself. It works until Amazon changes the key."
                if usable
                else f"{name} holds a TXT record where a CNAME should be."
            )
        )
        return (
            Look("warn", what, "publish this in its place", code, "wrong", record, told),
            usable,
        )
    unsure = next((one for one in (seen.cname, seen.text) if one.state == "unknown"), None)
    if unsure is not None:
        return not_told(code, f"{name} is there", unsure), None
    what = f"{name} is missing, one of the names by which Amazon publishes your DKIM keys."
    if seen.doubled:
        what = (
            f"{name} is missing: it stands there as {name}.{signing.domain}, with the domain twice."
        )
    remedy = (
        "take the domain out of the name that you entered, so that this is published"
        if seen.doubled
        else "publish this"
    )
    return Look("warn", what, remedy, code, "missing", record), False


def _judge_own(
    code: str, name: str, seen: KeySeen, key: DkimKey | None
) -> tuple[Look, bool | None]:
    if seen.text.state == "unknown":
        return not_told(code, f"your DKIM key {name} is there", seen.text), None
    if key is None:
        what = f"{name} is missing: the public half of the DKIM key that you gave to SES."
        state, told = ("wrong" if seen.text.records else "missing"), as_found(seen.text.records)
        remedy = f"publish it as TXT record of {name}: `v=DKIM1; k=rsa; p=…`."
        return Look("warn", what, remedy, code, state, None, told), False  # type: ignore[arg-type]
    told = as_found(seen.text.records)
    if key.fault:
        what = f"The DKIM key at {name} is of no use: {key.fault}."
        remedy = "publish the public half of the key that you gave to SES, as a whole."
        return Look("warn", what, remedy, code, "wrong", None, told), False
    if key.testing:
        what = f"The DKIM key at {name} is marked as a test (t=y): receivers may ignore it."
        remedy = "take t=y out of the record."
        return Look("warn", what, remedy, code, "wrong", None, told), True
    what = f"DKIM: your key is at {name}.{_size(key)}"
    return Look("ok", what, "", code, "there", None, told), True


def _key(text: Answer) -> DkimKey | None:
    """Of several, the worst: receivers take any of them (RFC 6376, section 3.6.2.2)."""
    keys = [read_key(record) for record in text.records if is_key(record)]
    return next((key for key in keys if key.fault), keys[0] if keys else None)


def _size(key: DkimKey) -> str:
    if key.bits is None or key.bits >= GOOD_BITS:
        return ""
    return f" It has {key.bits:,} bits; {GOOD_BITS:,} are usual today."
