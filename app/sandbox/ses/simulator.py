"""What becomes of a mail: the mailbox simulator, the suppression list, and chance by hash."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Literal

SIMULATOR_DOMAIN = "simulator.amazonses.com"
Reason = Literal["BOUNCE", "COMPLAINT"]


class Fate(StrEnum):
    """How a recipient's mail ends; the value is what the pages show."""

    DELIVERED = "delivered"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    OUT_OF_OFFICE = "out of office"
    SUPPRESSED_BOUNCE = "suppressed after a bounce"
    SUPPRESSED_COMPLAINT = "suppressed after a complaint"
    REJECTED = "rejected"
    RENDERING_FAILURE = "rendering failure"


# The mailbox simulator (SES developer guide, "Using the mailbox simulator").
_SIMULATOR = {
    "success": Fate.DELIVERED,
    "bounce": Fate.BOUNCED,
    "complaint": Fate.COMPLAINED,
    "ooto": Fate.OUT_OF_OFFICE,
    "suppressionlist": Fate.SUPPRESSED_BOUNCE,
}

# The events of each fate after `Send`, in the order in which they come.
EVENTS_AFTER_SEND: dict[Fate, tuple[str, ...]] = {
    Fate.DELIVERED: ("Delivery",),
    Fate.BOUNCED: ("Bounce",),
    Fate.COMPLAINED: ("Delivery", "Complaint"),
    Fate.OUT_OF_OFFICE: ("Delivery", "Bounce"),
    Fate.SUPPRESSED_BOUNCE: ("Bounce",),
    Fate.SUPPRESSED_COMPLAINT: ("Complaint",),
}


def is_simulator(address: str) -> bool:
    """Simulator mail counts to the rate but not to the daily quota."""
    return address.lower().endswith(f"@{SIMULATOR_DOMAIN}")


def fate_of(
    address: str, *, suppressed: Reason | None, bounce_share: float, complaint_share: float
) -> Fate:
    """The fate of mail to `address`; the same on every run.

    suppressed: why the address is on the account's suppression list, if it is. The shares
    (0 to 1) are of ordinary addresses: any that is not the simulator's.
    """
    local, _, domain = address.lower().rpartition("@")
    if domain == SIMULATOR_DOMAIN:
        return _SIMULATOR.get(local.partition("+")[0], Fate.DELIVERED)
    if suppressed:
        return Fate.SUPPRESSED_BOUNCE if suppressed == "BOUNCE" else Fate.SUPPRESSED_COMPLAINT
    if not bounce_share and not complaint_share:
        return Fate.DELIVERED
    digest = hashlib.blake2b(address.lower().encode(), digest_size=8).digest()
    chance = int.from_bytes(digest) / 2**64
    if chance < bounce_share:
        return Fate.BOUNCED
    return Fate.COMPLAINED if chance < bounce_share + complaint_share else Fate.DELIVERED
