"""A route is a way out for mail: an SES region or, while SES can't send, another provider.

Each has its own rate, quota and account (in the database), its own breaker and lanes, and a
dispatcher that claims for it. So a mailout is spread over the routes as each has tokens, and what
a route that is down doesn't claim, the others do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.domain.sending.backoff import Breaker
from app.domain.ses.region import SesRegion
from app.ports import SesClient
from app.running.loops import Trouble
from app.services.sending.account import AccountMonitor
from app.services.sending.dispatch import Dispatcher
from app.services.sending.send_batch import SendBatch
from app.store import Store


@dataclass(frozen=True)
class Outlet:
    """An SES region, and the client that reaches it."""

    region: SesRegion
    ses: SesClient

    @property
    def name(self) -> str:
        return self.region.name


@dataclass(frozen=True)
class Route:
    """wake: set when its dispatcher has more to do at once than the next poll would find."""

    name: str
    send: SendBatch
    dispatcher: Dispatcher
    wake: asyncio.Event

    @property
    def breaker(self) -> Breaker:
        return self.send.breaker

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        return (*self.send.troubles, *self.dispatcher.troubles)


@dataclass(frozen=True)
class SesRoute(Route):
    account: AccountMonitor

    @property
    def is_open(self) -> bool:
        """Whether it would take mail now, as far as this process knows."""
        account = self.account.account
        stopped = account is not None and not (account.can_send and account.quota_left >= 1)
        return not stopped and not self.breaker.probing


def for_tests(routes: Sequence[SesRoute], provider: str | None) -> str:
    """By which route test mails go now: the preferred one of those that would take mail; when none
    of SES's would, the provider whose turn it is, or the preferred one."""
    return next((route.name for route in routes if route.is_open), provider or routes[0].name)


@dataclass
class Waiting:
    """Shows on the mailouts that are sending why they wait for SES: on those that may take any
    route when none can send them, on those that are kept to one when that is silent.

    routes: all of this process, also providers in SES's place."""

    store: Store
    routes: tuple[str, ...]
    _silent: dict[str, str] = field(default_factory=dict)
    """Why, the latest last."""

    async def note(self, route: str, reason: str | None) -> None:
        """reason: why this route is silent; None: it isn't any more. Raises Unavailable."""
        self._silent.pop(route, None)
        if reason is not None:
            self._silent[route] = reason
        await self.store.note_waiting(reason, kept_to=route)
        if reason is None:
            await self.store.note_waiting(None)
        else:
            await self.look()

    async def look(self) -> None:
        """Whether somebody else can send changes without a word of the routes that are silent: he
        is blocked, or has used up his quota, or has got his turn. Raises Unavailable."""
        if self._silent:
            reason = list(self._silent.values())[-1]
            await self.store.note_silence(reason, routes=self.routes, silent=sorted(self._silent))
