"""Who is next of several that share what one sender can do. Pure."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID


class Fairness:
    """Start-time fair queueing (Goyal, Vin and Cheng, 1996), of equal weights: whoever got least is
    next, however much each turn brings. Who had nothing to do for a while has no claim to what the
    others got meanwhile."""

    def __init__(self) -> None:
        self._got: dict[UUID, int] = {}
        self._level = 0  # what whoever was served last had got before

    def keep(self, mailouts: Collection[UUID]) -> None:
        """Forget all others."""
        self._got = {i: got for i, got in self._got.items() if i in mailouts}

    def standing(self, mailout: UUID) -> int:
        """The one with the least is next."""
        return max(self._level, self._got.get(mailout, 0))

    def serve(self, mailout: UUID, recipients: int) -> None:
        self._level = self.standing(mailout)
        self._got[mailout] = self._level + recipients
