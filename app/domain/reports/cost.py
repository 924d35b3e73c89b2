"""What SES asks for a mailout. Pure."""

from __future__ import annotations

DOLLARS_PER_1000 = 0.10
"""For outgoing mail, without attachments, dedicated addresses and Virtual Deliverability Manager:
https://aws.amazon.com/ses/pricing/, as of November 2026."""


def dollars(recipients: int) -> str:
    """About: SES bills by the mail, and taxes and discounts aren't known here."""
    cost = recipients * DOLLARS_PER_1000 / 1000
    return "under $0.01" if cost < 0.01 else f"${cost:,.2f}"
