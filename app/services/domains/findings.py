"""Can receivers tell that our mail is ours? A finding each, of the records in DNS."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from app.domain.addresses import InvalidAddress
from app.domain.reports.findings import Finding
from app.errors import Unavailable
from app.ports import SesAccount
from app.services.checks.asking import Outside
from app.services.domains.look import DomainLook, look_at
from app.settings import Settings

_SAID_BY_SES = "dkim:none"
"""What `check_ses` says, too."""


async def check_domain(
    settings: Settings, outside: Outside, regions: Mapping[str, SesAccount]
) -> list[Finding]:
    """regions: as of `look_at`. Nothing where DNS_RESOLVERS isn't set."""
    dns = await asyncio.to_thread(outside.dns, settings)  # it may load the library
    if dns is None or settings.ses_from_email is None or not regions:
        return []
    providers = await asyncio.to_thread(outside.fallback, settings)
    try:
        seen = await look_at(settings.ses_from_email, regions, dns, providers)
    except (Unavailable, InvalidAddress):
        return []  # another check says so
    finally:
        for provider in providers:
            provider.close()
    return _findings(seen)


def _findings(seen: DomainLook) -> list[Finding]:
    """What stops one way of our mail is only a warning while there is another."""
    stopped = all(look.level == "fail" for look in seen.verdicts)
    return [
        look.plain if stopped or look.level != "fail" else replace(look, level="warn").plain
        for look in seen.looks
        if not look.code.startswith(_SAID_BY_SES)
    ]
