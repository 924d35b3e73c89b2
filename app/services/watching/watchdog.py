"""What goes wrong without any error: no events come, or they are refused or match no mail; SES's
suppression list and the subscribers differ.

`watchdog_findings` is the one place that says so; health, metrics, dashboard and the log show it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from datetime import UTC, datetime, timedelta

import structlog

from app.domain.reports.watch import PATIENCE_SECONDS, WatchCode, WatchFinding, findings_of
from app.errors import AppError, Unavailable
from app.ports import SuppressionList
from app.running.loops import Loops
from app.store import Store

log = structlog.get_logger(__name__)

LOOK_SECONDS = 30.0
REMEMBERED = 10_000
REMEMBERED_SECONDS = 3_600.0
"""How many refused messages, and for how long."""
REPEAT_SECONDS = 3_600.0
"""A finding that stays is logged again after this time."""
PAGE_SECONDS = 1.0
"""Between two pages of the suppression list: SES allows one call a second for most of its API."""


async def watchdog_findings(
    store: Store, patience_seconds: float = PATIENCE_SECONDS
) -> list[WatchFinding]:
    """What is wrong now, the same in every process. Raises Unavailable."""
    return findings_of(await store.watchdog_figures(patience_seconds))


class Watchdog:
    """Says in the log what is new, and tells all of this process's refused messages."""

    def __init__(self, store: Store, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._store = store
        self._patience = patience_seconds
        self._refused: deque[tuple[float, str]] = deque(maxlen=REMEMBERED)
        self._said: dict[WatchCode, float] = {}

    def refused(self, error: AppError) -> None:
        """Remember a message of SNS that was refused for its signature or its topic."""
        self._refused.append((time.monotonic(), error.code))

    async def findings(self) -> list[WatchFinding]:
        """What is wrong now. Raises Unavailable.

        Anybody can have messages refused, so it counts only while events are missing, as a sign of
        what may be the reason.
        """
        findings = await watchdog_findings(self._store, self._patience)
        if not self._refused or not any(f.code == "events_missing" for f in findings):
            return findings
        since = time.monotonic() - REMEMBERED_SECONDS
        counts = Counter(code for at, code in self._refused if at > since)
        await self._store.record_refused_messages(counts)
        self._refused.clear()
        return await watchdog_findings(self._store, self._patience)

    async def look(self) -> None:
        """One round: log what is new or was long not said, and what is over. Raises Unavailable."""
        now = time.monotonic()
        findings = await self.findings()
        for code in self._said.keys() - {finding.code for finding in findings}:
            del self._said[code]
            log.info("watchdog_over", code=code)
        for finding in findings:
            if now - self._said.get(finding.code, float("-inf")) >= REPEAT_SECONDS:
                self._said[finding.code] = now
                log.warning("watchdog", code=finding.code, what=finding.what, remedy=finding.remedy)

    def start(self, loops: Loops) -> None:
        loops.start("watchdog", self.look, LOOK_SECONDS, first_after=LOOK_SECONDS)


class SuppressionWatch:
    """Compares SES's suppression list with the subscribers: hourly, one process for all."""

    def __init__(
        self, store: Store, source: SuppressionList, region: str, *, pause: float = PAGE_SECONDS
    ) -> None:
        self._store = store
        self._source = source
        self._region = region
        self._pause = pause

    def start(self, loops: Loops, name: str = "suppression") -> None:
        loops.start(name, self.look, LOOK_SECONDS, first_after=LOOK_SECONDS)

    async def look(self) -> None:
        """Compare if it is this process's turn. Raises Unavailable when the database is away."""
        if not await self._store.begin_suppression_check(self._region):
            return
        try:
            await self.compare()
        except Unavailable as exc:  # often a permission that isn't given
            log.info("suppression_check_failed", error=exc.detail)

    async def compare(self) -> None:
        """Page through the whole list and record the counts. Raises Unavailable.

        An address that came onto it within PATIENCE_SECONDS is not counted as `active` here: the
        event that says so may still be on its way.
        """
        late = datetime.now(UTC) - timedelta(seconds=PATIENCE_SECONDS)
        totals: Counter[str] = Counter()
        token: str | None = None
        while True:
            listed, token = await asyncio.to_thread(self._source.suppressed_page, token)
            settled = [one.email for one in listed if one.since < late]
            fresh = [one.email for one in listed if one.since >= late]
            totals.update(await self._store.compare_suppressed(settled), listed=len(listed))
            if fresh:
                totals["left"] += (await self._store.compare_suppressed(fresh))["left"]
            if token is None:
                break
            await asyncio.sleep(self._pause)
        await self._store.end_suppression_check(
            self._region, listed=totals["listed"], active=totals["active"], left=totals["left"]
        )
