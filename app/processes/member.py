"""A process as a part of a service: alone, or one of several under a supervisor."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from app.telemetry.counts import ALONE, Board
from app.telemetry.metrics import Metrics

BEAT_SECONDS = 5.0
"""Twice between two looks of the supervisor; more would only wake an idle machine."""


@dataclass(frozen=True)
class Member:
    """service_id: the sender stores its state under this id, and `/health` looks for it there."""

    service_id: UUID = field(default_factory=uuid4)
    board: Board = field(default_factory=Board)
    role: str = ALONE

    def beat(self) -> None:
        """Tell the supervisor, now and every BEAT_SECONDS, that the event loop still turns."""
        self.board.rows[self.role].beat()
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self.beat)

    @property
    def is_supervised(self) -> bool:
        return self.board.is_supervised

    def metrics(self, regions: Sequence[str]) -> Metrics:
        """The service's metrics; what this process counts, it counts for its role. regions: of
        SES, the same in each process."""
        return Metrics(self.board, self.role, regions)
