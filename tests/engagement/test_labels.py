"""What an event's address and user agent are called before both are dropped."""

from __future__ import annotations

from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.engagement.agents import agent_of
from app.domain.engagement.networks import SCANNERS, condensed, lists, network_of
from tests.support.wide import examples


@pytest.mark.parametrize(
    ("ip", "network"),
    [
        ("40.92.0.0", "microsoft-protection"),
        ("40.93.255.255", "microsoft-protection"),
        ("40.94.0.1", ""),  # Microsoft's, but not of its protection
        ("104.47.127.255", "microsoft-protection"),
        ("104.47.128.0", ""),
        ("2a01:111:f403:c110::3", "microsoft-protection"),
        ("2a01:111:f404::1", ""),
        ("::ffff:40.107.8.1", "microsoft-protection"),
        ("67.231.152.44", "proofpoint"),
        ("170.10.128.61", "mimecast"),
        ("216.71.129.12", "cisco"),
        ("64.235.155.8", "barracuda"),
        ("172.225.18.7", "apple-relay"),
        ("2a02:26f7:c2c0::9", "apple-relay"),
        (" 172.226.1.1 ", "apple-relay"),
        ("66.249.93.34", ""),  # Google's, which is told by its user agent
        ("192.0.2.1", ""),
        ("2001:db8::1", ""),
        ("0.0.0.0", ""),
        ("255.255.255.255", ""),
        ("", ""),
        (None, ""),
        ("not an address", ""),
        ("40.92.0.0/15", ""),
        ("fe80::1%eth0", ""),
    ],
)
def test_a_network_is_named_by_the_address(ip: str | None, network: str) -> None:
    assert network_of(ip) == network


@pytest.mark.parametrize(
    ("user_agent", "agent"),
    [
        # People's programs.
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/142.0.0.0 Safari/537.36 Edg/142.0", ""),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) Mobile/15E148", ""),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.4.0", ""),
        ("Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0)", ""),
        ("Mozilla/4.0 (compatible; ms-office; MSOffice rmj)", ""),
        ("Mozilla/4.0 (compatible; Lotus-Notes/6.0; Windows-NT)", ""),
        ("Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)", ""),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) [FBAN/FBIOS;FBAV/530.0]", ""),
        ("Mozilla/5.0 (Macintosh) Slack_SSB/4.46.101 Chrome/142.0 Safari/537.36", ""),
        ("Outlook-iOS/2.0", ""),
        ("Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8)", ""),
        ("okhttp/4.12.0", ""),  # mail programs on Android load pictures by it
        ("Mozilla/5.0 (Linux; Android 9; CUBOT X18 Plus) Chrome/96.0 Mobile Safari/537.36", ""),
        # Those that load pictures for people.
        ("Mozilla/5.0 (rv:11.0) Firefox/11.0 (via ggpht.com GoogleImageProxy)", "gmail-proxy"),
        ("YahooMailProxy; https://help.yahoo.com/kb/SLN28749.html", "yahoo-proxy"),
        ("Mozilla/5.0 Chrome/42.0 Safari/537.36 Edge/12.246 Mozilla/5.0", "gmail-prefetch"),
        ("Mozilla/5.0", "apple-privacy"),
        # Those that show previews.
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "previewer"),
        ("facebookexternalhit/1.1", "previewer"),
        ("WhatsApp/2.24.6.77 A", "previewer"),
        ("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", "previewer"),
        ("Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5", "previewer"),
        # Those that check links.
        ("python-requests/2.32.3", "checker"),
        ("curl/8.14.1", "checker"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "checker"),
        ("Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/142.0 Safari/537.36", "checker"),
        ("Go-http-client/2.0", "checker"),
        ("Mozilla/5.0 (compatible; SomethingNew/1.0)", "checker"),
        ("BarracudaCentral/1.0", "checker"),
        # Those that don't say.
        (None, "none"),
        ("", "none"),
        ("  ", "none"),
        ("-", "none"),
    ],
)
def test_a_program_is_named_by_its_user_agent(user_agent: str | None, agent: str) -> None:
    assert agent_of(user_agent) == agent


@given(st.text(max_size=80) | st.none() | st.ip_addresses().map(str) | st.integers())
@settings(max_examples=examples(50))
def test_nothing_that_an_event_may_hold_raises(value: Any) -> None:
    assert network_of(value) in {"", "microsoft-protection", "apple-relay", *SCANNERS}
    assert isinstance(agent_of(value), str)


def test_a_user_agent_of_any_length_is_read_in_part_only() -> None:
    assert agent_of("x" * 100_000 + "curl/8") == ""


@pytest.mark.parametrize("ranges", lists(), ids=lambda ranges: ranges["network"])
def test_each_list_names_its_source_and_date_and_holds_public_prefixes(
    ranges: dict[str, Any],
) -> None:
    assert ranges["source"]
    assert ranges["note"]
    assert date.fromisoformat(ranges["taken"]) <= datetime.now(UTC).date()
    networks = [ip_network(prefix) for prefix in ranges["prefixes"]]
    assert all(network.is_global for network in networks)
    assert condensed(" ".join(ranges["prefixes"])) == ranges["prefixes"]


def test_no_address_belongs_to_two_networks() -> None:
    """Else the answer would hang on the order of files."""
    everything = [ip_network(prefix) for ranges in lists() for prefix in ranges["prefixes"]]
    for each in everything:
        others = (o for o in everything if o is not each and o.version == each.version)
        assert not any(each.overlaps(other) for other in others), each


def test_each_prefix_is_found_from_its_first_address_to_its_last() -> None:
    for ranges in lists():
        for network in map(ip_network, ranges["prefixes"]):
            for number in (network[0], network[-1]):
                assert network_of(str(ip_address(number))) == ranges["network"]


def test_a_list_is_taken_anew_from_whatever_holds_prefixes() -> None:
    csv = "172.224.226.0/31,GB,GB-EN,London,\n172.224.226.2/31,GB,,,\n2a02:26f7:c2c0::/64,DE,,,\n"
    assert condensed(csv) == ["172.224.226.0/30", "2a02:26f7:c2c0::/64"]
    assert condensed('{"ipv4": ["10.0.0.0/33", "192.0.2.0/24"], "date": "1/2"}') == ["192.0.2.0/24"]
