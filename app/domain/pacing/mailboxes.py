"""Whom a limit is about: a mailbox provider, or a domain that belongs to none that we know.

An unknown domain stands for itself: a company's mail server that defers says nothing of others.
So it is slowed down alone; and one that gets few mails never is (pace.py asks for a minimum).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.domain.engagement.providers import PROVIDERS, domains_of, provider_of

REST = ""
"""Stands for all mailboxes that have no figures of their own."""


def mailbox(name: str) -> str:
    """The key of a provider that a person names, by its name in any case or one of its domains.

    Raises ValueError, which says what is known.
    """
    wanted = name.strip().lower()
    for provider in PROVIDERS:
        if provider.lower() == wanted:
            return provider
    if "." in wanted and " " not in wanted and "@" not in wanted:
        return provider_of(wanted) or wanted
    raise ValueError(
        f"{name.strip() or 'an empty name'} is no mailbox provider: name a domain, like gmail.com, "
        f"or one of {', '.join(PROVIDERS)}"
    )


def described(keys: Iterable[str] = PROVIDERS) -> list[dict[str, Any]]:
    """For the database, which knows no provider: which domains each key stands for."""
    return [
        {"key": key, "domains": list(domains), "pattern": pattern}
        for key in keys
        for domains, pattern in [domains_of(key)]
    ]
