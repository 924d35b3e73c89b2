"""Results are written down, however long the database is away: they exist nowhere else."""

from __future__ import annotations

import asyncio
from typing import Literal
from uuid import UUID

import structlog

from app.domain.sending.backoff import backoff_seconds
from app.domain.sending.batches import Batch, Result
from app.errors import Unavailable
from app.running.loops import Trouble
from app.running.stopping import Stopping
from app.services.sending.recording.groups import Groups
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

RECORD_TRIES = 5
"""How often the database may refuse a record. An outage is no refusal, however long it lasts."""
RECORD_CAP_SECONDS = 5.0
"""Between two tries to record, at most."""
RECORD_SECONDS = 1.0
"""At a stop, how long recording may take after the deadline at which the last call is given up."""

Recording = Literal["recorded", "refused", "away"]


class Record:
    """Of all batches of a route; those that come at the same time go in groups (groups.py)."""

    def __init__(self, store: Store, stopping: Stopping, metrics: Metrics) -> None:
        self._groups = Groups(store)
        self._stopping = stopping
        self._metrics = metrics
        self._troubles: dict[UUID, Trouble] = {}  # by attempt: why it isn't recorded

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Why results can't be recorded now."""
        return tuple(self._troubles.values())[:1]

    def close(self) -> None:
        self._groups.close()

    async def __call__(self, batch: Batch, results: tuple[Result, ...]) -> None:
        """Return when they are recorded, or at the deadline of a stop.

        What the database refuses again and again, for whatever reason, ends as `unknown`. Each time
        the results are tried first: where it refuses us and not what we write (a changed key, a
        missing right), it refuses `unknown` as well, and later takes the results.
        """
        failures = refusals = 0
        while True:
            # Whoever comes again comes alone, so that what is wrong with one isn't the others'.
            recording = await self._try(batch, results, alone=failures > 0)
            refusals += recording == "refused"
            if recording == "refused" and refusals >= RECORD_TRIES:
                recording = await self._try(batch, _unrecorded(batch), alone=True)
            if recording == "recorded":
                self._troubles.pop(batch.attempt_id, None)
                return
            failures += 1
            if self._stopping.asked and self._stopping.left == 0:
                # The next sender finds the rows in `sending` and calls them unknown.
                log.error("results_lost", recipients=len(results))
                return
            await self._stopping.sleep(
                backoff_seconds(failures, 1.0, base=0.2, cap=RECORD_CAP_SECONDS)
            )
            if self._stopping.asked:
                await asyncio.sleep(min(0.2, self._stopping.left))

    async def _try(self, batch: Batch, results: tuple[Result, ...], *, alone: bool) -> Recording:
        limit = max(RECORD_SECONDS, self._stopping.left) if self._stopping.asked else None
        try:
            async with asyncio.timeout(limit):
                await self._groups.record(batch, results, alone=alone)
        except (Unavailable, TimeoutError) as exc:
            log.warning("results_wait", error=str(exc))
            self._note_trouble(batch, str(exc) or "The database is away", is_fault=False)
            return "away"
        except Exception:
            log.exception("results_refused")
            self._note_trouble(
                batch, "The database refuses to take the answers down", is_fault=True
            )
            return "refused"
        try:
            if not batch.is_test:
                self._metrics.results_recorded(results)
        except Exception:  # the results are recorded all the same
            log.exception("results_not_counted")
        return "recorded"

    def _note_trouble(self, batch: Batch, detail: str, *, is_fault: bool) -> None:
        self._troubles[batch.attempt_id] = Trouble("record", detail, is_fault, is_vital=True)


def _unrecorded(batch: Batch) -> tuple[Result, ...]:
    words = "The database refused to take the answer down."
    return tuple(
        Result(r.send_log_id, "unknown", code="record_refused", message=words)
        for r in batch.recipients
    )
