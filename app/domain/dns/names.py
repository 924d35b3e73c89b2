"""Names in DNS: one spelling for each, and which can be asked for at all. Pure."""

from __future__ import annotations

import ipaddress
import re

SYSTEM = "system"
"""In place of addresses: the resolvers that this machine uses for all else."""

MAX_NAME, MAX_LABEL = 253, 63
"""Characters: RFC 1035, section 2.3.4, without the root's length and last dot."""

_LABEL = re.compile(r"[!-~]{1,63}")


def spelt(name: str) -> str:
    """Small letters, without the last dot. An internationalised one stays as it is."""
    return name.strip().lower().removesuffix(".")


def is_name(name: str) -> bool:
    """Whether it can be asked for: labels of 1 to 63 printable ASCII characters."""
    return len(name) <= MAX_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def is_under(name: str, domain: str) -> bool:
    """Whether `name` is `domain` or below it."""
    return name == domain or name.endswith(f".{domain}")


def parents(domain: str) -> list[str]:
    """`domain` and each above it, down to two labels: `a.b.example.com`, …, `example.com`."""
    labels = domain.split(".")
    return [".".join(labels[start:]) for start in range(max(1, len(labels) - 1))]


def server_address(text: str) -> tuple[str, int]:
    """Of a DNS server, with its port: `9.9.9.9`, `127.0.0.1:5353`, `[::1]:5353`, `::1`. Raises
    ValueError."""
    host, port = text, "53"
    if match := re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})", text):
        host, port = match[1] or match[3], match[2] or match[4] or "53"
    if not 0 < int(port) < 65_536:
        raise ValueError(f"{port} is no port")
    return str(ipaddress.ip_address(host)), int(port)


def dns_servers(values: tuple[str, ...]) -> tuple[str, ...]:
    """As DNS_RESOLVERS has them: `system` alone, or addresses. Raises ValueError."""
    if [value.lower() for value in values] == [SYSTEM]:
        return (SYSTEM,)
    try:
        for value in values:
            server_address(value)
    except ValueError:
        raise ValueError(
            "must be `system`, or addresses of DNS servers like 9.9.9.9, 127.0.0.1:5353"
        ) from None
    return values
