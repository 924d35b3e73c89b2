"""Who opens and clicks: kinds of readers and of machines, and what each does with a mail.

Nobody's real data. Networks: Microsoft's from its "Office 365 URLs and IP address ranges" (Exchange
Online Protection), Apple's from its list of iCloud Private Relay egress ranges, Proofpoint's from
its announced prefixes (AS22843), Google's from its image proxy; people's and the unknown scanner's
are RFC 5737's for documentation.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from app.sandbox.tracking.rewriting import Link
from app.sandbox.tracking.visits import Seen

KINDS = (
    *("person", "phone", "gmail", "apple"),
    *("microsoft", "proofpoint", "scanner", "forwarded"),
)
MIX: Mapping[str, float] = {
    "person": 0.06,
    "phone": 0.04,
    "gmail": 0.05,
    "apple": 0.06,
    "microsoft": 0.02,
    "proofpoint": 0.005,
    "scanner": 0.005,
    "forwarded": 0.005,
}
"""Shares of ordinary addresses, for a demo; the rest opens nothing. Invented."""

_DESKTOP = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36"
)
_PHONE = (
    "Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36"
)
_THUNDERBIRD = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0"
_GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
_APPLE = "Mozilla/5.0"
_SCANNING = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/128.0.0.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True)
class Act:
    """after_seconds: since the delivery. link: None for an open."""

    after_seconds: float
    by: Seen
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A mail before one reader. seconds: least and most time until a person opens it."""

    links: Sequence[Link]
    seconds: tuple[float, float]
    dice: random.Random

    def some_time(self) -> float:
        """Mostly early within the range, as people are."""
        least, most = self.seconds
        return least + (most - least) * self.dice.random() ** 2

    def soon_after(self, at: float) -> float:
        """Time to read a little."""
        return at + self.dice.uniform(2.0, 4.0)

    def at_home(self) -> str:
        return f"192.0.2.{self.dice.randrange(1, 255)}"

    def some_links(self) -> list[Link]:
        """None, one or two, in the order of the mail."""
        count = min(len(self.links), self.dice.choices((0, 1, 2), (5, 4, 1))[0])
        chosen = self.dice.sample(range(len(self.links)), count)
        return [self.links[position] for position in sorted(chosen)]


def parse_shares(text: str) -> Mapping[str, float]:
    """`person=0.2,apple=0.1`, or `mix`, or nothing. Raises ValueError, naming what is wrong."""
    if text.strip() == "mix":
        return MIX
    shares: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        kind, _, share = part.partition("=")
        if kind not in KINDS:
            raise ValueError(f"{kind} is no kind of reader: {', '.join(KINDS)}, or mix alone")
        try:
            shares[kind] = float(share)
        except ValueError as exc:
            raise ValueError(f"{part}: a share is a number from 0 to 1") from exc
    if any(share < 0 for share in shares.values()) or sum(shares.values()) > 1:
        raise ValueError("shares are 0 to 1, and 1 at most together")
    return shares


def kind_of(address: str, shares: Mapping[str, float]) -> str | None:
    """Who reads the mail to `address`; None: nobody does anything. The same on every run.

    An address whose local part is `KIND+anything` is one of that kind, whatever the shares (0 to 1,
    of ordinary addresses, chosen by a hash of the address).
    """
    local = address.lower().rpartition("@")[0]
    named, plus, _ = local.partition("+")
    if plus and named in KINDS:
        return named
    if not shares:
        return None
    digest = hashlib.blake2b(f"reader {address.lower()}".encode(), digest_size=8).digest()
    chance = int.from_bytes(digest) / 2**64
    for kind in KINDS:
        chance -= shares.get(kind, 0.0)
        if chance < 0:
            return kind
    return None


def acts_of(
    kind: str, address: str, links: Sequence[Link], seconds: tuple[float, float]
) -> list[Act]:
    """What `kind` does with the mail to `address`, the same on every run. links: the tracked."""
    dice = random.Random(f"{kind} {address}")  # noqa: S311 - repeatable on purpose
    return _ACTS[kind](Reading(links, seconds, dice))


def _person(reading: Reading) -> list[Act]:
    return _opened_and_clicked(reading, Seen(reading.at_home(), _THUNDERBIRD), _DESKTOP)


def _phone(reading: Reading) -> list[Act]:
    return _opened_and_clicked(reading, Seen(reading.at_home(), _PHONE), _PHONE)


def _gmail(reading: Reading) -> list[Act]:
    """The picture is asked for by Google's proxy when the person opens the mail."""
    proxy = Seen(f"66.249.84.{reading.dice.randrange(1, 255)}", _GMAIL)
    return _opened_and_clicked(reading, proxy, _DESKTOP)


def _apple(reading: Reading) -> list[Act]:
    """Apple loads the pictures when the mail arrives, whether or not somebody looks."""
    relay = Seen(f"172.224.226.{reading.dice.randrange(0, 32)}", _APPLE)
    return [Act(reading.dice.uniform(0.5, 3.0), relay)]


def _microsoft(reading: Reading) -> list[Act]:
    """Every link within a second of the delivery, from Exchange Online Protection."""
    scanner = Seen(f"40.107.{reading.dice.randrange(256)}.{reading.dice.randrange(256)}", _SCANNING)
    return _all_links(reading, scanner, reading.dice.uniform(0.2, 0.6), 0.02)


def _proofpoint(reading: Reading) -> list[Act]:
    scanner = Seen(f"67.231.152.{reading.dice.randrange(1, 255)}", _SCANNING)
    return _all_links(reading, scanner, reading.dice.uniform(1.5, 3.0), 0.1)


def _scanner(reading: Reading) -> list[Act]:
    """One that nobody lists, with the user agent of a browser: opens and clicks everything."""
    scanner = Seen(f"203.0.113.{reading.dice.randrange(1, 255)}", _DESKTOP)
    start = reading.dice.uniform(1.5, 4.0)
    return [Act(start, scanner), *_all_links(reading, scanner, start + 0.2, 0.3)]


def _forwarded(reading: Reading) -> list[Act]:
    """A person opens it and sends it on; two others open it elsewhere, and one of them clicks."""
    first = reading.some_time()
    acts = [Act(first, Seen(reading.at_home(), _THUNDERBIRD))]
    others = [Seen(f"198.51.100.{reading.dice.randrange(1, 255)}", agent)
              for agent in (_PHONE, _DESKTOP)]  # fmt: skip
    at = first
    for other in others:
        at = reading.soon_after(at)
        acts.append(Act(at, other))
    if reading.links:
        acts.append(Act(reading.soon_after(at), others[1], reading.dice.choice(reading.links)))
    return acts


def _opened_and_clicked(reading: Reading, opener: Seen, browser: str) -> list[Act]:
    at = reading.some_time()
    acts = [Act(at, opener)]
    clicker = Seen(reading.at_home(), browser)
    for link in reading.some_links():
        at = reading.soon_after(at)
        acts.append(Act(at, clicker, link))
    return acts


def _all_links(reading: Reading, by: Seen, start: float, pause: float) -> list[Act]:
    return [Act(start + number * pause, by, link) for number, link in enumerate(reading.links)]


_ACTS: Mapping[str, Callable[[Reading], list[Act]]] = {
    "person": _person,
    "phone": _phone,
    "gmail": _gmail,
    "apple": _apple,
    "microsoft": _microsoft,
    "proofpoint": _proofpoint,
    "scanner": _scanner,
    "forwarded": _forwarded,
}
