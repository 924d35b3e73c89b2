"""One claimed batch: prepare its content, have it delivered, learn from the call, record it.

Whatever happens, each recipient of the batch gets a result: the rows stand as `sending` in the
database, and nobody else may touch them while this process lives.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import structlog

from app.adapters.ses import Fence
from app.adapters.store import Store
from app.domain.backoff import Breaker
from app.domain.batches import Batch, Outcome, Result
from app.domain.lanes import Lane, Lanes
from app.domain.ses_answers import Halt
from app.domain.states import PauseCode
from app.errors import AppError, TemplateInvalid, Unavailable
from app.metrics import Metrics
from app.services.account import quota_reason
from app.services.deliver import BulkSender, Deliver, Delivery
from app.services.prepare import MailBuilder, Prepared, prepare
from app.services.stopping import Stopping
from app.settings import Settings

log = structlog.get_logger(__name__)

BULK_CALLS = 16
"""Bulk calls in flight at once: 16 × 50 recipients ÷ 0.1 s is beyond any SES quota."""
SINGLE_CALLS = 32
SINGLE_BATCH = 8
"""Recipients claimed at once for SendEmail: as many as then are in flight, not more."""
SINGLE_BATCHES = SINGLE_CALLS // SINGLE_BATCH
KEPT_CONTENTS = 8
RECORD_TRIES = 5
"""How often the database may refuse (not: be away for) a record before the rows are `unknown`."""
RECORD_SECONDS = 1.0
"""Kept for recording after the last call was given up at a stop."""
HICCUP_SECONDS = 2.0
"""Before what the database was away for, before any call, is tried again."""
REQUEUE_SECONDS = 30.0
"""Before what failed on our side, before any call, is tried again."""

_PAUSES: dict[Halt, tuple[PauseCode, str]] = {
    "account": ("account", "SES does not let this account send; the mailout goes on by itself."),
    "configuration": (
        "account",
        "SES refuses the configuration; set it right and the mailout goes on by itself.",
    ),
    "content": ("held", "The content can't be sent with the present settings."),
}


class SendBatch:
    """breaker, lanes: shared with the dispatcher, which asks them before it claims."""

    def __init__(
        self,
        store: Store,
        ses: BulkSender,
        settings: Settings,
        stopping: Stopping,
        metrics: Metrics,
    ) -> None:
        self.breaker = Breaker()
        self.lanes = Lanes(settings.ses_send_mode)
        self._store = store
        self._settings = settings
        self._stopping = stopping
        self._metrics = metrics
        self._builder = MailBuilder(settings)
        self._deliver = Deliver(ses, settings.ses_send_mode)
        self._prepared: dict[tuple[UUID, str], Prepared] = {}
        self._pool = ThreadPoolExecutor(BULK_CALLS + SINGLE_BATCHES, thread_name_prefix="ses-batch")
        self._single_pool = ThreadPoolExecutor(SINGLE_CALLS, thread_name_prefix="ses-single")

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
                batch, "requeue", "internal", "The sender failed before sending.", REQUEUE_SECONDS
            )
        news = self._learn(delivery, lane, started)
        await self._record(batch, delivery.results)
        try:
            await self._react(batch, delivery, news)
        except AppError as exc:
            log.warning("sender_waits", step="react", error=exc.detail)
        log.info(
            "batch_sent",
            lane=lane,
            calls=delivery.calls,
            seconds=round(time.monotonic() - started, 3),
            **Counter[str](result.outcome for result in delivery.results),
        )

    def close(self) -> None:
        """Let no thread begin anything more; those in a call are not waited for."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._single_pool.shutdown(wait=False, cancel_futures=True)

    async def _call(self, batch: Batch, lane: Lane, fence: Fence) -> Delivery:
        try:
            prepared = await self._prepare(batch)
        except TemplateInvalid as exc:
            # It compiled when it was started, so the settings or this program have changed since.
            outcome: Outcome = "failed" if batch.is_test else "requeue"
            return _for_all(batch, outcome, exc.code, exc.detail, halt="content")
        except Unavailable as exc:
            return _for_all(batch, "requeue", exc.code, exc.detail, HICCUP_SECONDS)
        sample = await self._store.sample_subscriber(batch.mailout_id) if batch.is_test else None
        build = partial(self._builder.build, prepared, batch, sample=sample)
        if batch.delay > 0:
            await asyncio.sleep(batch.delay)
        work = asyncio.get_running_loop().run_in_executor(
            self._pool, self._deliver, prepared, batch, build, lane, fence, self._single_pool
        )
        if not await self._stopping.ended(work):
            return _for_all(
                batch, "unknown", "stopped", "SES had not answered when the process was stopped."
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
            known = self._prepared.get((batch.mailout_id, ""))
            if known is not None:
                return known
            content, _ = await self._store.snapshot_content(batch.mailout_id)
            key = (batch.mailout_id, "")
        else:
            content, content_hash = await self._store.tested_content(batch.mailout_id)
            key = (batch.mailout_id, content_hash)
        if key not in self._prepared:
            prepared = await asyncio.to_thread(
                prepare, self._settings, batch.mailout_id, content, test=batch.is_test
            )
            while len(self._prepared) >= KEPT_CONTENTS:
                self._prepared.pop(next(iter(self._prepared)))
            self._prepared[key] = prepared
        return self._prepared[key]

    def _learn(self, delivery: Delivery, lane: Lane, began: float) -> str | None:
        """Tell breaker and lanes how the call ended; what to say of it on running mailouts: a
        reason, nothing any more (""), or no news (None)."""
        now = time.monotonic()
        news: str | None = None
        if "unreachable" in delivery.halts:
            self.breaker.failed(now, began)
            if wait := self.breaker.wait(now):
                log.warning("ses_breaker_open", seconds=wait, error=delivery.halts["unreachable"])
                at = datetime.now(UTC) + timedelta(seconds=wait)
                news = f"Waiting for SES, which does not answer; next try at {at:%H:%M:%S} UTC."
        elif delivery.answered:
            if self.breaker.probing:
                log.info("ses_breaker_closed")
                news = ""
            self.breaker.succeeded()
        self.lanes.finished(
            lane,
            throttled="throttled" in delivery.halts,
            now=now,
            chance=random.random(),  # noqa: S311  jitter, no secret
        )
        return news

    async def _record(self, batch: Batch, results: tuple[Result, ...]) -> None:
        """Write the results down, however long the database is away: they exist nowhere else."""
        failures = 0
        while True:
            try:
                limit = max(RECORD_SECONDS, self._stopping.left) if self._stopping.asked else None
                async with asyncio.timeout(limit):
                    status = await self._store.record_results(batch.attempt_id, results)
            except (Unavailable, TimeoutError) as exc:
                failures += 1
                log.warning("results_wait", error=str(exc))
            except AppError:
                failures += 1
                log.exception("results_refused")
                if failures == RECORD_TRIES:
                    results = _for_all(
                        batch, "unknown", "record_refused",
                        "The database refused to take SES's answer down.",
                    ).results  # fmt: skip
            else:
                if not batch.is_test:
                    self._metrics.results_recorded(results)
                if status in {"sent", "failed"}:
                    log.info("mailout_finished", status=status)
                return
            if self._stopping.asked and self._stopping.left == 0:
                # The next sender finds the rows in `sending` and calls them unknown.
                log.error("results_lost", recipients=len(results))
                return
            await self._stopping.sleep(min(5.0, 0.1 * 2.0**failures))
            if self._stopping.asked:
                await asyncio.sleep(min(0.2, self._stopping.left))

    async def _react(self, batch: Batch, delivery: Delivery, news: str | None) -> None:
        if news is not None:
            await self._store.note_waiting(news or None)
        if batch.is_test:
            return
        for halt, message in delivery.halts.items():
            if halt == "quota":
                await self.pause_for_quota(batch.mailout_id)
            elif halt in _PAUSES:
                code, reason = _PAUSES[halt]
                await self.pause(batch.mailout_id, code, f"{reason} {message}".strip())

    async def pause_for_quota(self, mailout_id: UUID) -> None:
        assert self._settings.aws_region is not None
        await self.pause(
            mailout_id, "quota", await quota_reason(self._store, self._settings.aws_region)
        )

    async def pause(self, mailout_id: UUID, code: PauseCode, reason: str) -> None:
        if (await self._store.pause_mailout(mailout_id, code, reason)).changed:
            log.warning("mailout_paused", mailout_id=str(mailout_id), reason=reason)


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
