"""What a person is told before another provider sends in SES's place. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.providers import NAMES, PROVIDERS
from app.domain.reports.words import duration, plural


def provider_name(name: str) -> str:
    """As people know it: of a provider, or of an SES region."""
    return next((NAMES[one] for one in PROVIDERS if one == name), f"Amazon SES in {name}")


def any_of(providers: Sequence[str]) -> str:
    """`SendGrid or Mailgun`."""
    return " or ".join(provider_name(one) for one in providers)


def consequences(*providers: str, waiting: int, rate: float | None) -> list[str]:
    """What it costs and means that one of them sends now. waiting: recipients who are queued.
    rate: recipients per second."""
    name = any_of(providers)
    pace = f" At {rate:g} a second that takes {duration(waiting / rate)}." if rate else ""
    return [
        f"Queued now: {plural(waiting, 'recipient')}.{pace if waiting else ''}",
        f"{name} bills each mail by your plan with it, at several times the price of SES, and "
        "takes no more than the plan allows.",
        f"Addresses, and what a mail shows of a person, go to {name}.",
        "Mailbox providers see your mail come from other machines than usual: much at once may "
        "land in spam.",
        "Where a mailout watches opens and clicks, its links lead over addresses of theirs.",
        "Who perhaps has the mail from SES already is not sent to. SES goes on as soon as it can.",
    ]
