"""Asks Amazon, and block lists in DNS, how the sender stands in one region.

Whatever doesn't answer is `unknown`, with its reason: nothing is raised, and the rest is asked all
the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from app.domain.sending.batches import Account
from app.domain.standing import vdm
from app.domain.standing.blocklists import Listing
from app.domain.standing.told import (
    Advice,
    DedicatedIp,
    IspFigures,
    Part,
    RegionStanding,
    off,
    told,
    unknown,
)
from app.errors import Unavailable
from app.ports import Dns, Standing
from app.services.checks.asking import ask, remedy_for
from app.services.standing.block_lists import look_up

VDM_EVERY = timedelta(hours=20)
"""The Virtual Deliverability Manager counts whole days: once a day is enough, and its questions may
cost something."""
SHARED = "this account has no dedicated addresses; those that it shares are Amazon’s to watch"
NO_VDM = "the Virtual Deliverability Manager is not on"

T = TypeVar("T")


@dataclass(frozen=True)
class Lists:
    """Block lists that are asked in DNS."""

    dns: Dns
    zones: Sequence[str]


@dataclass(frozen=True)
class Collect:
    """lists: None: DNSBL_ZONES isn't set."""

    lists: Lists | None

    async def __call__(
        self, region: str, ses: Standing, before: RegionStanding | None, now: datetime
    ) -> RegionStanding:
        """before: what was told at the last look, of which VDM's figures are kept for a day."""
        try:
            account: Account | None = await ask(ses.get_account)
        except Unavailable as exc:
            account, why = None, _why(exc)
        else:
            why = ""
        entities = await _part(ses.entities)
        ips: Part[DedicatedIp] = await _part(ses.dedicated_ips)
        found = RegionStanding(
            region,
            account,
            why,
            entities,
            ips,
            await self._dnsbl(ips),
            await _aws_lists(ses, ips),
            await _advice(ses, account, why),
        )
        return await _isps(ses, found, before, now)

    async def _dnsbl(self, ips: Part[DedicatedIp]) -> Part[Listing]:
        if self.lists is None:
            return off("`DNSBL_ZONES` is not set")
        if (missing := _without(ips)) is not None:
            return missing
        addresses = [one.ip for one in ips.items]
        return told(await look_up(addresses, self.lists.zones, self.lists.dns))


async def _aws_lists(ses: Standing, ips: Part[DedicatedIp]) -> Part[Listing]:
    if (missing := _without(ips)) is not None:
        return missing
    try:
        if not await ask(ses.has_dashboard):
            return off("Amazon’s deliverability dashboard is not on")
    except Unavailable as exc:
        return unknown(_why(exc))
    return await _part(ses.blacklists, [one.ip for one in ips.items])


def _without(ips: Part[DedicatedIp]) -> Part[Any] | None:
    """Why no list can be asked; None: there are addresses to ask for."""
    if not ips.is_told:
        return unknown(f"the dedicated addresses aren’t known: {ips.why}")
    return None if ips.items else off(SHARED)


async def _advice(ses: Standing, account: Account | None, why: str) -> Part[Advice]:
    if account is None:
        return unknown(why)
    if account.engagement_metrics is None:
        return off(NO_VDM)
    return await _part(ses.advice)


async def _isps(
    ses: Standing, found: RegionStanding, before: RegionStanding | None, now: datetime
) -> RegionStanding:
    account = found.account
    if account is None:
        kept = before.isps if before and before.isps.is_told else unknown(found.account_why)
        return replace(found, isps=kept, isps_at=before.isps_at if before else "")
    if account.engagement_metrics is None:
        return replace(found, isps=off(NO_VDM))
    if before and before.isps.is_told and _is_recent(before.isps_at, now):
        return replace(found, isps=before.isps, isps_at=before.isps_at)
    try:
        figures = await _figures(ses, now, engagement=account.engagement_metrics)
    except Unavailable as exc:
        return replace(found, isps=unknown(_why(exc)))
    return replace(found, isps=told(figures), isps_at=now.isoformat())


def _is_recent(at: str, now: datetime) -> bool:
    return bool(at) and now - datetime.fromisoformat(at) < VDM_EVERY


async def _figures(ses: Standing, now: datetime, *, engagement: bool) -> tuple[IspFigures, ...]:
    calls = vdm.queries(engagement=engagement)
    sums: dict[str, int | None] = {}
    for call in calls:
        sums |= await ask(ses.metrics, call, *vdm.interval(now))
    return vdm.figures(calls, sums)


async def _part(question: Callable[..., list[T]], *arguments: Any) -> Part[T]:
    try:
        return told(await ask(question, *arguments))
    except Unavailable as exc:
        return unknown(_why(exc))


def _why(exc: Unavailable) -> str:
    return f"{exc.detail.rstrip('.')}; {remedy_for(exc.detail).rstrip('.')}"
