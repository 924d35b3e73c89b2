"""Who is signed in to the dashboard: a signed cookie, and forms that only its own pages can send.

The cookie is the whole session, so any process can verify it. The database remembers only sessions
that somebody signed out of before they expired. It is signed with a key of its own made from the
shared secret that was presented: a secret taken out of the list ends the sessions it opened.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import structlog
from itsdangerous import BadSignature, Signer
from starlette.requests import Request
from starlette.responses import Response

from app.domain.timed_tokens import is_canonical

log = structlog.get_logger(__name__)

COOKIE = "amazonsender_dashboard"
PATH = "/dashboard"
LIFETIME = timedelta(hours=12)

# Part of the keys: what is signed for one purpose never verifies for another.
_SESSION = b"amazonsender/dashboard/session/v1"
_FORM = b"amazonsender/dashboard/form/v1"


class EndedSessions(Protocol):
    """Where sessions are kept that somebody signed out of before they expired."""

    async def end_session(self, session: str, expires_at: datetime) -> None: ...

    async def session_ended(self, session: str) -> bool: ...


@dataclass(frozen=True)
class Session:
    id: str
    expires_at: datetime
    form_token: str
    """What a form of this session must carry (against cross-site request forgery)."""

    def owns_form(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self.form_token.encode())


def log_action(session: Session, action: str, **about: Any) -> None:
    """Somebody who is signed in did something. about: what to, such as a mailout_id."""
    names = {name: str(value) for name, value in about.items()}
    log.info("dashboard_action", action=action, session=session.id[:8], **names)


class Sessions:
    def __init__(
        self,
        secrets: Sequence[str],
        ended: EndedSessions,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        """secrets: the shared secrets that are valid now. now: seconds since 1970."""
        self._secrets = tuple(secrets)
        self._ended = ended
        self._now = now

    def sign_in(self, presented: str) -> str | None:
        """A new session's cookie; None when `presented` is none of the secrets. Constant-time."""
        fits = [
            secret
            for secret in self._secrets
            if hmac.compare_digest(presented.encode(), secret.encode())
        ]
        if not fits:
            return None
        expires = int(self._now() + LIFETIME.total_seconds())
        return _signer(fits[0], _SESSION).sign(f"{random.token_hex(16)}.{expires}").decode()

    async def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie; None when it is forged, over, or was ended.

        Raises DatabaseUnavailable when nobody can say whether it was ended.
        """
        for secret in self._secrets if cookie else ():
            try:
                content = _signer(secret, _SESSION).unsign(cookie or "").decode()
            except BadSignature:
                continue
            if not is_canonical(cookie or ""):
                return None
            identity, _, expires = content.partition(".")
            if int(expires) <= self._now() or await self._ended.session_ended(identity):
                return None
            return Session(
                id=identity,
                expires_at=datetime.fromtimestamp(int(expires), UTC),
                form_token=_signer(secret, _FORM).get_signature(identity).decode(),
            )
        return None

    async def end(self, session: Session) -> None:
        """Refuse its cookie from now on, also a copy that somebody else has."""
        await self._ended.end_session(session.id, session.expires_at)


def _signer(secret: str, purpose: bytes) -> Signer:
    return Signer(secret, salt=purpose, key_derivation="hmac", digest_method=hashlib.sha256)


def set_cookie(response: Response, value: str, *, secure: bool) -> None:
    response.set_cookie(
        COOKIE,
        value,
        max_age=int(LIFETIME.total_seconds()),
        path=PATH,
        secure=secure,
        httponly=True,
        samesite="strict",
    )


def forget_cookie(response: Response, *, secure: bool) -> None:
    response.delete_cookie(COOKIE, path=PATH, secure=secure, httponly=True, samesite="strict")


def from_own_page(request: Request, base_url: str) -> bool:
    """Whether a form was sent by a page of this service (OWASP: "Verifying origin").

    Browsers send `Origin` with every POST, and `Sec-Fetch-Site` to https and localhost. The host
    is taken from the request too, since an operator may come by another name than APP_BASE_URL.
    """
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    try:
        origin = urlsplit(request.headers.get("origin", ""))
    except ValueError:
        return False
    if not origin.netloc:
        return False
    base = urlsplit(base_url)
    return (origin.scheme, origin.netloc) == (base.scheme, base.netloc) or (
        origin.netloc == request.headers.get("host")
    )
