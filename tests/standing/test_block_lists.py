"""Block lists are asked as RFC 5782 has it, on a real DNS server; what they don't say isn't made
up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.adapters.dns import resolver as adapter
from app.adapters.dns.resolver import DnsResolver
from app.domain.dns.questions import Answer
from app.domain.standing.blocklists import dnsbl_zone, read, reversed_address, shown_zone
from app.services.standing.block_lists import look_up
from tests.support.dns_server import DnsServer, Manner
from tests.support.wide import examples

ZONE = "bl.example"
IP, IP6 = "192.0.2.99", "2001:db8::f"
NAME = f"99.2.0.192.{ZONE}"
NAME6 = f"f.{'0.' * 23}8.b.d.0.1.0.0.2.{ZONE}"


@pytest.fixture
def a_list(dns: DnsServer) -> DnsServer:
    """A list with its test entry, as each must have it."""
    dns.put(f"2.0.0.127.{ZONE}", "A", "127.0.0.2")
    return dns


@pytest.fixture
def resolver(dns: DnsServer, monkeypatch: pytest.MonkeyPatch) -> DnsResolver:
    monkeypatch.setattr(adapter, "TRY_SECONDS", 30.0)
    monkeypatch.setattr(adapter, "QUESTION_SECONDS", 60.0)
    return DnsResolver((dns.address,))


def test_addresses_are_reversed() -> None:
    assert f"{reversed_address(IP)}.{ZONE}" == NAME
    assert f"{reversed_address(IP6)}.{ZONE}" == NAME6  # RFC 5782, section 2.4: 32 digits
    with pytest.raises(ValueError, match="not appear to be"):
        reversed_address("example.com")


async def test_listed_and_clean(a_list: DnsServer, resolver: DnsResolver) -> None:
    a_list.put(NAME, "A", "127.0.0.4", "127.0.0.2")
    a_list.put(NAME, "TXT", "See https://bl.example/192.0.2.99")
    four, six = await look_up([IP, IP6], [ZONE], resolver)
    assert (four.ip, four.zone, four.state) == (IP, ZONE, "listed")
    assert four.codes == ("127.0.0.2", "127.0.0.4")
    assert four.why == "See https://bl.example/192.0.2.99"
    assert (six.ip, six.state, six.codes) == (IP6, "clean", ())
    assert NAME6 in [name for name, *_ in a_list.asked]
    a_list.put(NAME6, "A", "127.0.0.2")
    [six] = await look_up([IP6], [ZONE], resolver)
    assert six.state == "listed"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("127.255.255.252", "misspelt"),
        ("127.255.255.254", "public resolvers"),
        ("127.255.255.255", "too often"),
        ("127.255.255.1", "127.255.255.1"),
        ("203.0.113.7", "answers in its place"),  # a resolver that sends everybody somewhere
    ],
)
async def test_a_refused_question_is_no_listing(
    a_list: DnsServer, resolver: DnsResolver, code: str, why: str
) -> None:
    a_list.put(NAME, "A", code)
    [found] = await look_up([IP], [ZONE], resolver)
    assert found.state == "unknown"
    assert why in found.why


async def test_a_list_that_refuses_its_test_entry_is_not_asked(
    dns: DnsServer, resolver: DnsResolver
) -> None:
    dns.put(f"2.0.0.127.{ZONE}", "A", "127.255.255.254")
    [found] = await look_up([IP], [ZONE], resolver)
    assert (found.state, "public resolvers" in found.why) == ("unknown", True)
    assert NAME not in [name for name, *_ in dns.asked]


async def test_a_list_that_was_given_up_says_nothing(
    a_list: DnsServer, resolver: DnsResolver
) -> None:
    a_list.put(f"1.0.0.127.{ZONE}", "A", "127.0.0.2")  # it lists the whole world
    a_list.put(NAME, "A", "127.0.0.2")
    all_, gone = await look_up([IP], [ZONE, "gone.example"], resolver)
    assert (all_.state, "every address" in all_.why) == ("unknown", True)
    assert (gone.state, "test entry" in gone.why) == ("unknown", True)


@pytest.mark.parametrize("manner", ["servfail", "refused", "silent"])
async def test_dns_that_does_not_answer_is_neither_listed_nor_clean(
    a_list: DnsServer, resolver: DnsResolver, monkeypatch: pytest.MonkeyPatch, manner: Manner
) -> None:
    if manner == "silent":
        monkeypatch.setattr(adapter, "TRY_SECONDS", 0.1)
        monkeypatch.setattr(adapter, "QUESTION_SECONDS", 0.3)
    a_list.put(NAME, "A", "127.0.0.2")
    a_list.behave(f"2.0.0.127.{ZONE}" if manner == "silent" else NAME, manner)
    [found] = await look_up([IP], [ZONE], resolver)
    assert found.state == "unknown"
    assert found.why


@settings(max_examples=examples(50))
@given(st.lists(st.one_of(st.ip_addresses(v=4).map(str), st.text(max_size=12)), min_size=1))
def test_whatever_is_answered_only_addresses_of_lists_are_listings(records: list[str]) -> None:
    """Never clean, since there was an answer; and listed by what a list may answer alone."""
    found = read(Answer("found", tuple(records)))
    lists = [one for one in records if one.startswith("127.") and one.count(".") == 3]
    assert found.state in ("listed", "unknown")
    if found.state == "listed":
        assert len(lists) == len(records)
        assert not any(one.startswith("127.255.255.") for one in records)


def test_the_name_of_a_list_is_checked_and_its_key_is_not_shown() -> None:
    assert dnsbl_zone(" Zen.Spamhaus.org. ") == "zen.spamhaus.org"
    for wrong in ("zen", "zen spamhaus", "https://zen.spamhaus.org", "a..b", "x" * 200 + ".org"):
        with pytest.raises(ValueError, match="block lists"):
            dnsbl_zone(wrong)
    assert shown_zone("abcdefghijklmnopqrstuvwxyz.zen.dq.spamhaus.net") == "….zen.dq.spamhaus.net"
    assert shown_zone("zen.spamhaus.org") == "zen.spamhaus.org"
