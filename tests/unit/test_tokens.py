"""Unsubscribe tokens: RELIABILITY section 3, rows 19 to 22."""

from __future__ import annotations

import base64
import hashlib
import re
import string
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from itsdangerous import Signer, URLSafeSerializer

from app.domain.tokens import InvalidToken, UnsubscribeTarget, UnsubscribeTokens

SECRET = "s" * 32
ANN = UUID("c2a9d3e4-8f17-4b60-b5d1-0e6a7c8f9d22")
BEN = UUID("0b5f7a1c-2d3e-4f50-8a6b-7c8d9e0f1a2b")
MAILOUT = UUID("7b0e6f0a-3c1d-4e59-9a86-5f0f2d9c1b11")
BASE64URL = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"

tokens = UnsubscribeTokens([SECRET])


def invalid(token: str, by: UnsubscribeTokens = tokens) -> bool:
    with pytest.raises(InvalidToken) as caught:
        by.verify(token)
    return caught.value.detail == InvalidToken.title and caught.value.status == 400


@given(st.uuids(), st.none() | st.uuids(), st.booleans())
def test_a_token_gives_back_what_was_signed(
    subscriber: UUID, mailout: UUID | None, test: bool
) -> None:
    token = tokens.sign(subscriber, mailout, test=test)
    assert tokens.verify(token) == UnsubscribeTarget(subscriber, mailout, test)


@pytest.mark.parametrize(("mailout", "length"), [(MAILOUT, 88), (None, 67)])
def test_a_token_needs_no_escaping_in_a_link(mailout: UUID | None, length: int) -> None:
    """RFC 3986 calls these characters unreserved."""
    assert re.fullmatch(rf"[A-Za-z0-9._-]{{{length}}}", tokens.sign(ANN, mailout))


def test_links_already_sent_keep_working() -> None:
    """A golden token: whoever changes the format must still verify it."""
    token = (
        "AMKp0-SPF0tgtdEOanyPnSJ7Dm8KPB1OWZqGXw8tnBsR.hNJf0PxQSQHgEN2a0kqysLSY6RhCFtm-_nNv7LZgauA"
    )
    assert tokens.sign(ANN, MAILOUT) == token
    assert tokens.verify(token) == UnsubscribeTarget(ANN, MAILOUT, test=False)


def test_a_secret_can_be_changed() -> None:
    """The first signs, all verify; when the old one goes, its links end."""
    old, new = "o" * 32, "n" * 32
    before, during, after = (UnsubscribeTokens(s) for s in ([old], [new, old], [new]))
    token = before.sign(ANN, MAILOUT)
    assert during.verify(token).subscriber_id == ANN
    assert invalid(token, after)
    assert during.sign(ANN, MAILOUT) == after.sign(ANN, MAILOUT)


@pytest.mark.parametrize("secrets", [[], [""], [SECRET, ""]])
def test_there_must_be_a_secret(secrets: list[str]) -> None:
    with pytest.raises(ValueError, match="UNSUBSCRIBE_SECRET"):
        UnsubscribeTokens(secrets)


# --- row 19: there is one spelling of a valid token ----------------------------------------

TOKENS = [tokens.sign(ANN, MAILOUT), tokens.sign(ANN, None), tokens.sign(ANN, MAILOUT, test=True)]


@pytest.mark.parametrize("token", TOKENS)
def test_each_flipped_bit_is_invalid(token: str) -> None:
    for place, char in enumerate(token):
        for bit in range(8):
            assert invalid(token[:place] + chr(ord(char) ^ 1 << bit) + token[place + 1 :])


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("token", TOKENS)
def test_each_other_character_in_each_place_is_invalid(token: str) -> None:
    """Among them the last characters that base64 decodes to the very same bytes."""
    for place, char in enumerate(token):
        for other in set(BASE64URL) - {char}:
            assert invalid(token[:place] + other + token[place + 1 :])


@pytest.mark.parametrize("token", TOKENS)
def test_truncated_and_padded_tokens_are_invalid(token: str) -> None:
    payload, signature = token.split(".")
    for length in range(len(token)):
        assert invalid(token[:length])
        assert invalid(token[-length:] if length else "")
    for extra in ("=", "==", " ", "\t", "\n", "\r\n", "\x00", "A", ".", "%3D", "\u200b", "é"):
        for changed in (token + extra, extra + token, f"{payload}{extra}.{signature}"):
            assert invalid(changed)
    assert invalid(f"{signature}.{payload}")
    assert invalid(f"{payload}{signature}")
    assert invalid(f"{payload}..{signature}")


def test_the_other_base64_alphabet_is_invalid() -> None:
    token = next(t for t in (tokens.sign(uuid4(), MAILOUT) for _ in range(100)) if "-" in t)
    assert invalid(token.replace("-", "+"))
    assert invalid(token.swapcase())


@given(st.text())
def test_any_text_is_answered_alike(token: str) -> None:
    assert invalid(token)


@given(st.text(BASE64URL, min_size=44, max_size=44), st.text(BASE64URL, min_size=43, max_size=43))
def test_guessed_tokens_are_invalid(payload: str, signature: str) -> None:
    """Row 22."""
    assert invalid(f"{payload}.{signature}")


@pytest.mark.parametrize("token", ["\ud800", "\x00" * 88, "A" * 1_000_000, "." * 88, "１" * 88])
def test_strange_texts_are_invalid(token: str) -> None:
    assert invalid(token)


# --- rows 20 and 21: what is inside the signature ------------------------------------------


def test_the_signature_of_one_subscriber_does_not_fit_another() -> None:
    ann, ben = tokens.sign(ANN, MAILOUT).split("."), tokens.sign(BEN, MAILOUT).split(".")
    assert invalid(f"{ann[0]}.{ben[1]}")
    other_mailout = tokens.sign(ANN, BEN).split(".")
    assert invalid(f"{ann[0]}.{other_mailout[1]}")
    without, test = tokens.sign(ANN, None).split("."), TOKENS[2].split(".")
    assert invalid(f"{ann[0]}.{without[1]}")
    assert invalid(f"{ann[0]}.{test[1]}")
    assert invalid(f"{test[0]}.{ann[1]}")


def sign_with(payload: bytes, secret: str = SECRET, salt: bytes | None = None) -> str:
    """A token made by somebody who holds a key, with any content."""
    signer = Signer(
        secret,
        salt=salt or b"amazonsender/unsubscribe/v1",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    encoded = base64.urlsafe_b64encode(payload).rstrip(b"=")
    return signer.sign(encoded).decode()


@given(st.uuids(), st.none() | st.uuids(), st.booleans(), st.text(min_size=1))
def test_the_short_way_signs_what_itsdangerous_does(
    subscriber: UUID, mailout: UUID | None, test: bool, secret: str
) -> None:
    try:
        secret.encode()
    except UnicodeEncodeError:
        return
    content = bytes([test]) + subscriber.bytes + (mailout.bytes if mailout else b"")
    signed = UnsubscribeTokens([secret]).sign(subscriber, mailout, test=test)
    assert signed == sign_with(content, secret=secret)


def test_tokens_of_another_purpose_or_key_are_invalid() -> None:
    content = bytes([0]) + ANN.bytes + MAILOUT.bytes
    assert tokens.verify(sign_with(content)).subscriber_id == ANN
    assert invalid(sign_with(content, salt=b"amazonsender/preferences/v1"))
    assert invalid(sign_with(content, salt=b"itsdangerous.Signer"))
    assert invalid(sign_with(content, secret="t" * 32))
    serializer = URLSafeSerializer(SECRET, salt=b"amazonsender/unsubscribe/v1")
    assert invalid(str(serializer.dumps([str(ANN), str(MAILOUT)])))


@pytest.mark.parametrize("flags", [2, 3, 128, 255])
def test_flags_of_a_later_version_are_invalid_here(flags: int) -> None:
    """Rather than read as something they don't mean."""
    assert invalid(sign_with(bytes([flags]) + ANN.bytes + MAILOUT.bytes))


def test_json_web_tokens_are_invalid() -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    assert invalid(f"{header}.e30.")
    assert invalid(f"{header}.e30.{'A' * 43}")
