"""From which shares on others act, as they publish it. Pure.

Sources: SES developer guide, "Reputation metrics messages" (under review from 5 % bounces and 0.1 %
complaints, sending may be paused from 10 % and 0.5 % on); Google's email sender guidelines and
Yahoo's sender hub (spam rate below 0.1 %, never 0.3 % or more).
"""

from __future__ import annotations

from dataclasses import dataclass

OVER_SHARE = 0.8
"""An alarm is over once the share is below this part of its limit: else one that stands at the
limit would come and go."""


@dataclass(frozen=True)
class Limit:
    """warn, fail: shares from which on. who: whose they are."""

    warn: float
    fail: float
    who: str


BOUNCES = Limit(0.05, 0.10, "Amazon reviews an account from 5 % on and may stop it from 10 % on.")
COMPLAINTS = Limit(
    0.001,
    0.003,
    "Amazon reviews an account from 0.1 % on; Gmail and Yahoo take 0.3 % as a spammer's.",
)
