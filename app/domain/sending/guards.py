"""When a mailout stops by itself, and how that is said. Pure.

The figures are judged where they are kept, in `migrations/functions/sending/guards.sql`;
docs/guards.md has the rules and their reasons.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import InvalidRequest


@dataclass(frozen=True)
class GuardLimits:
    """The rates that must not be passed (BOUNCE_RATE_PAUSE, COMPLAINT_RATE_PAUSE), as shares."""

    bounce_rate: float
    complaint_rate: float


@dataclass(frozen=True)
class Trip:
    """Why the guards stop a mailout: `count` of `outcomes` mails, past the share `limit`.

    scope: whose figures these are. `account`: of all mailouts, over 24 hours.
    """

    rate: Literal["bounce", "complaint"]
    scope: Literal["mailout", "canary", "account"]
    count: int
    outcomes: int
    limit: float


_WHOSE = {
    "mailout": "of this mailout's mails with a known outcome",
    "canary": "of the canary's mails with a known outcome",
    "account": "of all mails of the last 24 hours with a known outcome",
}
_WHAT = {"bounce": "bounced for good", "complaint": "were reported as spam"}
_REMEDY = {
    "bounce": (
        "Many addresses don't exist: look where they come from and take doubtful ones off the "
        "list. Then resume it, or cancel it. Amazon reviews an account from 5 % on."
    ),
    "complaint": (
        "Readers didn't expect this mail: make sure that all of them asked for it. Then resume "
        "it, or cancel it. Amazon reviews an account from 0.1 % on."
    ),
}


def pause_reason(trip: Trip) -> str:
    """The figures and the remedy, in plain words."""
    return (
        f"Stopped to protect the account: {trip.count:,} of {trip.outcomes:,} "
        f"({_percent(trip.count / trip.outcomes)}) {_WHOSE[trip.scope]} {_WHAT[trip.rate]}; "
        f"allowed are {_percent(trip.limit)}. {_REMEDY[trip.rate]}"
    )


def _percent(share: float) -> str:
    return f"{share * 100:.2f}".rstrip("0").rstrip(".") + " %"


_CANARY = re.compile(r"(0?\.\d+),([1-9]\d{0,4}[smh])", re.ASCII)


def parse_canary(text: str) -> dict[str, Any]:
    """`0.02,15m` as mailouts.canary has it: a share of the audience, and how long to wait then.

    Raises InvalidRequest naming the form. The share is over 0 and at most 0.5.
    """
    match = _CANARY.fullmatch(text.replace(" ", ""))
    if match is None or not 0 < float(match[1]) <= 0.5:
        raise InvalidRequest(
            "canary: a share of at most 0.5 and a wait in s, m or h, such as 0.02,15m.",
            field="canary",
        )
    return {"share": float(match[1]), "wait": match[2]}
