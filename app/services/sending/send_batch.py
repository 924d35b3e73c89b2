"""One claimed batch: prepare its content, have it delivered, learn from the call, record it.

Whatever happens, each recipient of the batch gets a result: the rows stand as `sending` in the
database, and nobody else may touch them while this process lives.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from app.domain.mailouts import MailoutContent
from app.domain.sending.backoff import Breaker
from app.domain.sending.batches import Batch, Outcome, Result
from app.domain.sending.fence import Fence
from app.domain.sending.lanes import Lane, Lanes
from app.domain.ses.answers import Halt
from app.domain.ses.region import SesRegion
from app.errors import AppError, MailoutNotFound, TemplateInvalid, Unavailable
from app.ports import BulkSender, FallbackSender
from app.running.loops import Trouble
from app.running.stopping import Stopping
from app.services.providers.writings import Writings
from app.services.rendering import tasks
from app.services.rendering.renderer import RENDERER, Renderer
from app.services.sending.deliver import Deliver, Delivery
from app.services.sending.pausing import Pausing, silence_reason
from app.services.sending.prepare import MailBuilder, Prepared, prepare
from app.services.sending.recording.record import Record
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

BULK_CALLS = 16
"""Bulk calls in flight at once: 16 × 50 recipients ÷ 0.1 s is beyond any SES quota. As many may end
as `unknown` when a process is killed, or SES hangs."""
FAST_BULK_CALLS = 24
"""The same where their 1,200 recipients are a quarter of a second's at most. One `serve` sent
a seventh more with them (docs/performance.md, "What the limit is")."""
FAST_RATE = FAST_BULK_CALLS * 50 / 0.25
"""Recipients a second."""
SINGLE_CALLS = 32
SINGLE_BATCH = 8
"""Recipients claimed at once for SendEmail: as many as then are in flight, not more."""
SINGLE_BATCHES = SINGLE_CALLS // SINGLE_BATCH
KEPT_CONTENTS = 32
"""Compiled contents that stay in memory, of the mailouts that were prepared last. When more are
being sent side by side, each turn of one prepares anew what another one's put away."""
CONTENT_AWAY_SECONDS = 2.0
"""How long the recipients of a batch wait whose content could not be read, because the database was
away."""
PREPARE_AGAIN_SECONDS = 1.0
"""After content could not be prepared. Where the claim of the batch that is let through fails, too,
nobody's batch would slow the tries down."""
OUR_FAULT_SECONDS = 30.0
"""How long the recipients of a batch wait that a fault of this program kept from being sent."""


def bulk_calls(rate: float) -> int:
    """How many may be in flight by a route that is granted `rate` recipients a second."""
    return FAST_BULK_CALLS if rate >= FAST_RATE else BULK_CALLS


class SendBatch:
    """breaker, lanes: shared with the dispatcher, which asks them before it claims."""

    def __init__(
        self,
        store: Store,
        ses: BulkSender,
        settings: Settings,
        stopping: Stopping,
        metrics: Metrics,
        pausing: Pausing,
        renderer: Renderer = RENDERER,
        *,
        region: SesRegion | None = None,
        provider: FallbackSender | None = None,
        note_waiting: Callable[[str | None], Awaitable[None]] | None = None,
        account_refused: Callable[[], None] = lambda: None,
    ) -> None:
        """ses: of `region` (None: home), or who calls `provider` in its place. note_waiting: told
        why this route is silent, and None when it no longer is. account_refused: called when it
        lets the account send nothing."""
        self._region = region or settings.home
        self._name: str = provider.name if provider else self._region.name
        self._note_waiting = note_waiting or store.note_waiting
        self._account_refused = account_refused
        self._renderer = renderer
        self.breaker = Breaker()
        # What makes SES carry some mails by SendEmail is no rule of others.
        self.lanes = Lanes("bulk" if provider else settings.ses_send_mode)
        self._store = store
        self._settings = settings
        self._stopping = stopping
        self._metrics = metrics
        self._pausing = pausing
        self._builder = MailBuilder(settings)
        self._deliver = (
            Deliver(ses, "auto", Writings(provider))
            if provider
            else Deliver(ses, settings.ses_send_mode)
        )
        self._prepared: dict[tuple[UUID, str], Prepared] = {}
        self._preparing: dict[UUID, asyncio.Task[Prepared]] = {}
        self._unprepared: set[UUID] = set()  # mailouts whose content could not be prepared
        self._prepare_at: dict[UUID, float] = {}  # when it is tried again, monotonic
        self._record = Record(store, stopping, metrics)
        self._pool = ThreadPoolExecutor(
            FAST_BULK_CALLS + SINGLE_BATCHES, thread_name_prefix="ses-batch"
        )
        self._single_pool = ThreadPoolExecutor(SINGLE_CALLS, thread_name_prefix="ses-single")

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """Why results can't be recorded now."""
        return self._record.troubles

    def keeps(self, mailout_id: UUID) -> bool:
        """Whether its content is in memory (KEPT_CONTENTS)."""
        return (mailout_id, "") in self._prepared

    def is_ready(self, mailout_id: UUID, when_ready: Callable[[], None]) -> bool:
        """Whether recipients may be claimed. If not, the content is being prepared, and
        `when_ready` is called at the end.

        Who is claimed has taken tokens. Were the content prepared only then, all that was claimed
        meanwhile, by several senders on a busy machine some thousand, would leave within a second.
        When it fails, the next batch is let through: its recipients are told what is wrong. Then
        it is tried again, PREPARE_AGAIN_SECONDS later.
        """
        if self.keeps(mailout_id):
            return True
        if mailout_id in self._unprepared:
            self._unprepared.remove(mailout_id)
            self._prepare_at[mailout_id] = time.monotonic() + PREPARE_AGAIN_SECONDS
            return True
        if time.monotonic() < self._prepare_at.get(mailout_id, 0):
            return False
        if mailout_id not in self._preparing:
            task = asyncio.create_task(self._prepare_mailout(mailout_id))
            self._preparing[mailout_id] = task

            def prepared(done: asyncio.Task[Prepared]) -> None:
                del self._preparing[mailout_id]
                self._prepare_at.pop(mailout_id, None)
                if done.cancelled() or done.exception():
                    self._unprepared.add(mailout_id)
                when_ready()

            task.add_done_callback(prepared)
        return False

    async def __call__(self, batch: Batch, lane: Lane, fence: Fence) -> None:
        """Raises nothing but CancelledError."""
        structlog.contextvars.bind_contextvars(
            mailout_id=str(batch.mailout_id), attempt=str(batch.attempt_id)
        )
        started = time.monotonic()
        try:
            delivery = await self._call(batch, lane, fence)
        except Exception:
            log.exception("batch_not_sent")  # raised before the call only
            delivery = _for_all(
                batch, "requeue", "internal", "The sender failed before sending.", OUR_FAULT_SECONDS
            )
        news: str | None = None
        try:
            news = self._learn(delivery, lane, started)
        except Exception:  # nothing may keep the results from being recorded
            log.exception("answers_not_learned_from")
        await self._record(batch, delivery.results)
        try:
            await self._react(batch, delivery, news)
        except AppError as exc:
            log.warning("sender_waits", step="react", error=exc.detail)
        except Exception:
            log.exception("sender_step_failed", step="react")
        log.info(
            "batch_sent",
            region=self._name,
            lane=lane,
            calls=delivery.calls,
            seconds=round(time.monotonic() - started, 3),
            **Counter[str](result.outcome for result in delivery.results),
        )

    def close(self) -> None:
        """Let no thread and no record begin anything more; those in a call are not waited for."""
        for preparing in self._preparing.values():
            preparing.cancel()
        self._record.close()
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._single_pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, batch: Batch, lane: Lane, fence: Fence) -> Delivery:
        sample: dict[str, Any] | None = None
        try:
            prepared = await self._prepare(batch)
            if batch.is_test:
                sample = await self._store.sample_subscriber(batch.mailout_id)
        except (TemplateInvalid, MailoutNotFound) as exc:
            # The content compiled when the mailout was started, so the settings, this program or
            # the tables have changed since.
            outcome: Outcome = "failed" if batch.is_test else "requeue"
            return _for_all(batch, outcome, exc.code, exc.detail, halt="content")
        except Unavailable as exc:
            return _for_all(batch, "requeue", exc.code, exc.detail, CONTENT_AWAY_SECONDS)
        build = self._builder.of(prepared, batch, sample)
        if batch.delay > 0:
            await asyncio.sleep(batch.delay)
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, self._deliver, prepared, batch, build, lane, fence, self._single_pool
        )
        if not await self._stopping.ended(work):
            return _for_all(
                batch, "unknown", "stopped", "No answer had come when the process was stopped."
            )
        try:
            return work.result()
        except Exception:
            # A fault of ours, somewhere around the call: what SES got can't be told.
            log.exception("delivery_failed")
            return _for_all(batch, "unknown", "internal", "The sender failed while sending.")

    async def _prepare(self, batch: Batch) -> Prepared:
        """The compiled content: of a started mailout it never changes, a test shows the latest."""
        if not batch.is_test:
            return await self._prepare_mailout(batch.mailout_id)
        content, content_hash = await self._store.tested_content(batch.mailout_id)
        return await self._compiled(batch.mailout_id, content_hash, content)

    async def _prepare_mailout(self, mailout_id: UUID) -> Prepared:
        known = self._prepared.get((mailout_id, ""))
        if known is not None:
            return known
        content, _ = await self._store.snapshot_content(mailout_id)
        return await self._compiled(mailout_id, "", content)

    async def _compiled(
        self, mailout_id: UUID, test_hash: str, content: MailoutContent
    ) -> Prepared:
        """test_hash: of a test's content; empty: of a started mailout's."""
        key, is_test = (mailout_id, test_hash), bool(test_hash)
        if key not in self._prepared:
            # Whatever got past the checks at the start ends a process of its own, not this one.
            await self._renderer(
                tasks.check_mailout, self._settings, content, mailout_id, is_test, not is_test
            )
            prepared = await asyncio.to_thread(
                prepare,
                self._settings,
                mailout_id,
                content,
                test=is_test,
                begun=not is_test,
                region=self._region,
            )
            while len(self._prepared) >= KEPT_CONTENTS:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[key] = prepared
        return self._prepared[key]

    def _learn(self, delivery: Delivery, lane: Lane, began: float) -> str | None:
        """Tell breaker and lanes how the call ended. Gives what every running mailout shall show:
        why it waits for SES, "" when it no longer does, None to leave it as it is."""
        now = time.monotonic()
        news: str | None = None
        if "unreachable" in delivery.halts:
            self.breaker.failed(now, began)
            if wait := self.breaker.wait(now):
                log.warning(
                    "ses_breaker_open",
                    region=self._name,
                    seconds=wait,
                    error=delivery.halts["unreachable"],
                )
                at = datetime.now(UTC) + timedelta(seconds=wait)
                news = silence_reason(self._name, self._settings.region_names, at)
        elif delivery.answered:
            if self.breaker.probing:
                log.info("ses_breaker_closed", region=self._name)
                news = ""
            self.breaker.succeeded()
        self.lanes.finished(
            lane,
            throttled="throttled" in delivery.halts,
            now=now,
            chance=random.random(),  # noqa: S311  jitter, no secret
        )
        return news

    async def _react(self, batch: Batch, delivery: Delivery, news: str | None) -> None:
        if "account" in delivery.halts:
            self._account_refused()
        if news is not None:
            await self._note_waiting(news or None)
        if batch.is_test:
            return
        await self._pausing.for_answers(batch.mailout_id, delivery.halts)


def _for_all(
    batch: Batch,
    outcome: Outcome,
    code: str,
    message: str,
    delay: float = 0.0,
    *,
    halt: Halt | None = None,
) -> Delivery:
    """The same result for every recipient of a batch, without a call that was answered."""
    return Delivery(
        tuple(
            Result(r.send_log_id, outcome, code=code, message=message, delay=delay)
            for r in batch.recipients
        ),
        {halt: message} if halt else {},
        calls=0,
        answered=False,
    )
