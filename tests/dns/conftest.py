"""A DNS server of the tests' own; the live network is never asked."""

from __future__ import annotations

import pytest

from app.adapters.dns.resolver import DnsResolver
from tests.support.dns_server import DnsServer


@pytest.fixture
def resolver(dns: DnsServer) -> DnsResolver:
    return DnsResolver((dns.address,))
