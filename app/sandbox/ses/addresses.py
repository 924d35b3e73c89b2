"""Mail addresses as SES takes them: ASCII, one mailbox, a domain name."""

from __future__ import annotations

import re
from dataclasses import dataclass

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LOCAL = rf"{_ATOM}(?:\.{_ATOM})*|\"(?:[ !#-\[\]-~]|\\[ -~])*\""
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = rf"(?P<local>{_LOCAL})@(?P<domain>{_LABEL}(?:\.{_LABEL})+)"
# A name is quoted, or words (RFC 2047 encoded words are such); a comma needs the quotes.
_NAME = rf"(?P<name>\"(?:[ !#-\[\]-~]|\\[ -~])*\"|(?:{_ATOM}|[. ])*)"
_BARE = re.compile(_ADDRESS)
_NAMED = re.compile(rf"{_NAME} ?<{_ADDRESS}>")

MAX_LOCAL, MAX_ADDRESS = 64, 254  # RFC 5321, 4.5.3.1.1 and 4.5.3.1.3


@dataclass(frozen=True, slots=True)
class Mailbox:
    """`header`: as written in the call. `address`: the part that mail is sent to."""

    header: str
    address: str

    @property
    def domain(self) -> str:
        return self.address.rpartition("@")[2].lower()


def parse_mailbox(text: str) -> Mailbox:
    """One mailbox, with or without a display name.

    Raises ValueError with SES's kind of message. SES takes ASCII only: the local part has no
    other form, a domain is written in punycode, a display name as an RFC 2047 encoded word
    (SES API reference, Destination).
    """
    if not text.isascii():
        raise ValueError(_non_ascii(text))
    match = _BARE.fullmatch(text) or _NAMED.fullmatch(text)
    if match is None:
        raise ValueError("Missing final '@domain'" if "@" not in text else "Illegal address")
    address = f"{match['local']}@{match['domain']}"
    if len(match["local"]) > MAX_LOCAL or len(address) > MAX_ADDRESS:
        raise ValueError("Address is too long")
    return Mailbox(text, address)


def _non_ascii(text: str) -> str:
    name, _, address = text.rpartition("<")
    if not name.isascii():
        return "Display name must be ASCII or encoded (RFC 2047)"
    if not address.rpartition("@")[2].isascii():
        return "Domain contains illegal character"
    return "Local address contains control or whitespace"
