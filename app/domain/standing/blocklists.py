"""Block lists of IP addresses in DNS: what to ask, and what an answer means. Pure.

Sources: RFC 5782 (names, test entries); Spamhaus, "DNSBL return codes: technical update" of
2019-09-30 (127.255.255.0/24: the question was refused, which says nothing of the address).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

from app.domain.dns.questions import Answer

State = Literal["listed", "clean", "unknown"]

TEST_LISTED, TEST_CLEAN = "127.0.0.2", "127.0.0.1"
"""RFC 5782, section 5: every list of IPv4 addresses has the first entry and never the second."""
_REFUSED = {
    "127.255.255.252": "the list's name is misspelt",
    "127.255.255.254": "the list doesn't answer public resolvers: ask by a resolver of your own",
    "127.255.255.255": "the list says that it was asked too often",
}
_REFUSING = ipaddress.IPv4Network("127.255.255.0/24")
_ANSWERS = ipaddress.IPv4Network("127.0.0.0/8")
MAX_REASON_CHARS = 300

_ZONE = re.compile(r"(?=.{1,190}\Z)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_-]{1,63})+")
_KEY = re.compile(r"[a-z0-9]{16,}")


@dataclass(frozen=True)
class Listing:
    """What one list says of one address. zone: as it may be shown. codes: its answers, where it is
    listed. why: the list's own words; of `unknown`, a sentence's end."""

    ip: str
    zone: str
    state: State
    codes: tuple[str, ...] = ()
    why: str = ""

    @classmethod
    def from_stored(cls, row: dict[str, Any]) -> Self:
        return cls(row["ip"], row["zone"], row["state"], tuple(row["codes"]), row["why"])

    def to_stored(self) -> dict[str, Any]:
        return vars(self) | {"codes": list(self.codes)}


def dnsbl_zone(text: str) -> str:
    """As DNSBL_ZONES has it, in one spelling. Raises ValueError."""
    zone = text.strip().lower().removesuffix(".")
    if not _ZONE.fullmatch(zone):
        raise ValueError("must be names of block lists in DNS like zen.spamhaus.org")
    return zone


def shown_zone(zone: str) -> str:
    """Without the key that lists give their customers as a part of the name."""
    return ".".join("…" if _KEY.fullmatch(part) else part for part in zone.split("."))


def asked_name(ip: str, zone: str) -> str:
    """The name to ask for: `1.2.0.192.` and the zone; of IPv6 each of 32 digits by itself (RFC
    5782, section 2.4). Raises ValueError when it is no address."""
    return f"{reversed_address(ip)}.{zone}"


def reversed_address(ip: str) -> str:
    address = ipaddress.ip_address(ip)
    parts = (
        address.exploded.replace(":", "")
        if isinstance(address, ipaddress.IPv6Address)
        else address.exploded.split(".")
    )
    return ".".join(reversed(parts))


def works(listed: Answer, clean: Answer) -> str | None:
    """Whether a list does what it should, by its test entries; None: it does. Else why it can't be
    believed, a sentence's end."""
    first, second = read(listed), read(clean)
    if first.state == "unknown":
        return first.why
    if second.state == "unknown":
        return second.why
    if second.state == "listed":
        return "it lists every address, as lists do that were given up"
    if first.state == "clean":
        return "it doesn't have its own test entry: the name is wrong, or the list was given up"
    return None


def read(answer: Answer) -> Listing:
    """Without address and zone, which the caller knows."""
    match answer.state:
        case "nxdomain" | "nodata":
            return Listing("", "", "clean")
        case "unknown":
            return Listing("", "", "unknown", why=answer.why)
    codes = tuple(sorted(answer.records))
    for code in codes:
        if (why := _trouble(code)) is not None:
            return Listing("", "", "unknown", why=why)
    return Listing("", "", "listed", codes)


def _trouble(code: str) -> str | None:
    """Why an answer says nothing; None: it says that the address is listed."""
    try:
        address = ipaddress.IPv4Address(code)
    except ValueError:
        return "the answer is no address"
    if address in _REFUSING:
        return _REFUSED.get(code, f"the list refused the question ({code})")
    if address not in _ANSWERS:
        return f"the resolver answers {code}, which no block list does: it answers in its place"
    return None


def reason(records: Sequence[str]) -> str:
    """What a list says of an entry in its TXT records."""
    return " ".join(" ".join(records).split())[:MAX_REASON_CHARS]
