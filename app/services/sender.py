"""The sender: claim a batch, send it, record it; and the housekeeping around that.

All state is in the database. Any number of these may run on one database, share its mailouts and
one rate, and be killed at any moment.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import structlog

from app.adapters.ses import Fence, SesSender
from app.adapters.store import Store
from app.domain.backoff import Breaker
from app.domain.batches import Batch, Idle, Outcome, Result
from app.domain.lanes import Lane, Lanes
from app.domain.states import PauseCode
from app.errors import TemplateInvalid, Unavailable
from app.metrics import Metrics
from app.services.deliver import Deliver, Delivery
from app.services.metered_ses import MeteredSes
from app.services.prepare import MailBuilder, Prepared, prepare
from app.settings import Settings

log = structlog.get_logger(__name__)

BULK_CALLS = 16
"""Bulk calls in flight at once: 16 × 50 recipients ÷ 0.1 s is beyond any SES quota."""
SINGLE_CALLS = 32
SINGLE_BATCH = 8
"""Recipients claimed at once for SendEmail: as many as then are in flight, not more."""
CAREFUL_BATCH = 10
"""After a call whose outcome is unknown, until one succeeds: fewer recipients at stake."""
POLL_SECONDS = 1.0
FIRST_SLICE = 1_000
SLICE = 20_000
"""Subscribers queued per call: well under the 8 s that Supabase's API allows a statement."""
SHUTDOWN_SECONDS = 8.0
"""How long calls in flight may take after a stop was asked for; then they are `unknown`."""

_IDLE_REASONS: dict[str, tuple[PauseCode, str]] = {
    "quota": (
        "quota",
        "SES's daily quota is used up; the mailout goes on by itself as it frees.",
    ),
}
_HALTS: dict[str, tuple[PauseCode, str]] = {
    "quota": ("quota", "SES's daily quota is used up; the mailout goes on by itself as it frees."),
    "account": ("account", "SES does not let this account send; the mailout goes on by itself."),
    "configuration": (
        "account",
        "SES refuses the configuration; set it right and the mailout goes on by itself.",
    ),
}


class Sender:
    def __init__(
        self, store: Store, ses: SesSender, settings: Settings, metrics: Metrics | None = None
    ) -> None:
        assert settings.aws_region is not None
        self.id = uuid4()
        self._store = store
        self._settings = settings
        self._region = settings.aws_region
        self._builder = MailBuilder(settings)
        self._metrics = metrics or Metrics()
        self._deliver = Deliver(MeteredSes(ses, self._metrics), settings.ses_send_mode)
        self._lanes = Lanes(settings.ses_send_mode)
        self.breaker = Breaker()
        self._metrics.watch_breaker(lambda: self.breaker.state(time.monotonic()))
        self._prepared: dict[tuple[UUID, str], Prepared] = {}
        self._bulk_pool = ThreadPoolExecutor(BULK_CALLS, thread_name_prefix="ses-bulk")
        self._single_pool = ThreadPoolExecutor(SINGLE_CALLS, thread_name_prefix="ses-single")
        self._slots: dict[Lane, asyncio.Semaphore] = {
            "bulk": asyncio.Semaphore(BULK_CALLS),
            "single": asyncio.Semaphore(SINGLE_CALLS // SINGLE_BATCH),
        }
        self._in_flight: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._stopping = asyncio.Event()
        self.hung = False

    def wake(self) -> None:
        """There may be work now; don't wait for the next poll."""
        self._woken.set()

    def stop(self) -> None:
        """Claim nothing more; `run` returns when the calls in flight are recorded."""
        self._stopping.set()
        self._woken.set()

    async def run(self) -> None:
        """Work until `stop`. A part that fails is logged and tried again; the rest goes on."""
        structlog.contextvars.bind_contextvars(executor_id=str(self.id))
        log.info("sender_started", region=self._region)
        await self._forever(self._heartbeat, once=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._forever(self._heartbeat, self._settings.lease_seconds / 3))
            group.create_task(self._forever(self._upkeep, POLL_SECONDS, on_wake=True))
            await self._forever(self._dispatch, POLL_SECONDS, on_wake=True)
            await self._drain()
        log.info("sender_stopped")

    async def _forever(
        self,
        step: Callable[[], Awaitable[object]],
        seconds: float = 1.0,
        *,
        on_wake: bool = False,
        once: bool = False,
    ) -> None:
        """Run `step` again and again, `seconds` apart or (on_wake) when there is news."""
        failures = 0
        while not self._stopping.is_set():
            try:
                await step()
                failures = 0
                if once:
                    return
            except Unavailable as exc:
                failures += 1
                log.warning("sender_waits", step=step.__name__, error=exc.detail)
            except Exception:
                failures += 1
                log.exception("sender_step_failed", step=step.__name__)
            pause = seconds if not failures else min(10.0, 0.25 * 2.0**failures)
            await self._sleep(pause, self._woken if on_wake and not failures else self._stopping)

    async def _sleep(self, seconds: float, until: asyncio.Event) -> None:
        try:
            await asyncio.wait_for(until.wait(), seconds)
        except TimeoutError:
            return

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
        """Queue audiences slice by slice, and finish cancelling."""
        work = await self._store.sender_work()
        for mailout_id in work.queueing:
            await self._queue(mailout_id)
        for mailout_id in work.cancelling:
            while await self._store.cancel_recipients(mailout_id, SLICE):
                pass

    async def _queue(self, mailout_id: UUID) -> None:
        done, limit, total = False, FIRST_SLICE, 0
        while not done and not self._stopping.is_set():
            count, done = await self._store.queue_recipients(mailout_id, limit)
            if count == 0 and not done:
                return  # another sender has it
            total, limit = total + count, SLICE
            self._woken.set()
        log.info("recipients_queued", mailout_id=str(mailout_id), recipients=total)

    # Sending

    async def _dispatch(self) -> None:
        """Send until there is nothing to do now; mailouts take turns, batch by batch."""
        self._woken.clear()
        work = await self._store.sender_work()
        turns = [(i, True) for i in work.testing] + [(i, False) for i in work.sending]
        refreshed = time.monotonic()
        while turns and not self._stopping.is_set():
            if time.monotonic() - refreshed > POLL_SECONDS:
                return  # look for new work
            for turn in list(turns):
                if self._stopping.is_set():
                    return
                if not await self._take_turn(*turn):
                    turns.remove(turn)
        if self._in_flight and not self._stopping.is_set():
            # The last results may free more work (retries, a mailout to finish).
            await asyncio.wait(
                self._in_flight, return_when=asyncio.FIRST_COMPLETED, timeout=POLL_SECONDS
            )
            self._woken.set()

    async def _take_turn(self, mailout_id: UUID, test: bool) -> bool:
        """Claim and launch one batch of a mailout; False when it has nothing to do now."""
        lane = await self._open_lane()
        if lane is None:
            return False
        slots = self._slots[lane]
        await slots.acquire()
        if self._stopping.is_set():
            slots.release()
            return False
        try:
            claim = await self._store.claim_batch(
                mailout_id,
                self.id,
                region=self._region,
                test=test,
                limit=self._limit(lane),
            )
        except BaseException:
            slots.release()
            raise
        if isinstance(claim, Batch):
            self._lanes.started(lane, time.monotonic())
            task = asyncio.create_task(self._send(claim, lane))
            self._in_flight.add(task)
            task.add_done_callback(self._in_flight.discard)
            return True
        slots.release()
        return await self._idle(mailout_id, claim)

    async def _open_lane(self) -> Lane | None:
        """The lane for the next call, after waiting for a throttled or silent SES."""
        while not self._stopping.is_set():
            now = time.monotonic()
            wait = self.breaker.wait(now)
            if wait == 0 and self.breaker.probing and self._in_flight:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
                continue
            lane: Lane | None = None
            if wait == 0:
                lane, wait = self._lanes.choose(now)
            if lane is not None:
                return lane
            await self._sleep(min(wait, POLL_SECONDS), self._stopping)
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
            await self._sleep(min(idle.seconds, POLL_SECONDS), self._stopping)
            self._metrics.waited_for_tokens(time.monotonic() - started)
            return True
        if idle.reason == "skipped":
            return True
        if idle.reason == "empty":
            status = await self._store.finish_mailout(mailout_id)
            if status in {"sent", "failed"}:
                log.info("mailout_finished", mailout_id=str(mailout_id), status=status)
        elif idle.reason == "lease":
            await self._heartbeat()
        elif idle.reason in _IDLE_REASONS:
            await self._pause(mailout_id, *_IDLE_REASONS[idle.reason])
        return False

    async def _pause(self, mailout_id: UUID, code: PauseCode, reason: str) -> None:
        if (await self._store.pause_mailout(mailout_id, code, reason)).changed:
            log.warning("mailout_paused", mailout_id=str(mailout_id), reason=reason)

    async def _send(self, batch: Batch, lane: Lane) -> None:
        """Send one batch and record it. Whatever happens, each recipient gets a result."""
        structlog.contextvars.bind_contextvars(
            mailout_id=str(batch.mailout_id), attempt=str(batch.attempt_id)
        )
        fence = Fence(self._settings.lease_seconds / 2)
        started = time.monotonic()
        try:
            delivery = await self._call(batch, lane, fence)
            news = self._learn(delivery, lane)
            await self._record(batch, delivery.results)
            if news is not None:
                await self._store.note_waiting(news or None)
            for halt, message in delivery.halts.items():
                if halt in _HALTS and not batch.is_test:
                    code, reason = _HALTS[halt]
                    await self._pause(batch.mailout_id, code, f"{reason} SES said: {message}")
            log.info(
                "batch_sent",
                lane=lane,
                calls=delivery.calls,
                seconds=round(time.monotonic() - started, 3),
                **Counter[str](result.outcome for result in delivery.results),
            )
        except Unavailable as exc:
            log.warning("sender_waits", step="pause", error=exc.detail)
        except Exception:
            log.exception("batch_failed")
        finally:
            self._slots[lane].release()

    async def _call(self, batch: Batch, lane: Lane, fence: Fence) -> Delivery:
        try:
            prepared = await self._prepare(batch)
            sample = (
                await self._store.sample_subscriber(batch.mailout_id) if batch.is_test else None
            )
        except TemplateInvalid as exc:
            # It compiled when it was started, so the settings or this program have changed since.
            if not batch.is_test:
                await self._pause(
                    batch.mailout_id, "held", f"The content can't be sent: {exc.detail}"
                )
            return _for_all(batch, "failed" if batch.is_test else "requeue", exc.code, exc.detail)
        except Unavailable as exc:
            return _for_all(batch, "requeue", exc.code, exc.detail)
        build = partial(self._builder.build, prepared, batch, sample=sample)
        if batch.delay > 0:
            await asyncio.sleep(batch.delay)
        work = asyncio.get_running_loop().run_in_executor(
            self._bulk_pool, self._deliver, prepared, batch, build, lane, fence, self._single_pool
        )
        stopping = asyncio.create_task(self._stopping.wait())
        first: list[asyncio.Future[Any]] = [work, stopping]
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                await asyncio.wait({work}, timeout=SHUTDOWN_SECONDS)
        finally:
            stopping.cancel()
        if not work.done():
            self.hung = True
            return _for_all(
                batch,
                "unknown",
                "stopped",
                "SES had not answered when the process was stopped.",
            )
        try:
            return work.result()
        except Exception:
            # A fault of ours, somewhere around the call: what SES got can't be told.
            log.exception("delivery_failed")
            return _for_all(batch, "unknown", "internal", "The sender failed while sending.")

    async def _prepare(self, batch: Batch) -> Prepared:
        if batch.is_test:
            content, content_hash = await self._store.tested_content(batch.mailout_id)
            content_hash = f"test:{content_hash}"
        else:
            known = next(
                (
                    p
                    for (i, h), p in self._prepared.items()
                    if i == batch.mailout_id and not h.startswith("test:")
                ),
                None,
            )
            if known is not None:  # a started mailout's content never changes
                return known
            content, content_hash = await self._store.snapshot_content(batch.mailout_id)
        key = (batch.mailout_id, content_hash)
        if key not in self._prepared:
            while len(self._prepared) >= 8:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[key] = await asyncio.to_thread(
                prepare, self._settings, batch.mailout_id, content, test=batch.is_test
            )
        return self._prepared[key]

    def _learn(self, delivery: Delivery, lane: Lane) -> str | None:
        """Tell breaker and lanes how the call ended; what to say of it on running mailouts: a
        reason, nothing any more (""), or no news (None)."""
        now = time.monotonic()
        news: str | None = None
        if "unreachable" in delivery.halts:
            self.breaker.failed(now)
            if wait := self.breaker.wait(now):
                log.warning("ses_breaker_open", seconds=wait, error=delivery.halts["unreachable"])
                at = datetime.now(UTC) + timedelta(seconds=wait)
                news = f"Waiting for SES, which does not answer; next try at {at:%H:%M:%S} UTC."
        elif delivery.calls:
            if self.breaker.probing:
                log.info("ses_breaker_closed")
                news = ""
            self.breaker.succeeded()
        self._lanes.finished(
            lane,
            throttled="throttled" in delivery.halts,
            now=now,
            chance=random.random(),  # noqa: S311  jitter, no secret
        )
        return news

    async def _record(self, batch: Batch, results: tuple[Result, ...]) -> None:
        """Write the results down, however long the database is away: they exist nowhere else."""
        failures = 0
        deadline: float | None = None
        while True:
            try:
                status = await self._store.record_results(batch.attempt_id, results)
            except Unavailable as exc:
                failures += 1
                log.warning("results_wait", attempt=str(batch.attempt_id), error=exc.detail)
                if self._stopping.is_set():
                    deadline = deadline or time.monotonic() + SHUTDOWN_SECONDS
                    if time.monotonic() > deadline:
                        # The next sender finds the rows in `sending` and calls them unknown.
                        log.exception("results_lost", attempt=str(batch.attempt_id))
                        return
                await asyncio.sleep(min(5.0, 0.1 * 2.0**failures))
                continue
            if not batch.is_test:
                self._metrics.results_recorded(results)
            if status in {"sent", "failed"}:
                log.info("mailout_finished", mailout_id=str(batch.mailout_id), status=status)
            return

    async def _drain(self) -> None:
        """Let calls in flight end and be recorded, then sign off."""
        if self._in_flight:
            await asyncio.wait(set(self._in_flight))
        self._bulk_pool.shutdown(wait=False, cancel_futures=True)
        self._single_pool.shutdown(wait=False, cancel_futures=True)
        try:
            await self._store.leave(self.id)
        except Unavailable as exc:
            log.warning("sender_left_silently", error=exc.detail)


def _for_all(batch: Batch, outcome: Outcome, code: str, message: str) -> Delivery:
    """The same result for every recipient of a batch, without a call."""
    return Delivery(
        tuple(Result(r.send_log_id, outcome, code=code, message=message) for r in batch.recipients),
        {},
        0,
    )
