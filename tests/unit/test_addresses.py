"""Addresses and names as SES takes them: RELIABILITY section 3, rows 28 and 29."""

from __future__ import annotations

import contextlib
import re
import time
import unicodedata
from email.header import decode_header, make_header
from email.headerregistry import HeaderRegistry
from email.utils import parseaddr
from typing import Any

import pytest
from email_validator import EmailNotValidError, validate_email
from hypothesis import assume, example, given
from hypothesis import strategies as st

from app.domain.addresses import (
    InvalidAddress,
    InvalidName,
    ascii_address,
    canonical_address,
    format_mailbox,
    mask_address,
    typed_address,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("anna@example.com", "anna@example.com"),
        (
            "Anna.Müller".encode("ascii", "ignore").decode() + "@Example.COM",
            "Anna.Mller@example.com",
        ),
        ("anna+news@example.co.uk", "anna+news@example.co.uk"),
        ("o'brien!#$%&*/=?^_`{|}~-@example.com", "o'brien!#$%&*/=?^_`{|}~-@example.com"),
        ("--x@y.test", "--x@y.test"),
        ("a@b.c", "a@b.c"),
        ("bounce+id1@simulator.amazonses.com", "bounce+id1@simulator.amazonses.com"),
        ("anna@müller.example", "anna@xn--mller-kva.example"),
        ("anna@MÜLLER.example", "anna@xn--mller-kva.example"),
        ("anna@mu\u0308ller.example", "anna@xn--mller-kva.example"),
        ("anna@xn--mller-kva.example", "anna@xn--mller-kva.example"),
        ("anna@XN--MLLER-KVA.example", "anna@xn--mller-kva.example"),
        ("anna@straße.example", "anna@xn--strae-oqa.example"),
        ("anna@例え。テスト", "anna@xn--r8jz45g.xn--zckzah"),
        ("anna@example.xn--p1ai", "anna@example.xn--p1ai"),
        ("anna@a--b.example", "anna@a--b.example"),
        ("hi@xn--i-7iq.ws", "hi@xn--i-7iq.ws"),
        ("hi@ab--cd.example", "hi@ab--cd.example"),
        ("hi@r3---sn.example", "hi@r3---sn.example"),
        ("hi@XN--A.example", "hi@xn--a.example"),
        ("hi@müller.ab--cd.example", "hi@xn--mller-kva.ab--cd.example"),
        (f"{'a' * 64}@example.com", f"{'a' * 64}@example.com"),
    ],
)
def test_one_mailbox_in_ascii(address: str, expected: str) -> None:
    """The domain in Punycode and small letters; the local part as it is. Host names that are
    ASCII already exist whatever IDNA says of them."""
    assert ascii_address(address) == expected
    assert ascii_address(expected) == expected


@pytest.mark.parametrize(
    "domain",
    ["example.com", "x.example", "x.test", "x.invalid", "x.localhost", "x.local", "example.onion"],
)
def test_reserved_domains_are_addresses_too(domain: str) -> None:
    """People and tests use them; whether a domain takes mail is for SES to find out."""
    assert ascii_address(f"anna@{domain}") == f"anna@{domain}"


JAPANESE = "人龍名漢字試験郵便物送信可能長"
LONG_DOMAIN = ".".join(["d" * 60] * 4)

REFUSED = [
    ("", "needs a name"),
    ("anna", "needs a name"),
    ("@example.com", "needs a name"),
    ("anna@", "needs a name"),
    ("a@b.test, c@d.test", "more than one"),
    ("a@b.test;c@d.test", "more than one"),
    ("a@b.test c@d.test", "more than one"),
    ("a@b@c.test", "more than one"),
    ("<a@b.test>", "angle brackets"),
    ("<a@b.test>; x", "angle brackets"),
    ("Anna <a@b.test>", "angle brackets"),
    ('"a b"@x.test', "quoted"),
    ('"ab"@x.test', "quoted"),
    ('"a@b"@x.test', "quoted"),
    ("a@[127.0.0.1]", "network address"),
    ("a@[IPv6:::1]", "network address"),
    ("a@127.0.0.1", "not a valid domain"),
    (f"{'a' * 65}@example.com", "longer than 64"),
    (f"{'a' * 20}@{LONG_DOMAIN}", "longer than 254"),
    (f"{'a' * 1_000_000}@example.com", "longer than 254"),
    (f"{'a' * 64}@{'.'.join([JAPANESE] * 4)}.test", "in Punycode"),
    (f"a@{'d' * 64}.test", "not a valid domain"),
    (f"a@{'ü' * 63}.test", "not a valid domain"),
    ("ünal@example.com", "ASCII only"),
    ("аnna@example.com", "ASCII only"),
    ("anna\u200b@example.com", "ASCII only"),
    (".anna@example.com", "doesn't allow"),
    ("anna.@example.com", "doesn't allow"),
    ("an..na@example.com", "doesn't allow"),
    ("an(x)na@example.com", "doesn't allow"),
    ("anna:x@example.com", "doesn't allow"),
    ("an na@example.com", "space"),
    (" anna@example.com", "space"),
    ("anna@example.com ", "space"),
    ("anna@exam\u00a0ple.com", "space"),
    ("anna@example.com\n", "line break"),
    ("anna@example.com\r\nBcc: x@evil.test", "line break"),
    ("an\x00na@example.com", "control character"),
    ("anna@example\u2028.com", "line break"),
    ("anna@\ud800.com", "control character"),
    ("anna@localhost", "not a valid domain"),
    ("anna@example", "not a valid domain"),
    ("anna@example.com.", "not a valid domain"),
    ("anna@.example.com", "not a valid domain"),
    ("anna@example..com", "not a valid domain"),
    ("anna@-example.com", "not a valid domain"),
    ("anna@example-.com", "not a valid domain"),
    ("anna@ab--ü.com", "not a valid domain"),
    ("anna@\u0301x.com", "not a valid domain"),
    ("anna@exam_ple.com", "not a valid domain"),
    ("anna@exam⒈ple.com", "not a valid domain"),
    ("anna@example.123", "not a valid domain"),
    ("anna@example.com%00", "not a valid domain"),
]


@pytest.mark.parametrize(("address", "reason"), REFUSED)
def test_what_ses_would_refuse_is_refused_with_a_reason(address: str, reason: str) -> None:
    with pytest.raises(InvalidAddress, match=reason) as caught:
        ascii_address(address)
    assert len(address) < 5 or address not in str(caught.value)


@given(st.text() | st.from_regex(r"[^@\n]{1,9}@[^@\n]{1,20}", fullmatch=True))
def test_any_text_is_an_address_or_refused(address: str) -> None:
    """What comes out is safe to put into a header, and stable."""
    with contextlib.suppress(InvalidAddress):
        wire = ascii_address(address)
        assert re.fullmatch(r"[!#-'*+./0-9=?A-Z^-~-]+@[a-z0-9.-]+", wire)
        assert ascii_address(wire) == wire


@pytest.mark.short
@given(st.from_regex(r"[A-Za-z0-9.+'_-]{1,12}@[A-Za-z0-9.ßüé-]{1,20}\.(com|de|рф)", fullmatch=True))
def test_the_rules_are_those_of_email_validator(address: str) -> None:
    """A library with the same rules, but slower, and it refuses reserved domains."""
    try:
        expected = validate_email(address, check_deliverability=False).ascii_email
    except EmailNotValidError:
        expected = None
    local, _, domain = address.partition("@")
    assume("--" not in domain)  # of host names in ASCII it refuses some that exist
    assume(expected is None or expected.startswith(local))  # it writes Postmaster small
    try:
        assert ascii_address(address) == expected
    except InvalidAddress:
        assert expected is None


def test_an_ordinary_address_costs_microseconds() -> None:
    """A million recipients are checked in a few seconds. Generous: the machine may be busy."""
    begin = time.process_time()
    for _ in range(10_000):
        ascii_address("anna.longer-name+label@mail.example.com")
    assert time.process_time() - begin < 0.5


@pytest.mark.parametrize(
    "spelling",
    [
        "  Anna@MÜLLER.example\r\n",
        "anna@müller.example\u00a0",
        "\ufeff\ufeffanna@müller.example",
        "\u202a\u200eANNA@müller.example\u202c",
        "an\u00adna@müller.example",
        "anna\u200b@mül\u200bler.example",
        "anna@xn--mller-kva.example",
        "Anna@XN--MLLER-KVA.example",
    ],
)
def test_a_mailbox_has_one_canonical_form(spelling: str) -> None:
    """However it was written or copied; and the form is its own."""
    form = "anna@xn--mller-kva.example"
    assert canonical_address(spelling) == form
    assert canonical_address(form) == form


def test_a_joiner_that_makes_another_domain_stays() -> None:
    """In Persian it is part of the name."""
    with_joiner, without = "x@نامه\u200cای.com", "x@نامهای.com"
    assert canonical_address(with_joiner) != canonical_address(without)
    assert typed_address(with_joiner) == canonical_address(with_joiner)


@pytest.mark.parametrize(
    "text",
    ["\u200banna@example.com", "anna@example.com\u202c", "\ufeff\u00a0anna@example.com \u2060"],
)
def test_what_surrounds_a_typed_address_unseen_is_dropped(text: str) -> None:
    assert typed_address(text) == "anna@example.com"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("an\u00adna@example.com", r"U\+00AD SOFT HYPHEN"),
        ("anna\u200b@example.com", r"U\+200B ZERO WIDTH SPACE"),
        ("anna@\u200bexample.com", r"U\+200B ZERO WIDTH SPACE"),
        ("anna@exam\ufeffple.com", r"U\+FEFF ZERO WIDTH NO-BREAK SPACE"),
    ],
)
def test_an_invisible_character_within_a_typed_address_is_named(text: str, named: str) -> None:
    """It may stand for another one, such as a hyphen: the person who sees the text decides."""
    with pytest.raises(InvalidAddress, match=named):
        typed_address(text)


def test_a_typed_address_keeps_its_case_before_the_at() -> None:
    """It is shown as it was written; what is compared and mailed is the canonical form."""
    assert typed_address("  Anna@EXAMPLE.com\r\n") == "Anna@example.com"
    with pytest.raises(InvalidAddress):
        typed_address("an na@example.com")


# --- names ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, "news@example.com"),
        ("", "news@example.com"),
        ("  ", "news@example.com"),
        ("Example News", "Example News <news@example.com>"),
        ("Example   News ", "Example News <news@example.com>"),
        ("News, weekly", '"News, weekly" <news@example.com>'),
        ('The "best" news', '"The \\"best\\" news" <news@example.com>'),
        ("back\\slash", '"back\\\\slash" <news@example.com>'),
        ("a@b.test", '"a@b.test" <news@example.com>'),
        ("<script>", '"<script>" <news@example.com>'),
        ("J. Doe", '"J. Doe" <news@example.com>'),
        ("Zoë", "=?utf-8?q?Zo=C3=AB?= <news@example.com>"),
        ("新聞", "=?utf-8?b?5paw6IGe?= <news@example.com>"),
    ],
)
def test_names_are_quoted_or_encoded(name: str | None, expected: str) -> None:
    assert format_mailbox(name, "news@example.com") == expected


def test_the_address_of_a_mailbox_is_checked_too() -> None:
    assert format_mailbox("Anna", "anna@müller.example") == "Anna <anna@xn--mller-kva.example>"
    with pytest.raises(InvalidAddress):
        format_mailbox("Anna", "anna@example.com>, <x@evil.test")


@pytest.mark.parametrize(
    "name",
    [
        "Bob\r\nBcc: x@evil.test",
        "Bob\nx",
        "Bob\rx",
        "Bob\n",
        "Bob\x0b",
        "Bob\x0c",
        "Bob\x1c",
        "Bob\x00",
        "Bob\x7f",
        "Bob\x85",
        "Bob\u2028x",
        "Bob\u2029x",
        "Bob\ud800",
        "=?utf-8?q?=0ABcc:x=40evil.test?=",
        "Grüße =?utf-8?b?Cg==?= x",
        "a =?utf-8?q?x y?= b",
    ],
)
def test_names_that_could_smuggle_a_header_are_refused(name: str) -> None:
    """Row 28; encoded-words too, as readers decode them (CVE-2024-6923)."""
    with pytest.raises(InvalidName):
        format_mailbox(name, "news@example.com")


def read_back(mailbox: str) -> tuple[str, str]:
    """As Python's `email` reads it: the header's parts, then the encoded-words in the name."""
    name, address = parseaddr(mailbox)
    return str(make_header(decode_header(name))), address


def read_by_registry(mailbox: str) -> tuple[str, str]:
    """The newer reader. Python 3.11 wrongly puts a space between two encoded-words."""
    header: Any = HeaderRegistry()("From", mailbox)
    assert not header.defects
    (address,) = header.addresses
    return address.display_name, address.addr_spec


@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=80))
@example("Ä" * 80)
@example("😀 " * 40)
@example('a "b" \\ ü, <x@y.test>; (c)')
@example("=?= ?= =?")
def test_a_name_is_read_back_as_it_was_written(name: str) -> None:
    """Runs of spaces count as one."""
    assume(not re.search(r"=\?.*\?=", name))
    mailbox = format_mailbox(name, "news@example.com")
    assert mailbox.isascii()
    assert mailbox.isprintable()
    written = (" ".join(name.split()), "news@example.com")
    assert read_back(mailbox) == written
    if mailbox.count("=?") < 2:
        assert read_by_registry(mailbox) == written


@given(st.text(min_size=1, max_size=300))
def test_each_encoded_word_is_short_enough(name: str) -> None:
    """RFC 2047: 75 characters; longer ones are shown undecoded."""
    assume(not name.isascii())
    with contextlib.suppress(InvalidName):
        for word in format_mailbox(name, "news@example.com").split():
            assert len(word) <= 75
            assert "=?" not in word or re.fullmatch(r"=\?utf-8\?[bq]\?[!-~]+\?=", word)


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("anna@example.com", "a•••@e•••.com"),
        ("b@mail.example.co.uk", "b•••@m•••.uk"),
        ("x@localhost", "x•••@l•••"),
        ("", "•••"),
        ("anna", "•••"),
        ("@", "•••@•••"),
        ("anna@.com", "a•••@.•••.com"),
    ],
)
def test_a_masked_address_shows_little(address: str, masked: str) -> None:
    assert mask_address(address) == masked


@given(st.text())
def test_anything_can_be_masked(address: str) -> None:
    mask_address(address)


def test_the_refused_categories_cover_every_line_break() -> None:
    """`str.splitlines` knows them all."""
    breaks = [chr(n) for n in range(0x110000) if len(f"a{chr(n)}b".splitlines()) > 1]
    assert {unicodedata.category(char) for char in breaks} <= {"Cc", "Zl", "Zp"}
