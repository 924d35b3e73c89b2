"""Looks at what mailbox providers answer: slows down those that defer, opens the days of warm-ups,
and says on mailouts that wait for one until when they do.

Of several senders one does, whichever comes first (pacing_turn). What it writes holds in every
claim, of whatever process (migrations/functions/pacing/limits.sql).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from app.domain.pacing.mailboxes import described
from app.domain.pacing.pace import TRUSTED_FOR, WINDOW_SECONDS, Figures, Pace, next_pace
from app.domain.pacing.ramp import Outcome, Thresholds, day_at, end_of, judge_day
from app.domain.pacing.words import waiting_reason
from app.running.loops import Loops
from app.settings import Settings
from app.store.pacing import PacingCalls

log = structlog.get_logger(__name__)

LOOK_SECONDS = 15.0
"""How often somebody looks."""
MOST_PACED = 100
"""Providers of a route that are slowed down at once: each claim compares domains with all of them.
When more defer, the route itself is what they mind."""
POLL_SECONDS = 3.0
"""How often each sender asks whether it is time to, and opens days: no mail of a warm-up goes out
between a day's end and the next one's opening."""


class KeepPacing:
    def __init__(self, store: PacingCalls, settings: Settings) -> None:
        self._store = store
        self._paces = settings.provider_pacing
        self._thresholds = Thresholds(settings.bounce_rate_pause, settings.complaint_rate_pause)
        self._said_so = True  # perhaps another sender did, which is gone

    def start(self, loops: Loops) -> None:
        # While nothing is sent there is nothing to slow down, and no mail for a day to open.
        loops.start("pacing", self.look, POLL_SECONDS, kind="mailouts")

    async def look(self, *, every_seconds: float = LOOK_SECONDS) -> None:
        """Costs a small query where nothing is paced and no warm-up runs."""
        warmups = await self._store.running_warmups()
        if self._paces or warmups:
            turn = await self._store.pacing_turn(
                every_seconds=every_seconds, window_seconds=WINDOW_SECONDS, mailboxes=described()
            )
            if turn is not None:
                if self._paces:
                    await self._keep_paces(turn)
                warmups = turn["warmups"]
        now = datetime.now().astimezone()
        opened = [await self._open_day(warmup, now) for warmup in warmups]
        if any(opened):
            warmups = await self._store.running_warmups()
        waits = list(_waits(warmups))
        if waits or self._said_so:
            await self._store.note_warmups(waits)
        self._said_so = bool(waits)

    async def _keep_paces(self, turn: Mapping[str, Any]) -> None:
        now = datetime.fromisoformat(turn["now"])
        before = {(row["region"], row["key"]): _pace(row) for row in turn["paces"]}
        figures = {
            (row["region"], row["key"]): Figures(
                int(row["delivered"]), int(row["deferred"]), float(row["rate"])
            )
            for row in turn["figures"]
        }
        paces = {}
        for route_key in before.keys() | figures.keys():
            pace = before.get(route_key)
            after = next_pace(pace, figures.get(route_key, Figures(0, 0, 0.0)), now)
            if after is not None:
                paces[route_key] = after
        paces = dict(_largest(paces))
        for route_key in sorted(before.keys() | paces.keys()):
            _log_change(*route_key, before.get(route_key), paces.get(route_key))
        await self._store.keep_paces([_row(*of, pace, now) for of, pace in paces.items()])

    async def _open_day(self, warmup: Mapping[str, Any], now: datetime) -> bool:
        """Open today, where it isn't open; the days between are none that counted."""
        zone = ZoneInfo(warmup["zone"])
        latest, today = warmup["day"], day_at(now, zone)
        step, held = int(warmup["step"]), None
        if latest is not None:
            if date.fromisoformat(latest["day"]) >= today:
                return False
            verdict = judge_day(
                latest["cap"], latest["used"], Outcome(**warmup["answers"]), self._thresholds
            )
            step, held = step + verdict.advances, verdict.why or None
        opened = await self._store.open_warmup_day(
            warmup["region"],
            started_at=warmup["started_at"],
            latest=None if latest is None else date.fromisoformat(latest["day"]),
            day=today,
            step=step,
            held=held,
            ends_at=end_of(today, zone),
        )
        if opened:
            log.info("warmup_day", route=warmup["region"], plan_day=step + 1, held=held)
        return opened


def _largest(
    paces: Mapping[tuple[str, str], Pace],
) -> Iterable[tuple[tuple[str, str], Pace]]:
    """Of each route the `MOST_PACED` that got most mail."""
    left: Counter[str] = Counter()
    for (region, key), pace in sorted(paces.items(), key=lambda one: (-one[1].ceiling, one[0])):
        left[region] += 1
        if left[region] <= MOST_PACED:
            yield (region, key), pace


def _waits(warmups: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    """The routes whose day is used up."""
    for warmup in warmups:
        day = warmup["day"]
        if day is not None and day["used"] >= day["cap"]:
            yield {
                "region": warmup["region"],
                "until": day["ends_at"],
                "reason": waiting_reason(
                    warmup["region"], day["cap"], datetime.fromisoformat(day["ends_at"])
                ),
            }


def _pace(row: Mapping[str, Any]) -> Pace:
    return Pace(
        rate=row["rate"],
        ceiling=row["ceiling"],
        since=datetime.fromisoformat(row["since"]),
        slowed_at=datetime.fromisoformat(row["slowed_at"]),
        raised_at=datetime.fromisoformat(row["raised_at"]),
        deferred=row["deferred"],
        answered=row["answered"],
    )


def _row(region: str, key: str, pace: Pace, now: datetime) -> dict[str, Any]:
    [mailboxes] = described([key])
    return {
        "region": region,
        **mailboxes,
        "rate": pace.rate,
        "ceiling": pace.ceiling,
        "since": pace.since.isoformat(),
        "slowed_at": pace.slowed_at.isoformat(),
        "raised_at": pace.raised_at.isoformat(),
        "deferred": pace.deferred,
        "answered": pace.answered,
        "until": (now + TRUSTED_FOR).isoformat(),
    }


def _log_change(region: str, key: str, before: Pace | None, after: Pace | None) -> None:
    if after is None and before is not None:
        log.info("provider_no_longer_slowed", route=region, provider=key)
    elif after is not None and (before is None or after.rate < before.rate):
        log.warning(
            "provider_slowed",
            route=region,
            provider=key,
            rate=round(after.rate, 3),
            deferred=after.deferred,
            answered=after.answered,
        )
