"""Who counts as one client. Pure."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

UNKNOWN = "unknown"
"""All whose address is none."""


def network_of(host: str) -> str:
    """An IPv4 address, or an IPv6 network of 64 bits, of which everybody has as many addresses as
    they like (RFC 6177); whatever else somebody may have put there is one client, too."""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return UNKNOWN
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is None:
            return str(ip_network((address, 64), strict=False))
        address = address.ipv4_mapped
    return str(address)


def trusted_proxies(text: str) -> str:
    """FORWARDED_ALLOW_IPS as the server takes it: addresses and networks, or `*`. Raises ValueError
    for anything else, which would be believed by nobody and without a word."""
    if text.strip() == "*":
        return "*"
    proxies = [part.strip() for part in text.split(",") if part.strip()]
    for proxy in proxies:
        try:
            ip_network(proxy)
        except ValueError:
            raise ValueError(
                f"{proxy[:60]!r} is neither an IP address nor a network such as 172.18.0.0/16; "
                "names aren't looked up"
            ) from None
    return ",".join(proxies)
