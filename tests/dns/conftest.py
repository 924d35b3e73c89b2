"""A DNS server of the tests' own; the live network is never asked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.adapters.dns.resolver import DnsResolver
from tests.support.dns_server import DnsServer


@pytest.fixture(scope="session")
def dns_server() -> Iterator[DnsServer]:
    with DnsServer() as server:
        yield server


@pytest.fixture
def dns(dns_server: DnsServer) -> DnsServer:
    """Fresh: it knows no name."""
    dns_server.reset()
    return dns_server


@pytest.fixture
def resolver(dns: DnsServer) -> DnsResolver:
    return DnsResolver((dns.address,))
