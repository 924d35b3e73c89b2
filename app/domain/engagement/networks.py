"""Whose network an event came from, by name. Pure.

The ranges lie in `ranges/`, a file for each network, with where they were taken from and when. To
take one anew, from anything that holds prefixes (JSON, CSV, plain text):

    curl -s https://mask-api.icloud.com/egress-ip-ranges.csv \\
        | python -m app.domain.engagement.networks apple-relay "mask-api.icloud.com" > new.json
"""

from __future__ import annotations

import json
import re
import sys
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import lru_cache
from importlib.resources import files
from ipaddress import (
    IPv4Network,
    IPv6Address,
    IPv6Network,
    collapse_addresses,
    ip_address,
    ip_network,
)
from typing import Any

SCANNERS = frozenset({"proofpoint", "mimecast", "cisco", "barracuda"})
"""Networks of services that check mails and their links, and that people may work in too."""

_ADDRESS_MAX_CHARS = 64  # an IPv6 address has at most 45
_PREFIX = re.compile(r"[0-9a-fA-F:.]*[.:][0-9a-fA-F:.]*/\d{1,3}")


def network_of(ip: str | None) -> str:
    """Our name of the network that an address belongs to; '': none that we know, or no address.

    Never raises, whatever an event holds. The names: `microsoft-protection`, `apple-relay` and
    those of `SCANNERS`.
    """
    if not isinstance(ip, str) or not 0 < len(ip) <= _ADDRESS_MAX_CHARS:
        return ""
    return _network_of(ip.strip())


@lru_cache(maxsize=10_000)
def _network_of(ip: str) -> str:
    try:
        address = ip_address(ip)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        address = address.ipv4_mapped or address
    starts, ends, names = _ranges()[address.version]
    number = int(address)
    at = bisect_right(starts, number) - 1
    return names[at] if at >= 0 and number <= ends[at] else ""


def lists() -> list[dict[str, Any]]:
    """What lies in `ranges/`: of each list its network, note, source, when it was taken, and its
    prefixes."""
    folder = files(__package__).joinpath("ranges")
    found = sorted(folder.iterdir(), key=lambda entry: entry.name)
    return [json.loads(e.read_text("utf-8")) for e in found if e.name.endswith(".json")]


@lru_cache(maxsize=1)
def _ranges() -> dict[int, tuple[list[int], list[int], list[str]]]:
    """By version of the protocol: first and last address of each range, in order, and its name."""
    sorted_by_start: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for each in lists():
        for prefix in each["prefixes"]:
            network = ip_network(prefix)
            last = int(network.broadcast_address)
            entry = (int(network.network_address), last, each["network"])
            sorted_by_start[network.version].append(entry)
    columns = {}
    for version, entries in sorted_by_start.items():
        entries.sort()
        columns[version] = (
            [start for start, _, _ in entries],
            [end for _, end, _ in entries],
            [name for _, _, name in entries],
        )
    return columns


def condensed(text: str) -> list[str]:
    """The prefixes that a text holds, neighbours put together, in order. What only looks like one
    is left out."""
    found = set(_prefixes(_PREFIX.findall(text)))
    v4 = collapse_addresses(each for each in found if isinstance(each, IPv4Network))
    v6 = collapse_addresses(each for each in found if isinstance(each, IPv6Network))
    return [*map(str, v4), *map(str, v6)]


def _prefixes(words: Iterable[str]) -> Iterator[IPv4Network | IPv6Network]:
    for word in words:
        try:
            yield ip_network(word, strict=False)
        except ValueError:
            continue


if __name__ == "__main__":
    name, source = sys.argv[1:3]
    taken = datetime.now(UTC).date().isoformat()
    anew = {"network": name, "note": "", "source": source, "taken": taken,
            "prefixes": condensed(sys.stdin.read())}  # fmt: skip
    sys.stdout.write(json.dumps(anew, indent=1) + "\n")
