"""The sender of a process: it starts, watches and ends the dispatcher (claim a batch, send it,
record it), the housekeeping around that, and mails of our own (to the owner, to those who sign up).

All state is in the database. Any number of senders may run on one database, share its mailouts and
one rate, and be killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Sequence
from functools import partial
from uuid import uuid4

import structlog

from app.domain.ses.region import SesRegion
from app.ports import BulkSender, FallbackSender
from app.running.loops import Loops, Trouble
from app.running.resting import Resting
from app.running.stopping import Stopping
from app.services.providers.watch import LOOK_SECONDS, WatchFallback
from app.services.sending import dispatch
from app.services.sending.account import AccountMonitor
from app.services.sending.drop_details import DropDetails
from app.services.sending.housekeeping import Housekeeping
from app.services.sending.notices import Way
from app.services.sending.pausing import Guards, Pausing, guard_limits
from app.services.sending.routes import Outlet, Route, SesRoute, Waiting, for_tests
from app.services.sending.send_batch import SendBatch
from app.services.signup.confirmation_mail import ConfirmationMail
from app.services.watching.owner_mail import OwnerMail
from app.settings import Settings
from app.store import Store
from app.telemetry.metered_provider import MeteredProvider
from app.telemetry.metered_ses import MeteredSes
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

WAITING_SECONDS = 5.0
"""Between two looks at who waits for routes that do not answer."""


class Sender:
    def __init__(
        self,
        store: Store,
        outlets: Sequence[Outlet],
        settings: Settings,
        metrics: Metrics | None = None,
        providers: Sequence[FallbackSender] = (),
        *,
        resting: Resting | None = None,
    ) -> None:
        """outlets: where mail may leave, the preferred one first; at least one. providers: in their
        place, in order. resting: as of Loops."""
        self.id = uuid4()
        self._store = store
        self._settings = settings
        self._stopping = Stopping()
        self._loops = Loops(self._stopping, resting=resting)
        self._work_to_queue = asyncio.Event()
        self._metrics = metrics = metrics or Metrics(regions=[outlet.name for outlet in outlets])
        names = tuple(outlet.name for outlet in outlets)
        self._housekeeping = Housekeeping(
            self.id,
            store,
            settings,
            metrics,
            routes=names,
            providers=[provider.name for provider in providers],
            wake=self._wake_routes,
        )
        self._drop_details = DropDetails(store, settings)
        self._fallback = WatchFallback(store, settings, regions=names, on_change=self._turn_changed)
        self._waiting = Waiting(store, (*names, *(provider.name for provider in providers)))
        self.routes = tuple(self._ses_route(outlet, names) for outlet in outlets)
        self.fallbacks = tuple(self._fallback_route(provider, names) for provider in providers)
        self._ways = [
            Way(outlet.name, MeteredSes(outlet.ses, metrics, outlet.name)) for outlet in outlets
        ]
        self._owner_mail: OwnerMail | None = None
        if settings.owner_email:
            self._owner_mail = OwnerMail(store, self._find_way, settings, self._stopping)
        self._confirmation_mail: ConfirmationMail | None = None
        if settings.signup and not settings.dry_run_send:
            self._confirmation_mail = ConfirmationMail(
                store, self._find_way, settings, self._stopping
            )

    def _ses_route(self, outlet: Outlet, names: tuple[str, ...]) -> SesRoute:
        metered = MeteredSes(outlet.ses, self._metrics, outlet.name)
        made = self._route(outlet.name, metered, names, region=outlet.region)
        account = AccountMonitor(self._store, metered, outlet.name, self.wake, made.breaker, names)
        return SesRoute(made.name, made.send, made.dispatcher, made.wake, account)

    def _fallback_route(self, provider: FallbackSender, names: tuple[str, ...]) -> Route:
        metered = MeteredProvider(provider, self._metrics)
        return self._route(provider.name, metered, (*names, provider.name), provider=provider)

    def _route(
        self,
        name: str,
        calls: BulkSender,
        names: tuple[str, ...],
        *,
        region: SesRegion | None = None,
        provider: FallbackSender | None = None,
    ) -> Route:
        """calls: what takes its mails. names: routes by which what it may not send could leave."""
        store, settings, metrics = self._store, self._settings, self._metrics
        pausing = Pausing(store, name, names)
        wake = asyncio.Event()
        send = SendBatch(
            store,
            calls,
            settings,
            self._stopping,
            metrics,
            pausing,
            region=region,
            provider=provider,
            note_waiting=partial(self._waiting.note, name),
            account_refused=partial(self._doubt_account, name),
        )
        dispatcher = dispatch.Dispatcher(
            self.id,
            store,
            settings,
            self._stopping,
            metrics,
            region=name,
            send=send,
            pausing=pausing,
            guards=Guards(store, guard_limits(settings)),
            housekeeping=self._housekeeping,
            work_to_send=wake,
            takes_tests=lambda: for_tests(self.routes, self._fallback.provider) == name,
        )
        return Route(name, send, dispatcher, wake)

    def _doubt_account(self, name: str) -> None:
        for route in self.routes:
            if route.name == name:
                route.account.doubt()

    @property
    def _all(self) -> tuple[Route, ...]:
        return (*self.routes, *self.fallbacks)

    async def _turn_changed(self) -> None:
        """Another provider has the turn, or none, or a mailout goes on."""
        self._wake_routes()
        await self._waiting.look()

    async def _send_in_turn(self, route: Route) -> None:
        """By a provider, while it is its turn. Raises Unavailable."""
        if self._fallback.provider == route.name:
            await route.dispatcher.send_what_is_due()

    def _find_way(self) -> Way:
        """For a mail of our own: the preferred region of those that would take it now."""
        ways = zip(self._ways, self.routes, strict=True)
        return next((way for way, route in ways if route.is_open), self._ways[0])

    @property
    def home(self) -> Route:
        return self.routes[0]

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What of the sender's work waits or fails now."""
        return (*self._loops.troubles, *(t for route in self._all for t in route.troubles))

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent now, in a sentence without its full stop; None: it can. A fault
        goes before an outage."""
        vital = sorted((t for t in self.troubles if t.is_vital), key=lambda t: not t.is_fault)
        return vital[0].detail if vital else None

    def wake(self) -> None:
        """There may be work now; don't wait for the next poll."""
        self._wake_routes()
        self._work_to_queue.set()

    def _wake_routes(self) -> None:
        for route in self._all:
            route.wake.set()

    def start(self) -> None:
        """Work until `close`, in loops that are watched (loops.py)."""
        # In a context of their own, so that only their log lines bear the sender's id.
        contextvars.copy_context().run(self._start)

    def _start(self) -> None:
        structlog.contextvars.bind_contextvars(executor_id=str(self.id))
        log.info("sender_started", regions=[route.name for route in self.routes])
        beat, poll = self._settings.lease_seconds / 3, dispatch.POLL_SECONDS
        start = partial(self._loops.start, to_the_end=True)
        start("heartbeat", self._housekeeping.heartbeat, beat, vital=True)
        look = partial(start, kind="mailouts")
        look("upkeep", self._keep_up, poll, news=self._work_to_queue, vital=True)
        for route in self.routes:
            name = "dispatch" if len(self.routes) == 1 else f"dispatch {route.name}"
            look(name, route.dispatcher.send_what_is_due, poll, news=route.wake, vital=True)
        start("waiting", self._waiting.look, WAITING_SECONDS)
        start("retention", self._drop_details.look, self._drop_details.pause)
        if self.fallbacks:
            start("fallback", self._fallback.look, LOOK_SECONDS)
        for other in self.fallbacks:
            send = partial(self._send_in_turn, other)
            look(f"dispatch {other.name}", send, poll, news=other.wake)
        if self._owner_mail is not None:
            start("tell_owner", self._owner_mail.send_due, poll, kind="owner")
        if self._confirmation_mail is not None:
            start("confirm_signups", self._confirmation_mail.send_due, poll, kind="signups")

    async def _keep_up(self) -> None:
        if await self._housekeeping.take_turns():
            self._work_to_queue.set()

    def stop(self) -> None:
        """Claim nothing more; the calls in flight are recorded (see `close`)."""
        self._stopping.ask()

    async def close(self) -> None:
        """Stop, and return when the calls in flight are recorded and the sender has signed off,
        after stopping.GRACE_SECONDS at the latest."""
        await self._loops.close()
        await asyncio.gather(*(route.dispatcher.drain() for route in self._all))
        for route in self._all:
            route.send.close()
        if self._owner_mail is not None:
            self._owner_mail.close()
        if self._confirmation_mail is not None:
            self._confirmation_mail.close()
        await self._housekeeping.sign_off()
        log.info("sender_stopped", executor_id=str(self.id))
