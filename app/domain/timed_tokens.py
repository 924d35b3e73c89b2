"""Signed tokens with one purpose and an end: the links of sign-ups, and of clicks by mistake. Pure.

Whoever holds one may do what it is for, as with the unsubscribe tokens (tokens.py); but these end,
and what they do they do once, which the database sees to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.encoding import base64_decode, base64_encode

from app.domain.tokens import InvalidToken

SIGNUP_DAYS = 7
"""As in the database: confirm_signup.sql."""
RESUBSCRIBE_HOURS = 1

_MAX_CHARS = 300


def is_canonical(signed: str) -> bool:
    """Whether the signature at the end of what itsdangerous signed is spelled as it was. Base64 as
    itsdangerous reads it has several spellings of the same bytes; the rest is what is signed.

    Raises BadData."""
    signature = signed.rpartition(".")[2]
    return base64_encode(base64_decode(signature)).decode() == signature


class _TimedTokens:
    def __init__(self, secrets: Sequence[str], purpose: str, lasts: timedelta) -> None:
        """secrets: as in UnsubscribeTokens. purpose: part of the key, so that a token for any other
        purpose never verifies. Raises ValueError without a secret."""
        if not secrets or not all(secrets):
            raise ValueError("Tokens need at least one secret, and none empty.")
        self._lasts = lasts
        self._serializer = URLSafeTimedSerializer(
            list(reversed(secrets)),  # the last one signs
            salt=f"amazonsender/{purpose}/v1",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def _sign(self, content: list[str | int]) -> str:
        token = self._serializer.dumps(content)
        return token if isinstance(token, str) else token.decode("ascii")

    def _verify(self, token: str) -> list[str | int]:
        """Raises InvalidToken, whatever is wrong with it."""
        if len(token) > _MAX_CHARS or not token.isascii():
            raise InvalidToken
        try:
            if not is_canonical(token):
                raise InvalidToken
            content: list[str | int] = self._serializer.loads(
                token, max_age=int(self._lasts.total_seconds())
            )
        except (BadData, ValueError, OverflowError) as exc:
            raise InvalidToken from exc
        return content


class SignupTokens(_TimedTokens):
    """Confirms one sign-up."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(secrets, "sign-up", timedelta(days=SIGNUP_DAYS))

    def sign(self, signup_id: UUID) -> str:
        return self._sign([signup_id.hex])

    def verify(self, token: str) -> UUID:
        """Raises InvalidToken."""
        [signup_id] = self._verify(token)
        return UUID(hex=str(signup_id))


@dataclass(frozen=True)
class Mistake:
    """An unsubscribe that may be taken back. change: of the subscriber's history."""

    subscriber_id: UUID
    change: int


class ResubscribeTokens(_TimedTokens):
    """Takes one unsubscribe back."""

    def __init__(self, secrets: Sequence[str]) -> None:
        super().__init__(secrets, "resubscribe", timedelta(hours=RESUBSCRIBE_HOURS))

    def sign(self, mistake: Mistake) -> str:
        return self._sign([mistake.subscriber_id.hex, mistake.change])

    def verify(self, token: str) -> Mistake:
        """Raises InvalidToken."""
        subscriber_id, change = self._verify(token)
        return Mistake(UUID(hex=str(subscriber_id)), int(change))
