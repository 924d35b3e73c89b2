"""Does background jobs: claims a job, runs what its kind names, records how it ended.

Any number of these may run on one database. A job is held by a lease that is extended while its
handler works. Its process may be killed at any moment, then another takes the job from the start:
so a handler must do no harm when it begins again, and reads from what it saved with `Running.save`
where it was.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from app.domain.jobs import Job, JobOutcome
from app.domain.sending.backoff import backoff_seconds
from app.errors import AppError, Unavailable
from app.running.loops import Loops
from app.store.jobs import JobStore

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Jobs of all kinds together."""
POLL_SECONDS = 1.0
PRUNE_SECONDS = 3600.0
RETRY_SECONDS, RETRY_CAP_SECONDS = 10.0, 900.0
"""How long a job that failed waits for its second try, at most; twice as long for each further one,
up to the cap."""
AWAY_SECONDS = 5.0
"""How long a job waits whose handler raised Unavailable: the database, or a service that it calls,
was away, and didn't say for how long."""
AWAY_CAP_SECONDS = 300.0
"""Whatever it says."""


class JobFailed(Exception):
    """What a handler raises when trying again can't help: its words are shown to people."""


class JobLost(Exception):
    """The job is no longer this holder's: another took it over, or a person cancelled it."""


class Running:
    """A job's handler sees this: the job, and where to save how far it has come."""

    def __init__(self, job: Job, store: JobStore, lease_seconds: float) -> None:
        self.job = job
        self._store = store
        self._lease_seconds = lease_seconds
        self._held_until = time.monotonic() + lease_seconds

    async def save(self, progress: dict[str, Any] | None = None) -> None:
        """Save progress and extend the lease. Raises JobLost, Unavailable."""
        asked = time.monotonic()
        if not await self._store.extend_job(self.job, self._lease_seconds, progress):
            raise JobLost
        self._held_until = asked + self._lease_seconds

    async def hold(self) -> None:
        """Extend the lease again and again; ends with JobLost when that no longer works, for
        whatever reason: another holder may have begun."""
        while True:
            await asyncio.sleep(self._lease_seconds / 3)
            try:
                await self.save()
            except Unavailable:
                if time.monotonic() > self._held_until:
                    raise JobLost from None


Handler = Callable[[Running], Awaitable[dict[str, Any] | None]]


@dataclass(frozen=True)
class Kind:
    """name: as in jobs.kind. handler: gives the job's result. at_once: how many of this kind may
    run in one process, so that a long one doesn't keep the others' places."""

    name: str
    handler: Handler
    at_once: int = 1


class JobRunner:
    def __init__(self, store: JobStore, kinds: Sequence[Kind], lease_seconds: float = 60.0) -> None:
        self._store = store
        self._kinds = {kind.name: kind for kind in kinds}
        self._lease_seconds = lease_seconds
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._news = asyncio.Event()
        self._pruned_at = float("-inf")

    def wake(self) -> None:
        """There may be a job now; don't wait for the next look."""
        self._news.set()

    async def step(self) -> None:
        """Claim and start the jobs that are due, AT_ONCE at most. Raises Unavailable,
        DatabaseError."""
        if time.monotonic() - self._pruned_at > PRUNE_SECONDS:
            while await self._store.prune_jobs():
                pass
            self._pruned_at = time.monotonic()
        while kinds := self._free_kinds():
            job = await self._store.claim_job(kinds, self._lease_seconds)
            if job is None:
                return
            task = asyncio.create_task(self._run(job), name=f"job-{job.kind}")
            self._tasks[task] = job.kind
            task.add_done_callback(self._ended)

    def start(self, loops: Loops) -> None:
        loops.start("jobs", self.step, POLL_SECONDS, kind="jobs", news=self._news, to_the_end=True)

    async def do(self, job_id: UUID) -> bool:
        """Do this job here and now, in place of a runner elsewhere. False: one has it, or it is
        over. Raises Unavailable, DatabaseError."""
        job = await self._store.claim_one_job(job_id, self._lease_seconds)
        if job is None:
            return False
        await self._run(job)
        return True

    async def close(self) -> None:
        """Interrupt the jobs that run and give them back, so that others may begin them at once."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _free_kinds(self) -> list[str]:
        if len(self._tasks) >= AT_ONCE:
            return []
        busy = Counter(self._tasks.values())
        return [kind.name for kind in self._kinds.values() if busy[kind.name] < kind.at_once]

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        self._news.set()
        if not task.cancelled() and (error := task.exception()):
            # How the job ended could not be recorded. Its lease runs out, then it is done again.
            log.error("job_not_recorded", exc_info=error)

    async def _run(self, job: Job) -> None:
        structlog.contextvars.bind_contextvars(job_id=str(job.id), job=job.kind)
        started = time.monotonic()
        outcome: JobOutcome
        result, error, delay = None, None, 0.0
        try:
            result = await self._handle(job)
            outcome = "done"
        except JobLost:
            log.info("job_lost")
            return
        except asyncio.CancelledError:
            await asyncio.shield(self._store.settle_job(job, "later"))
            raise
        except Unavailable as exc:
            outcome, error = "later", exc.detail
            delay = min(float(exc.extra.get("retry_after") or AWAY_SECONDS), AWAY_CAP_SECONDS)
        except JobFailed as exc:
            outcome, error = "failed", str(exc)
        except Exception as exc:
            if isinstance(exc, AppError) and exc.status < 500:  # refused for good: no retry helps
                outcome, error = "failed", exc.detail
            else:
                log.exception("job_failed")
                outcome, error = "retry", "A fault of ours; the log has it."
            delay = _retry_seconds(job.failures + 1)
        await self._settle(job, outcome, result, error, delay)
        log.info("job_ended", outcome=outcome, seconds=round(time.monotonic() - started, 3))

    async def _handle(self, job: Job) -> dict[str, Any] | None:
        """Run the handler while the lease is held. Raises what it raises, and JobLost."""
        running = Running(job, self._store, self._lease_seconds)
        work = asyncio.ensure_future(self._kinds[job.kind].handler(running))
        hold = asyncio.create_task(running.hold())
        try:
            await asyncio.wait({work, hold}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            hold.result()
            raise AssertionError("holding a lease ends by an exception only")
        finally:
            hold.cancel()
            work.cancel()
            await asyncio.gather(hold, work, return_exceptions=True)

    async def _settle(
        self,
        job: Job,
        outcome: JobOutcome,
        result: dict[str, Any] | None,
        error: str | None,
        delay: float,
    ) -> None:
        """Record how it ended, also over an outage of the database as long as the lease holds."""
        tries = 0
        until = time.monotonic() + self._lease_seconds
        while True:
            try:
                ours = await self._store.settle_job(
                    job, outcome, result=result, error=error, delay_seconds=delay
                )
            except Unavailable:
                if time.monotonic() > until:
                    raise
                tries += 1
                await asyncio.sleep(backoff_seconds(tries, 1.0, base=0.25, cap=4.0))
            else:
                if not ours:
                    log.info("job_lost")
                return


def _retry_seconds(failures: int) -> float:
    chance = random.random()  # noqa: S311  jitter, no secret
    return backoff_seconds(failures, chance, base=RETRY_SECONDS, cap=RETRY_CAP_SECONDS)
