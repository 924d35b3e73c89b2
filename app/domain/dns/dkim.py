"""DKIM keys as receivers read them: RFC 6376, section 3.6.1; Ed25519 by RFC 8463. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from app.domain.dns.tags import read_tags, shown

WEAK_BITS, GOOD_BITS = 1_024, 2_048
"""RSA. Receivers ignore signatures by keys below the first (RFC 8301, section 3.2)."""

_MAX_DER = 8_000
"""Bytes; a key of 16,384 bits has 2,100."""
_RSA_OID = bytes.fromhex("06092a864886f70d010101")  # rsaEncryption, RFC 8017, appendix C
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class DkimKey:
    """kind: rsa or ed25519, or another one that nobody knows. bits: of an RSA key; None: not known.

    testing: t=y, with which a receiver acts as if there were no signature. strict: t=s. fault: why
    no signature of SES can be verified by it, a sentence's end; empty: it can.
    """

    kind: str = "rsa"
    bits: int | None = None
    revoked: bool = False
    testing: bool = False
    strict: bool = False
    fault: str = ""


def is_key(record: str) -> bool:
    """Whether a TXT record under `_domainkey` is meant as one: v= may be missing."""
    tags, _ = read_tags(record)
    return "p" in tags or tags.get("v", "").upper() == "DKIM1"


def read_key(record: str) -> DkimKey:
    """As a receiver reads it for a signature of SES, which is rsa-sha256, of a mail."""
    tags, problems = read_tags(record)
    kind = tags.get("k", "rsa").lower()
    flags = _listed(tags.get("t", ""))
    testing, strict = "y" in flags, "s" in flags
    key = DkimKey(kind, testing=testing, strict=strict)

    def faulty(fault: str, **more: bool) -> DkimKey:
        return DkimKey(kind, testing=testing, strict=strict, fault=fault, **more)

    if "v" in tags and (tags["v"] != "DKIM1" or next(iter(tags)) != "v"):
        return faulty("v= must stand first and be DKIM1")
    if "p" not in tags:
        why = f" ({problems[0]})" if problems else ""
        return faulty(f"it has no p=, so no key{why}")
    data = _BLANKS.sub("", tags["p"])
    if not data:
        return faulty("p= is empty, which means that the key was revoked", revoked=True)
    if "h" in tags and "sha256" not in _listed(tags["h"]):
        return faulty(f"h={shown(tags['h'], 30)} forbids SHA-256, with which SES signs")
    if "s" in tags and not {"*", "email"} & set(_listed(tags["s"])):
        return faulty(f"s={shown(tags['s'], 30)} forbids its use for mail")
    try:
        der = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return faulty("p= is no base64: a part of the key is missing, or a character too much")
    if kind == "ed25519":
        return key if len(der) == 32 else faulty("p= has no Ed25519 key of 32 bytes")
    if kind != "rsa":
        return faulty(f"k={shown(kind, 30)} is a kind of key that receivers don't know")
    bits = rsa_bits(der)
    if bits is None:
        return faulty("p= holds no RSA key: it may have been cut")
    if bits < WEAK_BITS:
        return faulty(f"the key has {bits} bits, and receivers ignore those below {WEAK_BITS:,}")
    return DkimKey(kind, bits, testing=testing, strict=strict)


def _listed(value: str) -> list[str]:
    return [one.strip().lower() for one in value.split(":") if one.strip()]


def rsa_bits(der: bytes) -> int | None:
    """The length of the modulus, of a SubjectPublicKeyInfo or of a bare RSAPublicKey, both of which
    receivers take (RFC 6376, erratum 3017); None: it is neither, as a whole."""
    if len(der) > _MAX_DER:
        return None
    try:
        outer = _sole(der, 0x30)
        if outer[:1] == b"\x30":
            algorithm, rest = _element(outer, 0x30)
            if not algorithm.startswith(_RSA_OID):
                return None
            bits = _sole(rest, 0x03)
            if bits[:1] != b"\x00":
                return None
            outer = _sole(bits[1:], 0x30)
        modulus, rest = _element(outer, 0x02)
        _sole(rest, 0x02)
    except ValueError:
        return None
    return int.from_bytes(modulus, "big").bit_length() or None


def _sole(data: bytes, tag: int) -> bytes:
    content, rest = _element(data, tag)
    if rest:
        raise ValueError
    return content


def _element(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first element of DER, and what follows it. Raises ValueError."""
    if len(data) < 2 or data[0] != tag:
        raise ValueError
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3 or len(data) < 2 + count:
            raise ValueError
        length, start = int.from_bytes(data[2 : 2 + count], "big"), 2 + count
    if len(data) < start + length:
        raise ValueError
    return data[start : start + length], data[start + length :]
