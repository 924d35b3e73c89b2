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
_EVERYWHERE = re.compile(
    r"(?:(?P<outlook>hotmail|outlook|live)|(?P<yahoo>yahoo)|(?P<gmx>gmx))"
    r"\.(?:com|net|[a-z]{2}|com?\.[a-z]{2}|com\.[a-z]{2})\Z"
)
_NAMES = {"outlook": "Outlook.com", "yahoo": "Yahoo and AOL", "gmx": "GMX and WEB.DE"}


def provider_of(domain: str) -> str | None:
    """The provider's name; None for a domain that belongs to none of them. domain: lower case."""
    if match := _EVERYWHERE.match(domain):
        return _NAMES[match.lastgroup or ""]
    return _BY_DOMAIN.get(domain)
