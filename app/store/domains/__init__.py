"""Calls the functions of `migrations/functions/domains/domain_checks.sql` by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.store.calls import Calls, require
from app.store.telling.news import Way


@dataclass(frozen=True)
class DueCheck:
    """claim: names who looks. watched: as `Watched.to_stored` has it."""

    domain: str
    address: str
    claim: int
    watched: dict[str, Any]


class DomainCalls(Calls):
    async def sender_addresses(self) -> list[str]:
        """Of mailouts of the last 90 days that name their own."""
        found: list[str] = await self._call("sender_addresses")
        return [address for address in found if isinstance(address, str)]

    async def claim_domain_check(
        self, senders: Mapping[str, str], lease_seconds: float
    ) -> DueCheck | None:
        """The domain whose turn it is; None: no domain's. senders: an address by its domain."""
        row = await self._call(
            "claim_domain_check",
            p_senders=[
                {"domain": domain, "address": address} for domain, address in senders.items()
            ],
            p_lease_seconds=lease_seconds,
        )
        if row is None:
            return None
        return DueCheck(row["domain"], row["address"], row["claim"], row["watched"])

    async def save_domain_check(
        self,
        due: DueCheck,
        result: Mapping[str, Any],
        *,
        next_seconds: float,
        notice: Mapping[str, Any] | None,
        ways: Sequence[Way],
    ) -> bool:
        """False: it was no longer ours, and nothing changed."""
        kept: bool = await self._call(
            "save_domain_check",
            p_domain=due.domain,
            p_claim=due.claim,
            p_result=dict(result),
            p_next_seconds=next_seconds,
            p_notice=None if notice is None else dict(notice),
            p_ways=list(ways),
        )
        return kept

    async def list_domain_checks(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = await self._call("list_domain_checks")
        for row in rows:
            require(row, "domain", "address", "next_at", "checked_at", "asked", "looks", "watched")
        return rows

    async def ask_domain_check(self, domain: str) -> bool:
        """False: it isn't watched."""
        known: bool = await self._call("ask_domain_check", p_domain=domain)
        return known

    async def domain_alarms(self) -> dict[str, Any] | None:
        """How many `domains` are watched, and their `alarms`; None: none was looked at yet."""
        row: dict[str, Any] | None = await self._call("domain_alarms")
        if row is not None:
            require(row, "domains", "alarms")
        return row
