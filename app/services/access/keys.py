"""API keys: making, finding and revoking them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog

from app.domain.access import Caller, Scope, hint, in_order, key_hash, looks_like_key, new_key
from app.errors import KeyExists, KeyNotFound, ScopeMissing, Unavailable
from app.store.access import AccessCalls

log = structlog.get_logger(__name__)

FRESH_SECONDS = 2.0
"""For so long the list of living keys is trusted, so a request costs no call of the database. A key
that is revoked in this process is refused at once, in another one after so long at most."""
USE_SECONDS = 60.0
"""How often the use of a key is noted."""


@dataclass
class Keys:
    """Knows the living keys by their hashes.

    A key that isn't among them is looked for in a list that was asked for after it came: so a new
    key works at once, and strangers who try many share the calls, never more than one at a time,
    and what they come to when the database is away.
    """

    store: AccessCalls
    now: Callable[[], float] = time.monotonic
    _living: dict[str, _Key] = field(default_factory=dict)
    _asked_at: float = float("-inf")
    _failure: tuple[float, Unavailable] | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def find(self, presented: str, *, in_haste: bool = False) -> Caller | None:
        """Who has this key; None when it is none, or was revoked. in_haste: a list that is still
        trusted is enough, so a key that another process has just made may not be known yet.

        Raises DatabaseUnavailable, when it isn't known from before.
        """
        if not looks_like_key(presented):
            return None
        came, digest = self.now(), key_hash(presented)
        if digest not in self._living or came - self._asked_at > FRESH_SECONDS:
            async with self._lock:
                if self._asked_at <= came - (FRESH_SECONDS if in_haste else 0.0):
                    await self._ask(came)
        key = self._living.get(digest)
        if key is None:
            return None
        await self._note_use(key)
        return key.caller

    async def _ask(self, came: float) -> None:
        """For somebody who came then: if a call has failed since, another would take as long."""
        if self._failure and self._failure[0] > came:
            raise self._failure[1].with_traceback(None)
        asked_at = self.now()
        try:
            rows = await self.store.living_keys()
        except Unavailable as exc:
            self._failure = (self.now(), exc)
            raise
        used = {key.id: key.noted_at for key in self._living.values()}
        self._living = {
            row["hash"]: _Key(
                row["id"],
                Caller(f"key {row['name']}", frozenset(row["scopes"])),
                used.get(row["id"], float("-inf")),
            )
            for row in rows
        }
        self._asked_at = asked_at

    async def _note_use(self, key: _Key) -> None:
        if self.now() - key.noted_at >= USE_SECONDS:
            key.noted_at = self.now()
            with suppress(Unavailable):  # nobody is refused for that
                await self.store.note_key_use(UUID(key.id))

    async def create(self, name: str, scopes: Sequence[Scope], caller: Caller) -> dict[str, Any]:
        """Make a key; `key`, the key itself, is in this answer and nowhere else.

        Raises KeyExists, and ScopeMissing when the caller lacks one of the scopes.
        """
        for scope in in_order(scopes):
            require_scope(caller, scope)
        key = new_key()
        made = await self.store.create_key(
            name, in_order(scopes), key_hash=key_hash(key), hint=hint(key), by=caller.by
        )
        if made is None:
            raise KeyExists(f"A key is called {name} already: revoke it, or choose another name.")
        log.info("key_created", key_id=made["id"], scopes=made["scopes"])
        return made | {"key": key}

    async def revoke(self, key_id: UUID, caller: Caller) -> dict[str, Any]:
        """Refuse a key from now on. Raises KeyNotFound."""
        async with self._lock:  # a list that is under way may still have it
            gone = await self.store.revoke_key(key_id, by=caller.by)
            self._living = {
                digest: key for digest, key in self._living.items() if key.id != str(key_id)
            }
        if gone is None:
            raise KeyNotFound(f"There is no key {key_id}, or it was revoked before.")
        log.info("key_revoked", key_id=str(key_id))
        return gone


def require_scope(caller: Caller, *scopes: Scope) -> None:
    """Any of these. Raises ScopeMissing, which names the first."""
    if not caller.scopes & set(scopes):
        raise ScopeMissing(
            f"This key lacks the scope `{scopes[0]}`; use one that has it.", scope=scopes[0]
        )


@dataclass
class _Key:
    id: str
    caller: Caller
    noted_at: float
