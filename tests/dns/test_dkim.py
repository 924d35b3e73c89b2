"""DKIM keys as receivers read them for a signature of SES (RFC 6376, RFC 8463)."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from app.domain.dns.dkim import is_key, read_key, rsa_bits


def rsa_der(bits: int, form: PublicFormat = PublicFormat.SubjectPublicKeyInfo) -> bytes:
    # A number of that length is enough: nothing is signed by it.
    numbers = rsa.RSAPublicNumbers(65_537, (1 << (bits - 1)) | 1)
    return numbers.public_key().public_bytes(Encoding.DER, form)


def p(der: bytes) -> str:
    return base64.b64encode(der).decode()


GOOD = p(rsa_der(2_048))


@pytest.mark.parametrize("bits", [1_024, 1_536, 2_048, 4_096])
@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_both_ways_to_write_an_rsa_key(bits: int, form: PublicFormat) -> None:
    key = read_key(f"v=DKIM1; k=rsa; p={p(rsa_der(bits, form))}")
    assert (key.bits, key.fault) == (bits, "")


@pytest.mark.parametrize(
    "record",
    [
        f"p={GOOD}",
        f" v = DKIM1 ; p = {GOOD[:60]} {GOOD[60:]} ; ",
        f"v=DKIM1; h=sha1:sha256; s=email; n=note; unknown=1; p={GOOD}",
        f"v=DKIM1; s=*; t=s; p={GOOD};",
        f"v=DKIM1; s=other:EMAIL; h=SHA256; k=RSA; p={GOOD}",
    ],
)
def test_a_key_is_a_key(record: str) -> None:
    assert is_key(record)
    assert read_key(record).fault == ""


@pytest.mark.parametrize(
    ("record", "fault"),
    [
        ("v=DKIM1; p=", "revoked"),
        ("v=DKIM1; k=rsa", "no p="),
        (f"p={GOOD}; v=DKIM1", "v= must stand first"),
        (f"v=DKIM2; p={GOOD}", "v= must stand first"),
        (f"v=DKIM1; h=sha1; p={GOOD}", "forbids SHA-256"),
        (f"v=DKIM1; s=tlsrpt; p={GOOD}", "forbids its use for mail"),
        (f"v=DKIM1; k=dsa; p={GOOD}", "a kind of key"),
        (f"v=DKIM1; p={GOOD[:-40]}", "cut"),
        (f"v=DKIM1; p={GOOD[:-3]}", "no base64"),
        (f"v=DKIM1; p={GOOD}!", "no base64"),
        (f"v=DKIM1; p={p(rsa_der(1_024, PublicFormat.PKCS1)[:100])}", "cut"),
        ("v=DKIM1; k=ed25519; p=AAAA", "no Ed25519 key"),
        (f"v=DKIM1; k=rsa; p={p(b'0' * 9_000)}", "no RSA key"),
    ],
)
def test_what_is_of_no_use_says_why(record: str, fault: str) -> None:
    assert fault in read_key(record).fault


def test_a_short_key_is_of_no_use() -> None:
    numbers = rsa_der(1_024)
    assert rsa_bits(numbers) == 1_024
    # cryptography makes none that short, so the length is taken out of a longer one's frame.
    short = bytes.fromhex("3046024100") + b"\x00" * 0 + b"\xc1" + b"\x00" * 63 + b"\x02\x01\x03"
    assert rsa_bits(short) == 512
    assert "512 bits" in read_key(f"p={p(short)}").fault


def test_an_ed25519_key_is_known() -> None:
    raw = ed25519.Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    key = read_key(f"v=DKIM1; k=ed25519; p={p(raw)}")
    assert (key.kind, key.fault) == ("ed25519", "")


def test_flags_are_read() -> None:
    key = read_key(f"v=DKIM1; t=y:s:future; p={GOOD}")
    assert key.testing
    assert key.strict
    assert read_key("p=").revoked
    assert not is_key("google-site-verification=abc")


@pytest.mark.parametrize("tag", ["h=\x1b[31m", "s=\n", "k=\u202e"])
def test_a_fault_is_told_in_characters_that_can_be_printed(tag: str) -> None:
    assert read_key(f"v=DKIM1; {tag}x; p=MIGf").fault.isprintable()
