"""Looks at every domain that mail is sent from once a day, and says when a record has vanished.

One process does it for all, by a lease. The domains are those of SES_FROM_EMAIL and of the senders
that recent mailouts name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from app.domain.addresses import InvalidAddress
from app.domain.dns.sender import domain_of
from app.domain.dns.watched import Watched, compare, notice
from app.ports import Dns, FallbackSender, SesAccount
from app.running.loops import Loops
from app.services.domains.look import DomainLook, look_at
from app.settings import Settings
from app.store import Store
from app.store.domains import DueCheck
from app.store.telling.news import Way

log = structlog.get_logger(__name__)

POLL_SECONDS = 15.0
LEASE_SECONDS = 600.0
"""Longer than a look may take: 15 s of DNS, and SES asked a few times."""


class WatchDomains:
    """regions, providers: as of `look_at`. now: tells the time."""

    def __init__(
        self,
        store: Store,
        regions: Mapping[str, SesAccount],
        dns: Dns,
        settings: Settings,
        *,
        providers: Sequence[FallbackSender] = (),
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._regions = regions
        self._dns = dns
        self._providers = providers
        self._own = settings.ses_from_email
        self._ways: tuple[Way, ...] = (
            *(("mail",) if settings.owner_email else ()),
            *(("slack",) if settings.uses_slack else ()),
        )
        self._now = now

    def start(self, loops: Loops) -> None:
        loops.start("domains", self.step, POLL_SECONDS)

    def close(self) -> None:
        """When the loop has ended."""
        for provider in self._providers:
            provider.close()

    async def step(self) -> None:
        """Look at all that are due. Raises Unavailable of the database."""
        senders = senders_by_domain([self._own or "", *await self._store.sender_addresses()])
        while due := await self._store.claim_domain_check(senders, LEASE_SECONDS):
            seen = await look_at(due.address, self._regions, self._dns, self._providers)
            await self._keep(due, seen)

    async def _keep(self, due: DueCheck, seen: DomainLook) -> None:
        news = compare(
            Watched.from_stored(due.watched),
            seen.looks,
            self._now().isoformat(),
            asked=seen.asked,
            blind=seen.blind,
        )
        kept = await self._store.save_domain_check(
            due,
            {
                "asked": seen.asked,
                "looks": [look.to_stored() for look in seen.looks],
                "watched": news.watched.to_stored(),
            },
            next_seconds=news.next_seconds,
            notice=notice(due.domain, news),
            ways=self._ways,
        )
        if not kept:
            log.info("domain_look_lost", domain=due.domain)
            return
        for alarm in news.vanished:
            log.error(
                "dns_record_vanished",
                domain=due.domain,
                record=alarm.code,
                what=alarm.what,
                remedy=alarm.remedy,
            )
        for alarm in news.back:
            log.info("dns_record_back", domain=due.domain, record=alarm.code)
        log.info("domain_looked_at", domain=due.domain, verdict=seen.verdict.level)


def senders_by_domain(addresses: Iterable[str]) -> dict[str, str]:
    """The first address of each domain; those that have no public one are left out."""
    found: dict[str, str] = {}
    for address in addresses:
        try:
            found.setdefault(domain_of(address), address)
        except InvalidAddress:
            continue
    return found
