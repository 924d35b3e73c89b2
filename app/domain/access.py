"""API keys: what they look like, and what their holders may do."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Scope = Literal["send", "read", "manage"]
SCOPES: tuple[Scope, ...] = ("send", "read", "manage")
"""send: start, test and steer mailouts. read: look at everything. manage: change everything else,
keys included, and look at what became of it. None of them contains another."""

PREFIX = "as_"
_FORM = re.compile(r"as_[A-Za-z0-9_-]{43}")
_SHOWN_CHARS = 4


def new_key() -> str:
    """256 random bits behind a prefix by which secret scanners can tell it."""
    return PREFIX + secrets.token_urlsafe(32)


def looks_like_key(text: str) -> bool:
    return _FORM.fullmatch(text) is not None


def key_hash(key: str) -> str:
    """What is stored of a key. A slow hash is for passwords, which can be guessed; 256 random bits
    can't, so one round of SHA-256 is enough, and doesn't slow every request down."""
    return hashlib.sha256(key.encode()).hexdigest()


def hint(key: str) -> str:
    """By this its owner recognises a key: the beginning and the end, 48 of its 256 bits."""
    return f"{key[: len(PREFIX) + _SHOWN_CHARS]}…{key[-_SHOWN_CHARS:]}"


MAX_NAME_CHARS = 80


def check_name(name: str) -> str:
    """A key's name, without blanks around it. Raises ValueError for what can't be one."""
    name = name.strip()
    if not name.isprintable() or not 1 <= len(name) <= MAX_NAME_CHARS:
        raise ValueError(f"use 1 to {MAX_NAME_CHARS} letters, digits, signs and blanks")
    return name


def in_order(scopes: Iterable[str]) -> list[Scope]:
    """The scopes among them, each once, in the order of SCOPES."""
    return [scope for scope in SCOPES if scope in set(scopes)]


@dataclass(frozen=True)
class Caller:
    """Who calls. by: as it stands in histories and in the audit log."""

    by: str
    scopes: frozenset[str]


OWNER = Caller("owner", frozenset(SCOPES))
"""Whoever has the shared secret."""
DASHBOARD = Caller("dashboard", frozenset(SCOPES))
CLI = Caller("cli", frozenset(SCOPES))
