"""The standing as lines of text, for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.domain.standing.judge import percent

PARTS = {
    "entities": "reputation",
    "ips": "dedicated addresses",
    "dnsbl": "block lists in DNS",
    "aws_lists": "block lists, by Amazon",
    "advice": "Amazon's advice",
    "isps": "Virtual Deliverability Manager",
}


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """found: a report, as `GET /standing` gives it."""
    verdict = found["verdict"]
    yield f"{verdict['level']:5}{verdict['what']} {verdict['remedy']}".rstrip()
    for alarm in found["alarms"]:
        yield f"{alarm['level']:5}{alarm['what']} → {alarm['remedy']}"
    for region in found["regions"]:
        yield from _region(region)
    for one in found["rates"]["7"]:
        counts = f"{one['delivered']:,} delivered, {one['bounced']:,} bounced for good"
        yield (
            f"7 days, {one['provider']}: {counts} ({_share(one['bounce_rate'])}), reported as "
            f"spam: {_complaints(one)}"
        )


def _region(region: Mapping[str, Any]) -> Iterator[str]:
    name, account = region["region"], region["account"]
    if account is None:
        yield f"{name}: account: not known: {region['account_why']}"
    else:
        quota = account["max_24h_send"]
        of = "without a limit" if quota < 0 else f"of {quota:,.0f}"
        status = account["enforcement_status"].lower()
        sends = "may send" if account["sending_enabled"] else "may not send"
        sent = f"{account['sent_last_24h']:,.0f} sent in 24 hours {of}"
        yield f"{name}: account: {status}, {sends}; {sent}"
    for key, words in PARTS.items():
        part = region[key]
        match part["state"]:
            case "told":
                yield f"{name}: {words}: {len(part['items']) or 'none'}"
            case "off":
                yield f"{name}: {words}: not asked: {part['why']}"
            case _:
                yield f"{name}: {words}: not known: {part['why']}"


def _share(share: Mapping[str, Any]) -> str:
    if share["value"] is None:
        return "too few for a share"
    return f"{percent(share['value'])}, {percent(share['low'])} to {percent(share['high'])}"


def _complaints(one: Mapping[str, Any]) -> str:
    told = one["complaint_rate"]
    if told is not None:
        return f"{told['count']:,} of {told['among']:,} ({_share(told)})"
    if one["feedback"] == "never":
        return "not told to SES"
    return "not known whether it is told"
