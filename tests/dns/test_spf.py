"""SPF as receivers evaluate it for a mail of SES (RFC 7208)."""

from __future__ import annotations

import pytest

from app.domain.dns.questions import walked
from app.domain.dns.spf import SpfError, expanded, read_spf, spf_records
from app.domain.dns.spf_walk import SpfCheck, check_spf
from tests.dns.zones import SES_NETWORKS, Zone, asked_of

DOMAIN = "mail.example.com"


def check(record: str | dict[str, list[str]], **zone: str | dict[str, list[str]]) -> SpfCheck:
    """zone: by name, with `_` for the dots."""
    names: Zone = {name.replace("_", "."): there for name, there in zone.items()}
    return walked(check_spf(DOMAIN), asked_of({DOMAIN: record, **names}))


@pytest.mark.parametrize(
    ("record", "state"),
    [
        ("v=spf1 include:amazonses.com ~all", "pass"),
        ("V=SPF1 Include:AMAZONSES.com. -ALL", "pass"),
        ("v=spf1 +include:amazonses.com", "pass"),
        ("v=spf1 redirect=amazonses.com", "pass"),
        ("v=spf1 mx a ip4:192.0.2.0/24 ip6:2001:db8::/32 include:amazonses.com -all", "pass"),
        ("v=spf1 -all include:amazonses.com", "fail"),
        ("v=spf1 ~include:amazonses.com -all", "softfail"),
        ("v=spf1 ip4:192.0.2.1 ~all", "softfail"),
        ("v=spf1 ?all", "neutral"),
        ("v=spf1", "neutral"),
        ("v=spf1 ~all redirect=amazonses.com", "softfail"),
    ],
)
def test_what_a_record_says_of_ses(record: str, state: str) -> None:
    mail = {"MX": ["10 mail.example.com"], "A": ["192.0.2.1"], "TXT": [record]}
    assert check(mail).state == state


@pytest.mark.parametrize(
    "record",
    [
        "v=spf1 ipv4:192.0.2.1 -all",
        "v=spf1 ip4:192.0.2.0/33 -all",
        "v=spf1 ip4:192.0.2 -all",
        "v=spf1 ip4 -all",
        "v=spf1 ip6:192.0.2.1 -all",
        "v=spf1 include -all",
        "v=spf1 include: -all",
        "v=spf1 include:localhost -all",
        "v=spf1 include:example.123 -all",
        "v=spf1 all:example.com",
        "v=spf1 a/33 -all",
        "v=spf1 a:example.com/24/64 -all",
        "v=spf1 exists:%{x}.example.com -all",
        "v=spf1 exists:%.example.com -all",
        "v=spf1 redirect=a.example.com redirect=b.example.com",
        "v=spf1 exp=%{c}.example.com -all",
        "v=spf1 include:amazonses.com\t~all",
        "v=spf1 include:amazonses.com ~all “",
        "v=spf1 include:amazonses.com, ~all",
        "v=spf1 include=amazonses.com -all all.",
    ],
)
def test_one_error_spoils_the_record(record: str) -> None:
    found = check(record)
    assert found.state == "permerror"
    assert DOMAIN in found.why


def test_only_records_of_this_version_count() -> None:
    texts = [
        "v=spf10 -all",
        "v=spf1",
        "V=spf1 -all",
        " v=spf1 -all",
        "google-site=1",
        "v=spf1;-all",
    ]
    assert spf_records(texts) == ["v=spf1", "V=spf1 -all"]


def test_two_records_count_for_nothing() -> None:
    twice = {"TXT": ["v=spf1 include:amazonses.com ~all", "v=spf1 mx ~all", "other"]}
    found = check(twice)
    assert found.state == "permerror"
    assert "2 SPF records" in found.why
    assert len(found.records) == 2


def test_no_record_is_none_and_no_answer_is_no_verdict() -> None:
    assert check("just text").state == "none"
    assert check("?").state == "temperror"
    assert check("v=spf1 include:amazonses.com ~all", amazonses_com="?").state == "temperror"
    assert (
        check("v=spf1 include:amazonses.com include:b.example ~all", b_example="?").state == "pass"
    )


def test_an_include_without_a_record_spoils_it() -> None:
    found = check("v=spf1 include:gone.example.com include:amazonses.com ~all")
    assert found.state == "permerror"
    assert "gone.example.com has no SPF record" in found.why


def test_ten_lookups_are_allowed_and_eleven_are_not() -> None:
    host = {"A": ["192.0.2.1"]}
    hosts = {f"h{n}_example_com": host for n in range(11)}
    ten = " ".join(f"a:h{n}.example.com" for n in range(9))
    found = check(f"v=spf1 {ten} include:amazonses.com ~all", **hosts)
    assert (found.state, found.lookups) == ("pass", 10)
    eleven = f"{ten} a:h9.example.com"
    found = check(f"v=spf1 {eleven} include:amazonses.com ~all", **hosts)
    assert (found.state, found.lookups) == ("permerror", 11)
    assert "more than 10 lookups" in found.why
    found = check(f"v=spf1 include:amazonses.com {eleven} ~all", **hosts)
    assert (found.state, found.lookups) == ("pass", 11), "a receiver stops where it matches"


def test_lookups_of_included_records_count_and_networks_do_not() -> None:
    nested: dict[str, str | dict[str, list[str]]] = {
        "a_example": "v=spf1 include:b.example mx:b.example ip4:192.0.2.1 ~all",
        "b_example": {"TXT": ["v=spf1 exists:%{i}.c.example ptr ~all"], "MX": ["1 mx.example"]},
    }
    found = check("v=spf1 include:a.example include:amazonses.com ~all", **nested)
    assert found.state == "pass"
    assert found.lookups == 1 + 1 + 1 + 1 + 1 + 1
    assert found.uses_ptr


def test_a_third_lookup_that_finds_nothing_is_one_too_many() -> None:
    two = "a:x1.example.com mx:x2.example.com"
    assert check(f"v=spf1 {two} include:amazonses.com ~all").state == "pass"
    found = check(f"v=spf1 {two} exists:x3.example.com include:amazonses.com ~all")
    assert found.state == "permerror"
    assert "x3.example.com" in found.why


def test_a_record_that_includes_itself_ends() -> None:
    assert check(f"v=spf1 include:{DOMAIN} ~all").state == "permerror"
    assert check(f"v=spf1 redirect={DOMAIN}").state == "permerror"
    many = {f"l{n}_example": f"v=spf1 include:l{(n + 1) % 5}.example mx ~all" for n in range(5)}
    assert check("v=spf1 include:l0.example ~all", **many).lookups <= 20


def test_copied_networks_pass_as_long_as_they_are_all() -> None:
    copied = SES_NETWORKS.removesuffix("-all") + "~all"
    found = check(copied)
    assert (found.state, found.by_address) == ("pass", True)
    assert check(copied.replace("54.240.0.0/18 ", "54.240.0.0/19 ")).state == "softfail"
    assert check("v=spf1 ip4:0.0.0.0/0 ~all").by_address


def test_a_mail_server_too_many() -> None:
    crowd = {"MX": [f"{n} mx{n}.example" for n in range(11)]}
    found = check("v=spf1 mx:crowd.example include:amazonses.com ~all", crowd_example=crowd)
    assert found.state == "permerror"


def test_what_breaks_after_ses_is_told() -> None:
    found = check("v=spf1 include:amazonses.com include:gone.example ~all")
    assert found.state == "pass"
    assert "gone.example" in found.broken
    assert check("v=spf1 include:amazonses.com +all").lets_all


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        ("%{d}", "a.b.example.com"),
        ("%{d2}.x.org", "example.com.x.org"),
        ("%{dr}.x.org", "com.example.b.a.x.org"),
        ("%{d1r}.x.org", "a.x.org"),
        ("%{d-}.x.org", "a.b.example.com.x.org"),
        ("a%%b%-%_.x.org.", "a%b%20 .x.org"),
        ("%{i}.x.org", None),
        ("%{l}.x.org", None),
        ("%{d}." + "y" * 60 + (".z" * 90) + ".org", "z." * 90 + "org"),
    ],
)
def test_macros_are_expanded_where_they_can_be(spec: str, name: str | None) -> None:
    got = expanded(spec, "a.b.example.com")
    if name is not None and name.startswith("z."):
        assert got is not None
        assert got.endswith(name)
        assert len(got) <= 253
    else:
        assert got == name


def test_the_fault_is_named() -> None:
    with pytest.raises(SpfError, match=r"“ipv4:1\.2\.3\.4” is no mechanism"):
        read_spf("v=spf1 ipv4:1.2.3.4")
