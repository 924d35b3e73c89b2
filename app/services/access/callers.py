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
    """Compared in constant time; None: a stranger. in_haste: see Keys.find.

    Raises DatabaseUnavailable when nobody can say whether a key is valid.
    """
    candidates = list(presented)
    matches = [
        hmac.compare_digest(candidate.encode(errors="replace"), secret.encode())
        for candidate in candidates
        for secret in settings.executor_secrets
    ]
    if any(matches):
        return OWNER
    for candidate in candidates:
        if caller := await keys.find(candidate, in_haste=in_haste):
            return caller
    return None
