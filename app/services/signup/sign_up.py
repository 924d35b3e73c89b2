"""Somebody asks to be on the list. Only their own mailbox can put them there (double opt-in)."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import structlog

from app.domain.addresses import ADDRESS_MAX_CHARS, InvalidAddress, canonical_address
from app.domain.clients.networks import network_of
from app.errors import InvalidRequest, TooManyRequests, Unavailable
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

CLIENT_LIMIT = 30
"""Sign-ups within an hour from one network address. How often one address is mailed is the
database's: ask_signup.sql."""
_ADDRESS_CHARS = 2 * ADDRESS_MAX_CHARS  # more is too long in any way
NO_LIMIT = 2**31 - 1
MAX_NAME_CHARS = 100
MAX_PAGE_CHARS = 300


@dataclass(frozen=True)
class SignUpForm:
    """As it was sent. trap: of the field that people don't see. page: where the form was, as the
    browser says."""

    email: str
    name: str = ""
    tags: tuple[str, ...] = ()
    trap: str = ""
    page: str | None = None


class SignUp:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    def require_mail(self) -> None:
        """Raises Unavailable where no mail could be sent, so nobody could confirm."""
        if missing := self._settings.missing_to_send():
            log.warning("signup_not_possible", missing=missing)
            raise Unavailable("Sign-ups are not possible just now.")

    async def __call__(self, form: SignUpForm, client: str | None) -> None:
        """Take a sign-up: the same for every address, known or not. client: the network address;
        None: somebody who is trusted to sign many up.

        Raises InvalidRequest naming the `field`, TooManyRequests (about the client), Unavailable.
        """
        self.require_mail()
        address, name = _address(form.email), _name(form.name)
        if unknown := set(form.tags) - set(self._settings.signup_tags):
            raise InvalidRequest(
                f"The form asks for a tag that is not in SIGNUP_TAGS: {min(unknown)[:50]!r}.",
                field="tag",
            )
        if form.trap:
            log.info("signup_dropped", because="the hidden field was filled in")
            return
        answer = await self._store.ask_signup(
            client="trusted" if client is None else network_of(client),
            client_limit=NO_LIMIT if client is None else CLIENT_LIMIT,
            address=address,
            name=name,
            tags=sorted(set(form.tags)),
            page=_page(form.page),
        )
        if not answer["taken"]:
            log.info("signup_dropped", because="too many from one client")
            raise TooManyRequests(
                "Too many sign-ups came from your network. Try again later.",
                retry_after=int(answer["seconds"]),
            )
        log.info("signup_taken")


def _address(text: str) -> str:
    if not text.strip():
        raise InvalidRequest("Write your email address here.", field="email")
    try:
        return canonical_address(text[:_ADDRESS_CHARS])
    except InvalidAddress as exc:
        raise InvalidRequest(
            f"This mail address doesn't look right: {exc}.", field="email"
        ) from None


def _name(text: str) -> str | None:
    name = " ".join(text.split())
    if len(name) > MAX_NAME_CHARS:
        raise InvalidRequest(f"The name has more than {MAX_NAME_CHARS} characters.", field="name")
    if any(unicodedata.category(char) in {"Cc", "Cs"} for char in name):
        raise InvalidRequest("The name holds a character that names don't have.", field="name")
    return name or None


def _page(text: str | None) -> str | None:
    """Without what may be personal in a web address: query, fragment, password."""
    try:
        parts = urlsplit((text or "").strip())
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not text or not text.isprintable():
        return None
    netloc = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, netloc, parts.path, "", ""))[:MAX_PAGE_CHARS]
