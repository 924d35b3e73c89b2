"""Whose network an event came from, by name. Pure."""

from __future__ import annotations


def network_of(ip: str | None) -> str:
    """Our name of the network that an address belongs to; '': none that we know, or no address.

    Never raises. The names: `microsoft-protection`, `proofpoint`, `mimecast`, `cisco`, `barracuda`,
    `apple-relay`.
    """
    return ""
