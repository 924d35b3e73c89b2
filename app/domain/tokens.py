"""Unsubscribe tokens: who unsubscribes, and from which mailout, signed. Pure.

A token is the capability itself (RFC 8058 asks for an opaque, hard-to-forge URI), works without
login and never expires: the law wants links that work long after the mail was sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from itsdangerous import Signer

from app.errors import AppError

# Part of the key: a token signed for any other purpose with the same secret never verifies here.
_PURPOSE = b"amazonsender/unsubscribe/v1"

# flags (1 byte), subscriber (16 bytes), mailout (16 bytes or none), in base64url without padding
_TOKEN = re.compile(r"([A-Za-z0-9_-]{44}|[A-Za-z0-9_-]{23})\.[A-Za-z0-9_-]{43}", re.ASCII)
_TEST = 1
_FLAGS = (b"\x00", bytes([_TEST]))
_UUID_BYTES = 16


class InvalidToken(AppError):
    """One answer for every bad token, so that it tells nothing about who exists."""

    status, code, title = 400, "invalid_token", "This unsubscribe link is not valid"


@dataclass(frozen=True)
class UnsubscribeTarget:
    subscriber_id: UUID
    mailout_id: UUID | None
    """The mailout whose link was followed; None for a link outside of any mailout."""
    test: bool
    """From a test send: the page shows, and nobody is unsubscribed."""


class UnsubscribeTokens:
    """Signs and verifies with HMAC-SHA256."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """secrets: the first signs, all verify, so that a secret can be changed without breaking
        links already sent. Raises ValueError when there is none, or an empty one.
        """
        if not secrets or not all(secrets):
            raise ValueError("UNSUBSCRIBE_SECRET needs at least one secret, and none empty.")
        self._keys = [HMAC(_derived(secret), SHA256()) for secret in secrets]

    def sign(self, subscriber_id: UUID, mailout_id: UUID | None, *, test: bool = False) -> str:
        """A token of 67 or 88 characters, letters, digits, `-`, `_` and one dot."""
        mailout = mailout_id.bytes if mailout_id else b""
        return self.sign_bytes(subscriber_id.bytes, mailout, test=test)

    def sign_bytes(self, subscriber: bytes, mailout: bytes, *, test: bool = False) -> str:
        """The same of the UUIDs' bytes."""
        return _signed(self._keys[0], _encode(subscriber, mailout, test=test)).decode("ascii")

    def verify(self, token: str) -> UnsubscribeTarget:
        """Whom the token unsubscribes. Raises InvalidToken, whatever is wrong with it.

        The content is signed anew and the whole token compared: there is exactly one spelling of
        a valid token, so base64 with stray last bits, padding or whitespace is invalid. Each
        comparison takes constant time, and all secrets are tried, whichever one fits.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise InvalidToken
        target = _decode(match[1])
        mailout = target.mailout_id.bytes if target.mailout_id else b""
        payload = _encode(target.subscriber_id.bytes, mailout, test=target.test)
        fits = [
            hmac.compare_digest(_signed(key, payload), token.encode("ascii")) for key in self._keys
        ]
        if not any(fits):
            raise InvalidToken
        return target


def _derived(secret: str) -> bytes:
    """The key, derived once and not anew for each signature."""
    return Signer(
        secret, salt=_PURPOSE, key_derivation="hmac", digest_method=hashlib.sha256
    ).derive_key()


def _signed(key: HMAC, payload: bytes) -> bytes:
    """What itsdangerous's Signer makes of it, in 2 µs and not 8: one is made for each mail. A MAC
    that has its key is copied; to look the algorithm up and begin with the key takes longest."""
    mac = key.copy()
    mac.update(payload)
    return payload + b"." + _base64(mac.finalize())


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def _base64(content: bytes) -> bytes:
    """For URLs, without padding."""
    return b2a_base64(content, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _encode(subscriber: bytes, mailout: bytes, *, test: bool) -> bytes:
    return _base64(_FLAGS[test] + subscriber + mailout)


def _decode(payload: str) -> UnsubscribeTarget:
    """Read content of the right length; `verify` checks that it encodes to the same text."""
    content = base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    subscriber, mailout = content[1 : 1 + _UUID_BYTES], content[1 + _UUID_BYTES :]
    return UnsubscribeTarget(
        subscriber_id=UUID(bytes=subscriber),
        mailout_id=UUID(bytes=mailout) if mailout else None,
        test=bool(content[0] & _TEST),
    )
