"""Whose mailbox an address is, by its domain. Pure.

Only of those who give mailboxes to everybody: what company is behind a domain of somebody's own
isn't in the address. Domains as their owners list them on their pages for signing up.
"""

from __future__ import annotations

import re

OTHER = "Other"

_DOMAINS = {
    "Gmail": ("gmail.com", "googlemail.com"),
    "Outlook.com": ("msn.com", "passport.com", "windowslive.com"),
    "Yahoo and AOL": (
        *("ymail.com", "rocketmail.com", "myyahoo.com"),
        *("aol.com", "aol.de", "aol.co.uk", "aol.fr", "aim.com", "verizon.net"),
    ),
    "iCloud": ("icloud.com", "me.com", "mac.com", "privaterelay.appleid.com"),
    "GMX and WEB.DE": ("web.de", "email.de", "mail.com"),
    "Proton": ("proton.me", "protonmail.com", "protonmail.ch", "pm.me"),
    "T-Online": ("t-online.de", "magenta.de"),
    "freenet": ("freenet.de",),
    "Fastmail": ("fastmail.com", "fastmail.fm"),
    "Tuta": ("tuta.com", "tutanota.com", "tutanota.de", "tuta.io", "tutamail.com"),
    "mailbox.org": ("mailbox.org",),
    "Posteo": ("posteo.de", "posteo.net"),
    "Bluewin": ("bluewin.ch",),
    "A1": ("aon.at", "a1.net"),
    "Orange": ("orange.fr", "wanadoo.fr"),
    "Free": ("free.fr",),
    "Libero": ("libero.it",),
    "Comcast": ("comcast.net", "xfinity.com"),
    "AT&T": ("att.net", "sbcglobal.net", "bellsouth.net"),
    "Yandex": ("yandex.com", "yandex.ru", "ya.ru"),
    "Mail.ru": ("mail.ru", "bk.ru", "list.ru", "inbox.ru"),
}
_BY_DOMAIN = {domain: name for name, domains in _DOMAINS.items() for domain in domains}

# Those who have a domain in every country: `hotmail.fr`, `yahoo.co.uk`, `outlook.com.br`.
_FAMILIES = {
    "Outlook.com": "hotmail|outlook|live",
    "Yahoo and AOL": "yahoo",
    "GMX and WEB.DE": "gmx",
}
_PATTERNS = {
    name: rf"^({family})\.(com|net|[a-z]{{2}}|com?\.[a-z]{{2}}|com\.[a-z]{{2}})$"
    for name, family in _FAMILIES.items()
}
_EVERYWHERE = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}

PROVIDERS = tuple(_DOMAINS)
"""Their names."""


def provider_of(domain: str) -> str | None:
    """The provider's name; None for a domain that belongs to none of them. domain: lower case."""
    for name, pattern in _EVERYWHERE.items():
        if pattern.fullmatch(domain):
            return name
    return _BY_DOMAIN.get(domain)


def domains_of(provider: str) -> tuple[tuple[str, ...], str | None]:
    """A provider's domains, and a regular expression of further ones, which PostgreSQL reads like
    Python. Of a name that isn't one of `PROVIDERS`: that domain alone."""
    return _DOMAINS.get(provider, (provider,)), _PATTERNS.get(provider)
