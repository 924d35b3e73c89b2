"""The limits of SES that its model doesn't state: tags, headers, and who may send to whom."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from app.sandbox.ses.simulator import is_simulator

MAX_ENTRIES = 50  # "Bulk email sending: 50 destinations per call" (SES quotas)
MAX_RECIPIENTS = 50  # To, Cc and Bcc together, per message (SES quotas)
MAX_HEADER_LENGTH = 996  # name and value together (SES API reference, MessageHeader)

_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")  # SES API reference, MessageTag

# SES writes these from the other members of the call; a second one would be a broken mail.
RESERVED_HEADERS = frozenset(
    {
        "bcc",
        "cc",
        "content-disposition",
        "content-transfer-encoding",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "reply-to",
        "return-path",
        "sender",
        "subject",
        "to",
    }
)


def check_tags(tags: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags by name. Raises ValueError for a character, a length or a doubled name."""
    checked: dict[str, str] = {}
    for tag in tags:
        name, value = tag["Name"], tag["Value"]
        if not (_TAG.fullmatch(name) and _TAG.fullmatch(value)):
            raise ValueError(
                f"Invalid email tag <{name}>: only 1 to 256 alphanumeric ASCII characters, '_' "
                "and '-' are allowed in its name and value."
            )
        if name in checked:
            raise ValueError(f"Duplicate email tag <{name}>.")
        checked[name] = value
    return checked


def check_headers(headers: Iterable[Mapping[str, str]]) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs. Raises ValueError for a reserved, doubled or overlong header."""
    checked: list[tuple[str, str]] = []
    seen: set[str] = set()
    for header in headers:
        name, value = header["Name"], header["Value"]
        if name.lower() in RESERVED_HEADERS:
            raise ValueError(f"Header <{name}> is set by SES and can't be given.")
        if name.lower() in seen:
            raise ValueError(f"Header <{name}> may appear only once.")
        if len(name) + len(value) > MAX_HEADER_LENGTH:
            raise ValueError(f"Header <{name}> is longer than {MAX_HEADER_LENGTH} characters.")
        seen.add(name.lower())
        checked.append((name, value))
    return tuple(checked)


def is_verified(address: str, verified: frozenset[str]) -> bool:
    """Whether `address`, its domain or a parent domain is among `verified` (empty: all are)."""
    if not verified:
        return True
    address = address.lower()
    labels = address.rpartition("@")[2].split(".")
    domains = {".".join(labels[start:]) for start in range(len(labels))}
    return not verified.isdisjoint({address, *domains})


def may_receive_in_sandbox(address: str, verified: frozenset[str]) -> bool:
    """An account without production access reaches verified addresses and the simulator."""
    return is_simulator(address) or (bool(verified) and is_verified(address, verified))
