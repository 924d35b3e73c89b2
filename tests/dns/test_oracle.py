"""checkdmarc, which others wrote, says the same of the same records on the same DNS server.

It reads a whole record, as a receiver does where nothing matches before; so the records here have
SES last. Of one thing it thinks otherwise: it doesn't take `V=SPF1`, which RFC 7208 allows (its
grammar's strings have no case, RFC 5234).
"""

from __future__ import annotations

import itertools

import checkdmarc.dmarc
import checkdmarc.spf
import dns.nameserver
import dns.resolver
import pytest

from app.adapters.dns.resolver import DnsResolver
from app.domain.dns.dmarc import TreeWalk, walk_tree
from app.domain.dns.questions import Walk
from app.domain.dns.spf_walk import SpfCheck, check_spf
from app.services.domains.look import Asker
from tests.dns.zones import SES_NETWORKS
from tests.support.dns_server import DnsServer

_numbers = itertools.count()


@pytest.fixture
def domain() -> str:
    """Another one each time: checkdmarc remembers answers."""
    return f"d{next(_numbers)}.example.com"


def their_resolver(server: DnsServer) -> dns.resolver.Resolver:
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [dns.nameserver.Do53Nameserver("127.0.0.1", server.port)]
    return resolver


async def ours(server: DnsServer, walk: Walk[SpfCheck]) -> SpfCheck:
    return await Asker(DnsResolver((server.address,))).run(walk)


async def our_walk(server: DnsServer, walk: Walk[TreeWalk]) -> TreeWalk:
    return await Asker(DnsResolver((server.address,))).run(walk)


SES = "include:amazonses.com ~all"
HOSTS = " ".join(f"a:h{n}.example.com" for n in range(9))


@pytest.mark.parametrize(
    "record",
    [
        f"v=spf1 {SES}",
        f"v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 {SES}",
        f"v=spf1 a:h1.example.com mx:mx.example.com {SES}",
        f"v=spf1 a:h1.example.com/24 mx:mx.example.com/30//64 {SES}",
        f"v=spf1 {HOSTS} {SES}",
        f"v=spf1 {HOSTS} a:h9.example.com {SES}",
        f"v=spf1 include:nested.example.com {SES}",
        f"v=spf1 include:none.example.com {SES}",
        f"v=spf1 include:twice.example.com {SES}",
        f"v=spf1 include:broken.example.com {SES}",
        f"v=spf1 ipv4:192.0.2.1 {SES}",
        f"v=spf1 ip4:192.0.2.0/33 {SES}",
        f"v=spf1 ip4:192.0.2.300 {SES}",
        f"v=spf1 ip6:192.0.2.1 {SES}",
        f"v=spf1 a:x1.example.com a:x2.example.com {SES}",
        f"v=spf1 a:x1.example.com a:x2.example.com a:x3.example.com {SES}",
        f"v=spf1 exists:%{{i}}._spf.example.com {SES}",
        "v=spf1 redirect=amazonses.com",
        "v=spf1 redirect=none.example.com",
        f"v=spf1 mx:crowd.example.com {SES}",
        f"v=spf1 {SES.upper()}",
    ],
)
async def test_spf(dns: DnsServer, domain: str, record: str) -> None:
    dns.put("amazonses.com", "TXT", SES_NETWORKS)
    for number in range(10):
        dns.put(f"h{number}.example.com", "A", "192.0.2.1")
    for number in range(11):
        dns.put("crowd.example.com", "MX", f"{number} m{number}.example.com")
        dns.put(f"m{number}.example.com", "A", "192.0.2.1")
    dns.put("mx.example.com", "MX", "10 h1.example.com")
    dns.put("nested.example.com", "TXT", "v=spf1 include:deep.example.com a:h1.example.com -all")
    dns.put("deep.example.com", "TXT", "v=spf1 mx:mx.example.com -all")
    dns.put("twice.example.com", "TXT", "v=spf1 -all", "v=spf1 ~all")
    dns.put("broken.example.com", "TXT", "v=spf1 inlcude:amazonses.com -all")
    dns.put("none.example.com", "TXT", "no spf")
    dns.put(domain, "TXT", record)
    found = await ours(dns, check_spf(domain))
    told = checkdmarc.spf.check_spf(domain, resolver=their_resolver(dns), timeout=20.0)
    assert (found.state != "permerror") == told["valid"], (found, told)
    if told["valid"]:
        assert found.lookups == told["dns_lookups"]


@pytest.mark.parametrize(
    "record",
    [
        "v=DMARC1; p=none",
        "v=DMARC1;p=reject;sp=none;np=reject;adkim=s;aspf=s;t=y",
        "v=DMARC1; p=quarantine; rua=mailto:d@example.com; unknown=1",
        "v=DMARC1; p=reject; psd=n",
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 9])
async def test_dmarc(dns: DnsServer, domain: str, record: str, depth: int) -> None:
    dns.put(f"_dmarc.{domain}", "TXT", record)
    dns.put("example.com", "MX", "10 mx.example.com")
    start = "".join(f"s{number}." for number in range(depth)) + domain
    dns.put(start, "MX", "10 mx.example.com")
    found = await our_walk(dns, walk_tree(start))
    told = checkdmarc.dmarc.check_dmarc(start, resolver=their_resolver(dns), timeout=20.0)
    assert told["valid"], told
    assert found.applied
    where, policy = found.applied
    assert where == told["location"]
    tags = {name: tag["value"] for name, tag in told["tags"].items()}
    assert policy.policy == tags["p"]
    assert policy.subdomains in (tags["sp"], None)
    assert (policy.dkim, policy.spf) == (tags["adkim"], tags["aspf"])
    assert policy.testing == (tags.get("t", "n") == "y")


@pytest.mark.parametrize(
    "records",
    [
        (),
        ("v=DMARC1; p=none", "v=DMARC1; p=reject"),
        ("v=DMARC1; p=rejected",),
        ("v=dmarc1; p=none",),
    ],
)
async def test_dmarc_that_counts_for_nothing(
    dns: DnsServer, domain: str, records: tuple[str, ...]
) -> None:
    dns.put(domain, "MX", "10 mx.example.com")
    if records:
        dns.put(f"_dmarc.{domain}", "TXT", *records)
    found = await our_walk(dns, walk_tree(domain))
    told = checkdmarc.dmarc.check_dmarc(domain, resolver=their_resolver(dns), timeout=20.0)
    assert not told["valid"]
    assert found.policy() is None
