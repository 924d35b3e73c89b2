"""Which network addresses are the public internet's, and which of a private network; and which web
addresses a setting may name. Pure."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})

_NAT64 = IPv6Network("64:ff9b::/96")
"""Addresses that stand for the IPv4 address in their last 32 bits, anywhere (RFC 6052)."""
_INSIDE = tuple(map(IPv6Network, ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
"""Others that stand for an IPv4 address, within a network alone, and where in them isn't said:
RFC 8215 (NAT64), 4291 (IPv4-compatible), 2765 (translated)."""
_GLOBAL_UNICAST = IPv6Network("2000::/3")
"""All that IANA has given out for the internet; the rest is for other uses, or for none yet."""
_METADATA = tuple(
    map(
        ip_address,
        # Who asks these of a machine in a cloud may get its credentials: Azure, Alibaba, Oracle,
        # Amazon, Google. Those that are link-local, as most, aren't named.
        ("168.63.129.16", "100.100.100.200", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"),
    )
)
_NO_INTERNET = IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20")
"""For protocols of networks, and for documents: not every Python knows that these aren't public
(https://www.iana.org/assignments/iana-ipv4-special-registry, RFC 9637)."""
_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def is_public(address: str) -> bool:
    """Whether an IP address is one of the public internet: not private, link-local, loopback,
    multicast or reserved, also where an IPv6 address stands for an IPv4 one."""
    ip = _meant(address)
    if ip in _METADATA or any(ip in network for network in _NO_INTERNET):
        return False
    if isinstance(ip, IPv6Address) and ip not in _GLOBAL_UNICAST:
        return False
    return ip.is_global and not ip.is_multicast


def is_reachable_privately(address: str) -> bool:
    """Whether an IP address that isn't public may be one of a private network that somebody means:
    not link-local, where clouds keep credentials, and not one that no machine has."""
    ip = _meant(address)
    return not (
        ip in _METADATA
        or _is_inside(ip)
        or ip.is_link_local
        or ip.is_multicast
        or ip.is_unspecified
        or (
            ip in _THIS_NETWORK
            if isinstance(ip, IPv4Address)
            else ip.is_site_local or ip.teredo is not None
        )
        or (ip.is_reserved and not ip.is_loopback)
    )


def _meant(address: str) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 address stands for, else itself. Raises ValueError."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return ip
    if ip.ipv4_mapped or ip.sixtofour:
        return ip.ipv4_mapped or ip.sixtofour or ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip


def _is_inside(ip: IPv4Address | IPv6Address) -> bool:
    return not ip.is_loopback and any(ip in network for network in _INSIDE)


def is_web_address(value: str) -> bool:
    """Whether it has scheme, host, port and path alone. A user and password have no use here, and
    would be logged with the address."""
    try:
        parts = urlsplit(value)
        _ = parts.port  # reading it checks it
        (parts.hostname or "").encode("idna")
    except ValueError:  # whose words quote the address
        return False
    return bool(
        parts.scheme in {"http", "https"}
        and parts.hostname
        and "@" not in parts.netloc
        and not re.search(r"[\s?#]", value)
        and value.isprintable()
    )


def is_confidential(url: str) -> bool:
    """Whether nobody reads on the way what is sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or parts.hostname in LOCAL_HOSTS
