"""Looks at the sender's standing once an hour, as a background job, and says what is new.

One process does it for all regions. What is found goes with the alarms and what the owner is told
of them into one transaction, and only if no other look was faster: so nothing is told twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from app.domain.standing.alarms import News, compare, notice, stored_alarms
from app.domain.standing.judge import judge
from app.domain.standing.rates import WINDOWS, ProviderRates, by_provider, rates
from app.domain.standing.told import RegionStanding
from app.ports import Standing
from app.running.loops import Loops
from app.services.jobs.runner import Kind, Running
from app.services.standing.collect import Collect, Lists
from app.settings import Settings
from app.store import Store
from app.store.telling.news import Way

log = structlog.get_logger(__name__)

EVERY_SECONDS = 3_600.0
POLL_SECONDS = 60.0
SLICE = 20_000
"""Events that are counted in one call."""
LATE_SECONDS = 300.0
"""Events wait so long for their row, and for those that were stored at the same time."""

Save = Callable[[], Awaitable[None]]


async def _unsaved() -> None:
    return None


@dataclass(frozen=True)
class Look:
    """kept: whether it was the first to say so."""

    regions: tuple[RegionStanding, ...]
    news: News
    kept: bool


class LookAtStanding:
    """open_ses: makes the client for a region. now: tells the time."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        open_ses: Callable[[Settings, str], Standing],
        lists: Lists | None,
        *,
        late_seconds: float = LATE_SECONDS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._settings = settings
        self._open_ses = open_ses
        self._collect = Collect(lists)
        self._late_seconds = late_seconds
        self._ways: tuple[Way, ...] = (
            *(("mail",) if settings.owner_email else ()),
            *(("slack",) if settings.uses_slack else ()),
        )
        self._now = now
        self._clients: dict[str, Standing] = {}

    @property
    def kind(self) -> Kind:
        return Kind("standing", self.as_job)

    def start(self, loops: Loops, wake: Callable[[], None]) -> None:
        """Have a look done when one is due. wake: the jobs'."""

        async def step() -> None:
            if await self._store.queue_standing(EVERY_SECONDS):
                wake()

        loops.start("standing", step, POLL_SECONDS, first_after=POLL_SECONDS)

    async def as_job(self, running: Running) -> dict[str, Any]:
        found = await self.look(running.save)
        return {
            "regions": len(found.regions),
            "alarms": len(found.news.alarms),
            "new": len(found.news.begun),
            "over": len(found.news.over),
        }

    async def look(self, save: Save = _unsaved) -> Look:
        """save: called between its steps. Raises Unavailable of the database, JobLost."""
        await self._count(save)
        before = await self._store.show_standing()
        earlier = {row["region"]: row["sample"] for row in before["regions"]}
        names = [region.name for region in self._settings.ses_regions]
        regions = await asyncio.gather(*(self._region(name, earlier) for name in names))
        await save()
        judged = judge(regions, await self._rates())
        news = compare(stored_alarms(before["alarms"]), judged, self._now().isoformat())
        kept = await self._store.save_standing(
            before["revision"],
            {one.region: one.to_stored() for one in regions},
            news.to_stored(),
            notice(news),
            self._ways,
        )
        if kept:
            _say(news)
        else:
            log.info("standing_look_lost")
        return Look(tuple(regions), news, kept)

    async def _region(self, name: str, earlier: Mapping[str, Any]) -> RegionStanding:
        before = RegionStanding.from_stored(name, earlier[name]) if name in earlier else None
        if name not in self._clients:
            self._clients[name] = await asyncio.to_thread(self._open_ses, self._settings, name)
        return await self._collect(name, self._clients[name], before, self._now())

    async def _rates(self) -> dict[int, Sequence[ProviderRates]]:
        found = await self._store.provider_figures(WINDOWS, 0)
        return rates_by_window(found)

    async def _count(self, save: Save) -> None:
        """Count the events that came since the last look, by mailbox provider."""
        while True:
            found = await self._store.uncounted_events(SLICE, self._late_seconds)
            if found.last > found.first:
                await self._store.add_provider_events(found, by_provider(found.counts))
            if not found.more:
                return
            await save()


def rates_by_window(found: Mapping[str, Any]) -> dict[int, Sequence[ProviderRates]]:
    """found: what `provider_figures` gives."""
    return {
        days: rates([row for row in found["windows"] if row["window"] == days], found["complained"])
        for days in WINDOWS
    }


def _say(news: News) -> None:
    for alarm in news.begun:
        log_it = log.error if alarm.level == "fail" else log.warning
        log_it("standing_alarm", code=alarm.code, what=alarm.what, remedy=alarm.remedy)
    for alarm in news.over:
        log.info("standing_alarm_over", code=alarm.code)
