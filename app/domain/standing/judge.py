"""What is wrong with the sender's standing, and what isn't known of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.domain.engagement.providers import OTHER
from app.domain.reports.findings import Finding
from app.domain.standing.limits import BOUNCES, COMPLAINTS, OVER_SHARE, Limit
from app.domain.standing.rates import ALL, FEWEST_COMPLAINTS, ProviderRates, Share
from app.domain.standing.told import Entity, RegionStanding

JUDGED_DAYS = (1, 7)
"""Windows whose shares are alarms: of a month an alarm would come too late, and go too late."""
FEWEST_BOUNCES = 5
NEARLY_ALL = 0.9


@dataclass(frozen=True)
class Fault(Finding):
    """code: of what it is, the same as long as it lasts."""

    code: str = ""


@dataclass(frozen=True)
class Judgement:
    """faults: fails first. open: beginnings of codes of which nothing is known now: an alarm that
    was raised before stays. near: codes of shares that are under their limit, but not by so much
    that an alarm is over."""

    faults: tuple[Fault, ...] = ()
    open: tuple[str, ...] = ()
    near: frozenset[str] = field(default_factory=frozenset)


def judge(
    regions: Sequence[RegionStanding], windows: Mapping[int, Sequence[ProviderRates]]
) -> Judgement:
    """windows: by their days."""
    faults: dict[str, Fault] = {}
    near: set[str] = set()
    for days in JUDGED_DAYS:
        found = windows.get(days, ())
        for one in found:
            for fault, is_over in _shares(one, found[0], days):
                if not is_over:
                    near.add(fault.code)
                elif fault.code not in faults or _worse(fault, faults[fault.code]):
                    faults[fault.code] = fault
    open_codes: list[str] = []
    for region in regions:
        for fault in _region(region):
            faults[fault.code] = fault
        open_codes += _open(region)
    ordered = sorted(faults.values(), key=lambda one: (one.level != "fail", one.code))
    return Judgement(tuple(ordered), tuple(open_codes), frozenset(near - faults.keys()))


def _worse(one: Fault, other: Fault) -> bool:
    return one.level == "fail" and other.level == "warn"


# Shares of our own events


def _shares(one: ProviderRates, every: ProviderRates, days: int) -> Iterator[tuple[Fault, bool]]:
    """Each share that is a fault (True), or near to it. every: all providers together, which say
    the same where nearly all mails go to one."""
    whose = "" if one.provider == ALL else f":{one.provider}"
    if (
        not _is_nearly(one, one.bounces, every.bounces)
        and one.bounces.count >= FEWEST_BOUNCES
        and (level := _level(one.bounces, BOUNCES))
    ):
        what = f"{_told(one.bounces)} {_of(one, days)} bounced for good."
        remedy = (
            "Look where these addresses come from, and take those off the list that nobody "
            "confirmed; a mailout's page names the bounces."
        )
        yield _fault(level, what, f"{BOUNCES.who} {remedy}", f"bounces{whose}")
    told = one.complaints
    if told is None or told.count < FEWEST_COMPLAINTS or _is_nearly(one, told, every.complaints):
        return
    if level := _level(told, COMPLAINTS):
        what = f"{_told(told)} {_of(one, days, telling=True)} were reported as spam."
        remedy = (
            "Mail those only who asked for it, make leaving easy to find, and leave out who has "
            "been quiet for long (Subscribers, Growth and engagement)."
        )
        yield _fault(level, what, f"{COMPLAINTS.who} {remedy}", f"complaints{whose}")


def _is_nearly(one: ProviderRates, own: Share, every: Share | None) -> bool:
    return one.provider != ALL and every is not None and own.among >= NEARLY_ALL * every.among


def _level(share: Share, limit: Limit) -> str:
    """fail, warn, near, or nothing."""
    if share.value is None:
        return ""
    if share.value >= limit.fail:
        return "fail"
    if share.value >= limit.warn:
        return "warn"
    return "near" if share.value >= OVER_SHARE * limit.warn else ""


def _fault(level: str, what: str, remedy: str, code: str) -> tuple[Fault, bool]:
    return Fault("fail" if level == "fail" else "warn", what, remedy, f"rate:{code}"), level != (
        "near"
    )


def _told(share: Share) -> str:
    assert share.value is not None
    return f"{percent(share.value)} ({share.count:,} of {share.among:,})"


def _of(one: ProviderRates, days: int, *, telling: bool = False) -> str:
    time = "24 hours" if days == 1 else f"{days} days"
    if one.provider != ALL:
        whom = "all other domains" if one.provider == OTHER else one.provider
        return f"of the mails to {whom} of the last {time}"
    who = " to providers that tell of complaints" if telling else ""
    return f"of the mails{who} of the last {time}"


def percent(value: float) -> str:
    """A small share keeps two digits that count: 0.12 %, 5.3 %."""
    if value and value < 0.01:
        return f"{value * 100:.2g} %"
    return f"{value * 100:.1f} %".replace(".0 %", " %")


# What Amazon and the block lists say


def _region(told: RegionStanding) -> Iterator[Fault]:
    if told.account is not None:
        yield from _account(told)
    for entity in told.entities.items:
        yield from _entity(told, entity)
    for advice in told.advice.items:
        if advice.impact == "HIGH":
            yield Fault(
                "warn",
                f"Amazon’s Virtual Deliverability Manager finds on {advice.name} in "
                f"{told.region}: {advice.text.rstrip('.')}.",
                "Do what it says; the SES console has the steps under “Virtual Deliverability "
                "Manager, Advisor”.",
                f"advice:{told.region}:{advice.kind}:{advice.resource}",
            )
    for listing in (*told.dnsbl.items, *told.aws_lists.items):
        if listing.state == "listed":
            said = f" The list says: {listing.why.rstrip('.')}." if listing.why else ""
            yield Fault(
                "fail",
                f"The address {listing.ip}, from which Amazon sends your mail in {told.region}, "
                f"is on the block list {listing.zone}.{said}",
                "Find what led there (a list that was bought, old addresses, a trap), stop it, and "
                "ask for removal on the list’s page; Amazon’s support helps with dedicated "
                "addresses.",
                _listing_code(told.region, listing.ip, listing.zone),
            )


def _account(told: RegionStanding) -> Iterator[Fault]:
    account, region = told.account, told.region
    assert account is not None
    code = f"account:{region}:sending"
    if account.enforcement_status == "SHUTDOWN":
        yield Fault(
            "fail",
            f"Amazon has stopped sending for this account in {region}.",
            "Answer the case in the AWS Support Center: say what led to it, and what you changed.",
            code,
        )
    elif not account.sending_enabled:
        yield Fault(
            "fail",
            f"Sending is switched off for this account in {region}.",
            "Switch it on in the SES console, or see the case in the AWS Support Center.",
            code,
        )
    elif account.enforcement_status != "HEALTHY":
        yield Fault(
            "warn",
            f"Amazon has this account under review in {region} "
            f"({account.enforcement_status.lower()}).",
            "See the case in the AWS Support Center before you send more.",
            code,
        )


def _entity(told: RegionStanding, entity: Entity) -> Iterator[Fault]:
    about = f"reputation:{told.region}:"
    cause = f" It gives as its reason: {entity.cause.rstrip('.')}." if entity.cause else ""
    if entity.aws == "DISABLED":
        yield Fault(
            "fail",
            f"Amazon has stopped sending as {entity.name} in {told.region}.{cause}",
            "Answer the case in the AWS Support Center, and mend what led to it before you go on.",
            f"{about}sending:{entity.reference}",
        )
    elif entity.own == "DISABLED":
        yield Fault(
            "warn",  # perhaps somebody meant it
            f"Sending as {entity.name} in {told.region} is switched off, by you or by the policy "
            "that you gave it.",
            "See what the policy found in the SES console, and switch it on again there.",
            f"{about}sending:{entity.reference}",
        )
    if entity.impact is not None:
        how = "much" if entity.impact == "HIGH" else "a little"
        yield Fault(
            "fail" if entity.impact == "HIGH" else "warn",
            f"Amazon has a finding on the reputation of {entity.name} in {told.region}, which "
            f"harms it {how}.",
            "The SES console says which, on the page of that identity or tenant; it mostly is too "
            "many bounces, complaints, or an address on a block list.",
            f"{about}finding:{entity.reference}",
        )


def _listing_code(region: str, ip: str, zone: str) -> str:
    return f"list:{region}:{ip}|{zone}"


def _open(told: RegionStanding) -> Iterator[str]:
    """Beginnings of codes of which this look says nothing. A part that was switched off is
    looked at no more, so its alarms are over."""
    region = told.region
    if told.account is None:
        yield f"account:{region}:"
    if told.entities.state == "unknown":
        yield f"reputation:{region}:"
    if told.advice.state == "unknown":
        yield f"advice:{region}:"
    lists = (told.dnsbl, told.aws_lists)
    if told.ips.state == "unknown" or any(part.state == "unknown" for part in lists):
        yield f"list:{region}:"
    for part in lists:
        for listing in part.items:
            if listing.state == "unknown":
                yield _listing_code(region, listing.ip, listing.zone)
