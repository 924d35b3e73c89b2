"""Would SendGrid and Mailgun send in SES's place? A part of `amazonsender doctor`, and of a
mailout's preflight."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from app.domain.providers.words import provider_name
from app.domain.reports.findings import Finding
from app.domain.reports.words import duration, plural
from app.ports import FallbackSender
from app.settings import Settings


async def check_fallback(senders: Sequence[FallbackSender]) -> list[Finding]:
    """Nothing where nobody is to. Closes the senders."""
    if not senders:
        return []
    try:
        found = [await asyncio.to_thread(sender.check) for sender in senders]
    finally:
        for sender in senders:
            sender.close()
    return found


def check_in_place(settings: Settings, *, tracking: bool, recipients: int) -> Iterator[Finding]:
    """What becomes of a mailout while SES can't send. settings: with its own sender."""
    if not (names := [provider_name(name) for name in settings.fallback_providers]):
        return
    after, rate = settings.fallback_after_seconds, settings.fallback_rate_per_sec
    when = f"SES can't send for {duration(after)}" if after else "a person says so"
    yield Finding(
        "ok",
        f"When {when}, those who wait go by {', then '.join(names)}, at {rate:g} a second: for "
        f"{plural(recipients, 'recipient')} that is {duration(recipients / rate)}, and each mail "
        "is billed by your plan there.",
    )
    if tracking:
        yield Finding(
            "ok",
            f"Opens and clicks are then watched by {' or '.join(names)}: links lead over their "
            "addresses, and figures come if their webhooks tell of opens and clicks.",
        )
    sender = (settings.ses_from_email or "").rpartition("@")[2].lower()
    own = (settings.mailgun_domain or "").lower()
    if "mailgun" in settings.fallback_providers and sender and not _akin(sender, own):
        yield Finding(
            "warn",
            f"Mailgun signs as {own}, which isn't of the sender's domain {sender}: mailbox "
            "providers that keep DMARC refuse its mail, or call it spam.",
            f"set MAILGUN_DOMAIN to {sender} or a domain below it.",
        )


def _akin(one: str, other: str) -> bool:
    """Whether they may have one organizational domain, as DMARC asks (RFC 9989, section 4.10): one
    is below the other, or both are below the same two labels."""
    below = one.endswith(f".{other}") or other.endswith(f".{one}")
    return one == other or below or one.split(".")[-2:] == other.split(".")[-2:]
