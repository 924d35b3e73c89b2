"""Can receivers tell that our mail is ours? A finding each, of the records in DNS."""

from __future__ import annotations

import asyncio

from app.domain.addresses import InvalidAddress
from app.domain.reports.findings import Finding
from app.errors import Unavailable
from app.services.checks.asking import Outside
from app.services.domains.look import look_at
from app.settings import Settings

_SAID_BY_SES = ("dkim:none",)
"""What `check_ses` says, too."""


async def check_domain(settings: Settings, outside: Outside) -> list[Finding]:
    """Nothing where DNS_RESOLVERS isn't set."""
    dns = await asyncio.to_thread(outside.dns, settings)  # it may load the library
    if dns is None or settings.ses_from_email is None or settings.aws_region is None:
        return []
    try:
        ses = await asyncio.to_thread(outside.ses, settings)
        seen = await look_at(settings.ses_from_email, settings.aws_region, ses, dns)
    except (Unavailable, InvalidAddress):
        return []  # another check says so
    return [look.plain for look in seen.looks if look.code not in _SAID_BY_SES]
