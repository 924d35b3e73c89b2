"""The account's suppression list: addresses SES accepts mail for but doesn't send to."""

from __future__ import annotations

import time
from dataclasses import dataclass

from app.sandbox.ses.simulator import Reason


@dataclass(frozen=True, slots=True)
class Suppressed:
    """time: unix seconds of the last update."""

    address: str
    reason: Reason
    time: float

    def to_json(self) -> dict[str, object]:
        return {
            "EmailAddress": self.address,
            "Reason": self.reason,
            "LastUpdateTime": round(self.time, 3),
        }


class SuppressionList:
    """Addresses are compared without regard to case."""

    def __init__(self) -> None:
        self._by_address: dict[str, Suppressed] = {}

    def put(self, address: str, reason: Reason) -> None:
        self._by_address[address.lower()] = Suppressed(address, reason, time.time())

    def get(self, address: str) -> Suppressed | None:
        return self._by_address.get(address.lower())

    def reason(self, address: str) -> Reason | None:
        found = self._by_address.get(address.lower())
        return found.reason if found else None

    def remove(self, address: str) -> bool:
        """Whether the address was listed."""
        return self._by_address.pop(address.lower(), None) is not None

    def all(self) -> list[Suppressed]:
        return list(self._by_address.values())

    def clear(self) -> None:
        self._by_address.clear()
