"""Sign-ins to the dashboard, for the audit log."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field

from app.errors import Unavailable
from app.store.access import AccessCalls


@dataclass
class SignIns:
    """client: the address that somebody came from."""

    store: AccessCalls
    _refused: Counter[str] = field(default_factory=Counter)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def accepted(self, client: str) -> None:
        """Raises DatabaseUnavailable: who can't be noted isn't let in."""
        await self.store.note_sign_in(client)

    async def refused(self, client: str) -> None:
        """Strangers who try share the calls, never more than one at a time. They are refused
        whether or not it can be noted."""
        self._refused[client] += 1
        async with self._lock:
            tried, self._refused = self._refused, Counter()
            if tried:
                with suppress(Unavailable):
                    await self.store.note_refused_sign_ins(tried)
