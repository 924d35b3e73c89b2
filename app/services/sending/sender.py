"""The sender of a process: it starts, watches and ends the dispatcher (claim a batch, send it,
record it), the housekeeping around that, and mails of our own (to the owner, to those who sign up).

All state is in the database. Any number of senders may run on one database, share its mailouts and
one rate, and be killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextvars
from functools import partial
from uuid import uuid4

import structlog

from app.domain.sending.backoff import Breaker
from app.ports import Ses
from app.running.loops import Loops, Trouble
from app.running.stopping import Stopping
from app.services.sending import dispatch
from app.services.sending.housekeeping import Housekeeping
from app.services.sending.pausing import Guards, Pausing, guard_limits
from app.services.sending.send_batch import SendBatch
from app.services.signup.confirmation_mail import ConfirmationMail
from app.services.watching.owner_mail import OwnerMail
from app.settings import Settings
from app.store import Store
from app.telemetry.metered_ses import MeteredSes
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class Sender:
    def __init__(
        self, store: Store, ses: Ses, settings: Settings, metrics: Metrics | None = None
    ) -> None:
        assert settings.aws_region is not None
        self.id = uuid4()
        self._settings = settings
        self._region = settings.aws_region
        self._stopping = Stopping()
        self._loops = Loops(self._stopping)
        self._work_to_send = asyncio.Event()
        self._work_to_queue = asyncio.Event()
        metrics = metrics or Metrics()
        metered = MeteredSes(ses, metrics)
        pausing = Pausing(store, self._region)
        self._send = SendBatch(store, metered, settings, self._stopping, metrics, pausing)
        self._housekeeping = Housekeeping(self.id, store, settings, metrics, self._work_to_send)
        self._dispatcher = dispatch.Dispatcher(
            self.id,
            store,
            settings,
            self._stopping,
            metrics,
            send=self._send,
            pausing=pausing,
            guards=Guards(store, guard_limits(settings)),
            housekeeping=self._housekeeping,
            work_to_send=self._work_to_send,
        )
        self._owner_mail: OwnerMail | None = None
        if settings.owner_email:
            self._owner_mail = OwnerMail(store, metered, settings, self._stopping)
        self._confirmation_mail: ConfirmationMail | None = None
        if settings.signup and not settings.dry_run_send:
            self._confirmation_mail = ConfirmationMail(store, metered, settings, self._stopping)

    @property
    def breaker(self) -> Breaker:
        return self._send.breaker

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What of the sender's work waits or fails now."""
        return (*self._loops.troubles, *self._send.troubles, *self._dispatcher.troubles)

    @property
    def trouble(self) -> str | None:
        """Why nothing can be sent now, in a sentence without its full stop; None: it can. A fault
        goes before an outage."""
        vital = sorted((t for t in self.troubles if t.is_vital), key=lambda t: not t.is_fault)
        return vital[0].detail if vital else None

    def wake(self) -> None:
        """There may be work now; don't wait for the next poll."""
        self._work_to_send.set()
        self._work_to_queue.set()

    def start(self) -> None:
        """Work until `close`, in loops that are watched (loops.py)."""
        # In a context of their own, so that only their log lines bear the sender's id.
        contextvars.copy_context().run(self._start)

    def _start(self) -> None:
        structlog.contextvars.bind_contextvars(executor_id=str(self.id))
        log.info("sender_started", region=self._region)
        beat, poll = self._settings.lease_seconds / 3, dispatch.POLL_SECONDS
        start = partial(self._loops.start, to_the_end=True)
        start("heartbeat", self._housekeeping.heartbeat, beat, vital=True)
        start("upkeep", self._keep_up, poll, news=self._work_to_queue, vital=True)
        send = self._dispatcher.send_what_is_due
        start("dispatch", send, poll, news=self._work_to_send, vital=True)
        if self._owner_mail is not None:
            start("tell_owner", self._owner_mail.send_due, poll)
        if self._confirmation_mail is not None:
            start("confirm_signups", self._confirmation_mail.send_due, poll)

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
        await self._dispatcher.drain()
        self._send.close()
        if self._owner_mail is not None:
            self._owner_mail.close()
        if self._confirmation_mail is not None:
            self._confirmation_mail.close()
        await self._housekeeping.sign_off()
        log.info("sender_stopped", executor_id=str(self.id))
