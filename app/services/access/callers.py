"""Who presents a credential: the shared secret, or an API key."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from app.domain.access import OWNER, Caller
from app.services.access.keys import Keys
from app.settings import Settings


async def known_caller(
    presented: Iterable[str], settings: Settings, keys: Keys, *, in_haste: bool = False
) -> Caller | None:
    """Compared in constant time. None: a stranger, or more than one credential, and they aren't
    all of the same caller: whoever checked them in front may have looked at another one than we.
    in_haste: see Keys.find.

    Raises DatabaseUnavailable when nobody can say whether a key is valid.
    """
    callers = {
        OWNER if _is_secret(one, settings) else await keys.find(one, in_haste=in_haste)
        for one in presented
        if one
    }
    return callers.pop() if len(callers) == 1 else None


def _is_secret(presented: str, settings: Settings) -> bool:
    given = presented.encode(errors="replace")
    fits = [hmac.compare_digest(given, secret.encode()) for secret in settings.executor_secrets]
    return any(fits)
