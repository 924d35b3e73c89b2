"""The sender: claim a batch, send it, record it; and the housekeeping around that.

All state is in the database. Any number of these may run on one database, share its mailouts and
one rate, and be killed at any moment.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar
from uuid import UUID, uuid4

import structlog

from app.domain.sending.backoff import Breaker
from app.domain.sending.batches import Batch, Idle
from app.domain.sending.fence import Fence
from app.domain.sending.lanes import Lane
from app.errors import DatabaseError, Unavailable
from app.ports import Ses
from app.running.loops import Loops, Trouble
from app.running.stopping import Stopping
from app.services.sending.pausing import Guards, Pausing, guard_limits
from app.services.sending.send_batch import (
    BULK_CALLS,
    RECORD_SECONDS,
    SINGLE_BATCH,
    SINGLE_BATCHES,
    SendBatch,
)
from app.services.sending.upkeep import Upkeep
from app.services.watching.owner_mail import OwnerMail
from app.settings import Settings
from app.store import Store
from app.telemetry.metered_ses import MeteredSes
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

CAREFUL_BATCH = 10
"""After a call whose outcome is unknown, until one succeeds: fewer recipients at stake."""
CLAIMED_AT_ONCE = 8
"""Batches: beyond some thousand recipients a second, a commit per batch is what takes longest."""
POLL_SECONDS = 1.0
ORPHAN_SECONDS = 60.0
"""How long a claim whose answer never came is asked for: its commit may be late."""
LEAVE_SECONDS = 0.3

T = TypeVar("T")


class Sender:
    def __init__(
        self, store: Store, ses: Ses, settings: Settings, metrics: Metrics | None = None
    ) -> None:
        assert settings.aws_region is not None
        self.id = uuid4()
        self._store = store
        self._settings = settings
        self._region = settings.aws_region
        self._metrics = metrics or Metrics()
        self._stopping = Stopping()
        self._loops = Loops(self._stopping)
        self._work_to_send = asyncio.Event()
        self._work_to_queue = asyncio.Event()
        metered = MeteredSes(ses, self._metrics)
        self._pausing = Pausing(store, self._region)
        self._send = SendBatch(
            store, metered, settings, self._stopping, self._metrics, self._pausing
        )
        self._guards = Guards(store, guard_limits(settings))
        self._slices = Upkeep(store, self._work_to_send.set)
        self._owner_mail = OwnerMail(store, metered, settings) if settings.owner_email else None
        self._owner_pool = ThreadPoolExecutor(1, thread_name_prefix="ses-owner")
        self._slots: dict[Lane, asyncio.Semaphore] = {
            "bulk": asyncio.Semaphore(BULK_CALLS),
            "single": asyncio.Semaphore(SINGLE_BATCHES),
        }
        self._in_flight: set[asyncio.Task[None]] = set()
        self._reached: dict[UUID, int] = {}
        self._orphans: dict[UUID, float | None] = {}

    @property
    def breaker(self) -> Breaker:
        return self._send.breaker

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """What of the sender's work waits or fails now."""
        return (*self._loops.troubles, *self._send.troubles)

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
        beat = self._settings.lease_seconds / 3
        start = partial(self._loops.start, to_the_end=True)
        start("heartbeat", self._heartbeat, beat, vital=True)
        start("upkeep", self._upkeep, POLL_SECONDS, news=self._work_to_queue, vital=True)
        start("dispatch", self._dispatch, POLL_SECONDS, news=self._work_to_send, vital=True)
        if self._owner_mail is not None:
            start("tell_owner", self._tell_owner, POLL_SECONDS)

    def stop(self) -> None:
        """Claim nothing more; the calls in flight are recorded (see `close`)."""
        self._stopping.ask()

    async def close(self) -> None:
        """Stop, and return when the calls in flight are recorded and the sender has signed off,
        after stopping.GRACE_SECONDS at the latest."""
        await self._loops.close()
        await self._drain()
        log.info("sender_stopped", executor_id=str(self.id))

    # Housekeeping

    async def _heartbeat(self) -> None:
        await self._store.heartbeat(
            self.id,
            region=self._region,
            label=f"{socket.gethostname()}:{os.getpid()}",
            lease_seconds=self._settings.lease_seconds,
            rate_limit=self._settings.rate_limit_per_sec,
        )
        if lost := await self._store.recover_lost(self.id):
            self._metrics.recipients_lost(lost)
            log.warning("recipients_unknown", recipients=lost, because="their sender is gone")

    async def _upkeep(self) -> None:
        """Give back lost claims, and a slice of what else is under way (upkeep.py)."""
        await self._release_orphans()
        if await self._slices.take_turns():
            self._work_to_queue.set()

    async def _release_orphans(self) -> None:
        if not (asked := list(self._orphans)):
            return
        given_back = await self._store.release_batches(asked)
        now = time.monotonic()
        for attempt_id in asked:
            # Counted from the first answer: what is away commits nothing, but may later.
            since = self._orphans.pop(attempt_id, None) or now
            if attempt_id in given_back:
                log.info("claim_given_back", attempt=str(attempt_id))
                self._work_to_send.set()
            elif now - since < ORPHAN_SECONDS:
                self._orphans[attempt_id] = since

    async def _tell_owner(self) -> None:
        """Mail the owner what is due (owner_mail.py)."""
        assert self._owner_mail is not None
        while not self._stopping.asked and await self._owner_mail(self._answer):
            pass

    async def _answer(self, call: Callable[[], T]) -> T | None:
        """What a blocking call to SES gives; None: it hangs though a stop was asked for."""
        work = asyncio.get_running_loop().run_in_executor(self._owner_pool, call)
        return work.result() if await self._stopping.ended(work) else None

    # Sending

    async def _dispatch(self) -> None:
        """Send until there is nothing to do now; mailouts take turns, claim by claim."""
        work = await self._store.sender_work()
        turns = [(i, True) for i in work.testing] + [(i, False) for i in work.sending]
        looked = time.monotonic()
        self._reached.clear()  # now those that are to be tried again have their turn
        while turns and not self._stopping.asked:
            if time.monotonic() - looked > POLL_SECONDS:
                self._work_to_send.set()  # look for new work, and go on
                return
            for turn in list(turns):
                if not await self._try_turn(*turn):
                    turns.remove(turn)
        if self._in_flight and not self._stopping.asked:
            # The last results may free more work (retries, a mailout to finish).
            await asyncio.wait(
                self._in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS
            )
            self._work_to_send.set()

    async def _try_turn(self, mailout_id: UUID, test: bool) -> bool:
        """A turn, without letting one mailout's trouble become the others'."""
        try:
            return await self._take_turn(mailout_id, test)
        except Unavailable:
            raise
        except Exception:
            log.exception("sender_step_failed", step="turn", mailout_id=str(mailout_id))
            return False

    async def _take_turn(self, mailout_id: UUID, test: bool) -> bool:
        """Claim and launch a mailout's next batches; False when it has nothing to do now."""
        lane = await self._open_lane()
        if lane is None:
            return False
        slots = self._slots[lane]
        await slots.acquire()
        if self._stopping.asked:
            slots.release()
            return False
        if self.breaker.wait(time.monotonic()):  # it opened while a slot was waited for
            slots.release()
            return True
        # The attempts' ids are ours, so that a claim without an answer can be returned.
        attempts = [uuid4()]
        while len(attempts) < self._claims() and not slots.locked():
            await slots.acquire()
            attempts.append(uuid4())
        launched = 0
        try:
            # The fence counts from before the claim: the process may be stopped while it waits for
            # the answer.
            fence = Fence(self._settings.lease_seconds / 2)
            claim = await self._claim(mailout_id, attempts, lane, test=test)
            if isinstance(claim, Idle):
                if not test and claim.reason == "empty" and self._reached.pop(mailout_id, 0):
                    return True
                return await self._idle(mailout_id, claim)
            if not test:
                self._reached[mailout_id] = claim[-1].recipients[-1].send_log_id
            for batch in claim:
                self._send.lanes.started(lane, time.monotonic())
                task = asyncio.create_task(self._send(batch, lane, fence))
                self._in_flight.add(task)
                task.add_done_callback(lambda done: self._landed(done, slots))
                launched += 1
            return True
        finally:
            for _ in attempts[launched:]:
                slots.release()

    async def _claim(
        self, mailout_id: UUID, attempts: list[UUID], lane: Lane, *, test: bool
    ) -> tuple[Batch, ...] | Idle:
        try:
            return await self._store.claim_batches(
                mailout_id,
                self.id,
                attempts=attempts,
                region=self._region,
                test=test,
                limit=self._limit(lane),
                guards=self._guards.limits,
                after=self._reached.get(mailout_id, 0),
            )
        except BaseException as exc:
            # A refusal with a code is the database's own: nothing was committed.
            if not (isinstance(exc, DatabaseError) and exc.sqlstate):
                self._orphans.update(dict.fromkeys(attempts))
            raise

    def _claims(self) -> int:
        """How many batches one claim may take at most, if tokens are due for them. Just one until
        SES has answered, so that an outage costs few, or while bulk calls are a second apart."""
        limited = self._send.lanes.limited(time.monotonic())
        return CLAIMED_AT_ONCE if self.breaker.trusted and not limited else 1

    def _landed(self, done: asyncio.Task[None], slots: asyncio.Semaphore) -> None:
        self._in_flight.discard(done)
        slots.release()
        if not done.cancelled() and (error := done.exception()):
            log.error("batch_failed", exc_info=error)

    async def _open_lane(self) -> Lane | None:
        """The lane for the next call, after waiting for a throttled or silent SES."""
        while not self._stopping.asked:
            now = time.monotonic()
            wait = self.breaker.wait(now)
            if wait == 0 and self.breaker.probing and self._in_flight:
                await asyncio.wait(
                    self._in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS
                )
                continue
            lane: Lane | None = None
            if wait == 0:
                lane, wait = self._send.lanes.choose(now)
            if lane is not None:
                return lane
            await self._stopping.sleep(min(wait, POLL_SECONDS))
        return None

    def _limit(self, lane: Lane) -> int:
        if self.breaker.probing:
            return 1
        size = self._settings.batch_size if lane == "bulk" else SINGLE_BATCH
        return min(size, CAREFUL_BATCH) if self.breaker.failures else size

    async def _idle(self, mailout_id: UUID, idle: Idle) -> bool:
        """Nothing was claimed: wait, finish or pause. True: ask again."""
        if idle.reason == "wait":
            started = time.monotonic()
            await self._stopping.sleep(min(idle.seconds, POLL_SECONDS))
            self._metrics.waited_for_tokens(time.monotonic() - started)
            return True
        if idle.reason == "skipped":
            return True
        if idle.reason == "canary":
            return not await self._store.advance_canary(mailout_id, self._guards.limits)
        if idle.reason == "guard":
            await self._guards.enforce(mailout_id)
        if idle.reason in {"empty", "guard"}:
            status = await self._store.finish_mailout(mailout_id)
            if status in {"sent", "failed"}:
                log.info("mailout_finished", mailout_id=str(mailout_id), status=status)
        elif idle.reason == "lease":
            await self._heartbeat()
        elif idle.reason == "quota":
            await self._pausing.for_quota(mailout_id)
        return False

    async def _drain(self) -> None:
        """Let calls in flight end and be recorded, then sign off."""
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=self._stopping.left + RECORD_SECONDS)
        self._send.close()
        self._owner_pool.shutdown(wait=False, cancel_futures=True)
        try:
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._release_orphans()
                await self._store.leave(self.id)
        except Exception:  # its rows are called unknown once its lease is over
            log.warning("sender_left_silently", exc_info=True)
