"""A process as a part of a service: alone, or one of several under a supervisor."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID, uuid4

from app.telemetry.counts import ALONE, Board
from app.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Member:
    """service_id: the sender stores its state under this id, and `/health` looks for it there."""

    service_id: UUID = field(default_factory=uuid4)
    board: Board = field(default_factory=Board)
    role: str = ALONE

    @property
    def is_supervised(self) -> bool:
        return self.board.is_supervised

    def metrics(self) -> Metrics:
        """The service's metrics; what this process counts, it counts for its role."""
        return Metrics(self.board, self.role)
