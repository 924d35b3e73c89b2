"""How often somebody may try a secret. Pure: time is passed in, memory is bounded."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

MAX_CLIENTS = 1_000
"""Remembered at once; the longest unseen is forgotten first."""


@dataclass
class Attempts:
    """At most `limit` failures per client in `window` seconds (on any monotonic clock)."""

    limit: int = 5
    window: float = 60.0
    _failures: OrderedDict[str, list[float]] = field(default_factory=OrderedDict)

    def wait(self, client: str, now: float) -> float:
        """Seconds until this client may try again; 0 when it may now."""
        recent = self._recent(client, now)
        return recent[0] + self.window - now if len(recent) >= self.limit else 0.0

    def failed(self, client: str, now: float) -> None:
        recent = self._recent(client, now)
        self._failures[_group(client)] = [*recent, now][-self.limit :]
        self._failures.move_to_end(_group(client))
        while len(self._failures) > MAX_CLIENTS:
            self._failures.popitem(last=False)

    def _recent(self, client: str, now: float) -> list[float]:
        return [at for at in self._failures.get(_group(client), []) if now - at < self.window]


def _group(client: str) -> str:
    """One household's or server's addresses count as one: in IPv6 it gets a /64 (RFC 6177)."""
    try:
        address = ip_address(client)
    except ValueError:
        return client
    if isinstance(address, IPv6Address):
        return str(IPv6Address(int(address) >> 64 << 64))
    return client
