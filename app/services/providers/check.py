"""A part of `amazonsender doctor`: would SendGrid and Mailgun send in SES's place?"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.domain.providers.checks import NOT_HANDED_OVER
from app.domain.reports.findings import Finding
from app.ports import FallbackSender


async def check_fallback(senders: Sequence[FallbackSender]) -> list[Finding]:
    """Nothing where nobody is to. Closes the senders."""
    if not senders:
        return []
    try:
        found = [await asyncio.to_thread(sender.check) for sender in senders]
    finally:
        for sender in senders:
            sender.close()
    return [*found, NOT_HANDED_OVER]
