"""Warm-ups, as people start, see and stop them; and how long a mailout takes beside them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.engagement.providers import provider_of
from app.domain.pacing.mailboxes import REST, described
from app.domain.pacing.plan import STANDARD_TARGET, Day, Plan, PlanInvalid, read_plan, standard_plan
from app.domain.pacing.ramp import Forecast, Ramp, day_at, forecast, together
from app.domain.pacing.words import on_day
from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.domain.untrusted import plain
from app.errors import InvalidRequest, WarmupNotRunning, WarmupRunning
from app.settings import Settings
from app.store import Store

SAMPLE = 2_000
"""Subscribers whose domains say how an audience is spread over providers."""


@dataclass(frozen=True)
class Warmups:
    store: Store
    settings: Settings

    @property
    def routes(self) -> tuple[str, ...]:
        """By which mail can go out, the preferred first."""
        regions = tuple(region.name for region in self.settings.ses_regions)
        return (*regions, *self.settings.fallback_providers)

    async def all(self) -> list[dict[str, Any]]:
        """As `list_warmups` gives them; each with `day_number` (of the plan, from 1), `plan_days`,
        `ends_on` (where every day counts; None: it is over) and `remains` (mails, today)."""
        return [described_warmup(row) for row in await self.store.list_warmups()]

    async def start(self, route: str, plan: Plan, *, by: str) -> dict[str, Any]:
        """From now on. Raises InvalidRequest for an unknown route, WarmupRunning."""
        if route not in self.routes:
            raise InvalidRequest(
                f"{plain(route, 40)} is no route of this service: name one of "
                f"{', '.join(self.routes)}."
                if self.routes
                else "This service has no route yet: set AWS_REGION or SES_REGIONS."
            )
        started = await self.store.start_warmup(
            route,
            plan=[day.to_row() for day in plan],
            mailboxes=described(dict.fromkeys(key for day in plan for key in day.providers)),
            zone=self.settings.timezone,
            by=by,
        )
        if started["outcome"] == "running":
            raise WarmupRunning(f"{route} is being warmed up already: stop that first.")
        return described_warmup(started["warmup"])

    async def stop(self, route: str, *, by: str) -> None:
        """Without caps from now on. Raises WarmupNotRunning."""
        if not await self.store.stop_warmup(route, by=by):
            raise WarmupNotRunning(f"{route} isn't being warmed up.")

    async def findings(self, mailout_id: UUID, recipients: int) -> list[Finding]:
        """What a preflight says of the warm-ups that this mailout meets."""
        overview = await self.store.pacing_overview(mailout_id)
        running = {w["region"]: w for w in overview["warmups"] if w["state"] == "running"}
        kept = overview.get("kept")
        routes = [
            region.name for region in self.settings.ses_regions if kept in (None, region.name)
        ]
        warming = [name for name in routes if name in running]
        if not recipients or not warming:
            return []
        if free := [name for name in routes if name not in running]:
            return [
                Finding(
                    "ok",
                    f"{_listed(warming)} is being warmed up; what that may not send goes out by "
                    f"{_listed(free)}.",
                )
            ]
        ramp = together([ramp_of(running[name]) for name in warming])
        spread = await self._spread(mailout_id, recipients, ramp)
        return [_finding(forecast(ramp, spread), recipients, warming, self.settings.timezone)]

    async def _spread(self, mailout_id: UUID, recipients: int, ramp: Ramp) -> dict[str, int]:
        """The audience by those mailboxes that have a cap, from a sample."""
        capped = {key for day in ramp.plan for key in day.providers}
        if not capped:
            return {REST: recipients}
        rows, _ = await self.store.audience_slice(mailout_id, UUID(int=0), SAMPLE)
        keys = Counter(_key(row["address"] or "", capped) for row in rows)
        if not rows:
            return {REST: recipients}
        spread = {key: round(recipients * count / len(rows)) for key, count in keys.items()}
        spread[REST] = recipients - sum(n for key, n in spread.items() if key != REST)
        return spread


def _key(address: str, capped: set[str]) -> str:
    domain = address.rpartition("@")[2].lower()
    key = provider_of(domain) or domain
    return key if key in capped else REST


def _finding(expected: Forecast, recipients: int, warming: Sequence[str], timezone: str) -> Finding:
    routes = _listed(warming)
    if expected.days == 1:
        return Finding("ok", f"The warm-up of {routes} has room for it today.")
    remedy = (
        "send to fewer people first, those who open and click, or start the warm-up with a "
        "faster plan; who waits is mailed by itself."
    )
    if expected.days is None:
        return Finding(
            "warn", f"At the warm-up of {routes} this mailout doesn't come to an end.", remedy
        )
    zone = ZoneInfo(timezone)
    last = day_at(datetime.now(zone), zone) + timedelta(days=expected.days - 1)
    return Finding(
        "warn",
        f"This mailout to {plural(recipients, 'recipient')} takes {expected.days} days at the "
        f"warm-up of {routes}, up to {on_day(last.isoformat())}.",
        remedy,
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def asked_plan(*, target: int | None = None, rows: Any = None) -> Plan:
    """The plan that somebody asks for: days of their own, or the standard plan. Raises
    InvalidRequest."""
    try:
        if rows is not None:
            return read_plan(rows)
        return standard_plan(STANDARD_TARGET if target is None else target)
    except PlanInvalid as exc:
        raise InvalidRequest(f"The plan can't be used: {exc}.") from exc


def plan_of(rows: Iterable[Mapping[str, Any]]) -> Plan:
    """Of a plan that is stored."""
    return tuple(Day(row["total"], row.get("providers") or {}) for row in rows)


def ramp_of(warmup: Mapping[str, Any]) -> Ramp:
    today = warmup["today"] or {"used": 0, "used_by": {}}
    return Ramp(plan_of(warmup["plan"])[warmup["step"] :], today["used"], today["used_by"])


def described_warmup(row: Mapping[str, Any]) -> dict[str, Any]:
    plan, today = row["plan"], row["today"]
    is_running = row["state"] == "running"
    zone = ZoneInfo(row["zone"])
    left = len(plan) - row["step"] - 1
    ends_on = day_at(datetime.now(zone), zone) + timedelta(days=left)
    return {
        **row,
        "day_number": min(row["step"] + 1, len(plan)),
        "plan_days": len(plan),
        "ends_on": ends_on.isoformat() if is_running else None,
        "remains": today["cap"] - today["used"] if is_running and today else None,
    }
