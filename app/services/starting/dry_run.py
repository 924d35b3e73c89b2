"""A dry run: render every recipient's mail, send and change nothing, report what would happen.

The report is in the database, so that any process can show it. While a run saves it every few
seconds, it counts as alive.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import structlog

from app.domain.mailouts import Mailout
from app.domain.reports.rehearsal import Rehearsal
from app.errors import MailoutNotFound, NotFound, TemplateInvalid, Unavailable
from app.services.jobs.runner import Running
from app.services.rendering.rehearse import rehearse
from app.services.sending.prepare import MailBuilder, Prepared
from app.services.starting.start_mailout import SendRequest, StartMailout, nobody_to_wake
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

PAGE = 1_000
SAVE_SECONDS = 2.0
"""How often progress is saved; without it for a minute, a run counts as interrupted."""
MAX_PARTS = 10
"""Days that are listed one by one when the daily quota doesn't suffice."""

NOBODY = "No active subscriber is in the audience, so a request to send is refused."


Tell = Callable[[int], Awaitable[None]]


async def tell_nobody(_done: int) -> None:
    """For callers that show no progress."""


class Superseded(Exception):
    """Another dry run of the same mailout was started, here or elsewhere."""


class DryRuns:
    """Begins dry runs and shows their reports; a `RunDryRun` does them."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        start: StartMailout,
        wake: Callable[[], None] = nobody_to_wake,
    ) -> None:
        """wake: tells a runner of jobs in this process that there is one."""
        self._store = store
        self._settings = settings
        self._start = start
        self._wake = wake

    async def start(self, request: SendRequest) -> dict[str, Any]:
        """Leave a dry run for the work process, in place of a running one of the same mailout.

        Raises MailoutNotFound, TemplateInvalid, SesNotConfigured.
        """
        order, answer = await self._order(request)
        await self._store.queue_dry_run(order.mailout_id, order.run, order.first_report)
        self._wake()
        return answer

    async def start_here(self, request: SendRequest) -> tuple[DryRun, dict[str, Any]]:
        """The same, for a caller who does the dry run in this process."""
        order, answer = await self._order(request)
        await self._store.begin_dry_run(order.mailout_id, order.run, order.first_report)
        return order, answer

    async def _order(self, request: SendRequest) -> tuple[DryRun, dict[str, Any]]:
        mailout = await self._store.find_mailout(
            request.mailout_id, notion_page=request.notion_page
        )
        if mailout is None:
            raise MailoutNotFound("There is no such mailout.")
        self._start.require_configuration()
        await self._start.check(mailout)
        recipients = await self._store.count_audience(mailout.id)
        return DryRun(mailout.id, uuid4(), recipients), {
            "mailout_id": str(mailout.id),
            "status": mailout.status,
            "recipients": recipients,
            "dry_run": True,
        }

    async def report(self, mailout_id: UUID) -> dict[str, Any]:
        """Raises NotFound when there was none."""
        found = await self._store.show_dry_run(mailout_id)
        if found is None:
            raise NotFound("There was no dry run of this mailout yet.")
        return found


@dataclass(frozen=True)
class DryRun:
    """run: names it among the dry runs of one mailout. recipients: expected, as counted before."""

    mailout_id: UUID
    run: UUID
    recipients: int

    @property
    def first_report(self) -> dict[str, Any]:
        return _progress(Rehearsal(), self.recipients)


class RunDryRun:
    """Renders everybody of one dry run and saves what comes of it, now and then and at the end."""

    def __init__(self, store: Store, settings: Settings, start: StartMailout) -> None:
        self._store = store
        self._settings = settings
        self._start = start

    async def as_job(self, running: Running) -> dict[str, Any] | None:
        """Handles jobs of the kind `dry_run`."""
        payload = running.job.payload
        order = DryRun(UUID(payload["mailout_id"]), UUID(payload["run"]), payload["recipients"])

        async def tell(done: int) -> None:
            await running.save({"done": done, "total": order.recipients})

        await self(order, tell)
        return None

    async def __call__(self, order: DryRun, tell: Tell = tell_nobody) -> None:
        """tell: hears how many recipients were rendered so far. Raises Unavailable; what else goes
        wrong is in the report, too."""
        try:
            mailout = await self._store.find_mailout(order.mailout_id)
            if mailout is None:
                return  # deleted meanwhile, and its report with it
            prepared = await self._start.prepare(mailout)
            report = await self._render_all(order, mailout, prepared, tell)
            await self._save(order.mailout_id, order.run, report)
        except Superseded:
            log.info("dry_run_superseded", mailout_id=str(order.mailout_id))
        except Unavailable:
            raise
        except TemplateInvalid as exc:  # edited since it was asked for
            await self._end(order, "failed", exc.detail)
        except Exception:
            await self._end(order, "failed", "The program failed; its log says how.")
            raise
        else:
            log.info(
                "dry_run_done",
                mailout_id=str(order.mailout_id),
                recipients=report["recipients"],
                problems=report["problems_total"],
            )

    async def _render_all(
        self, order: DryRun, mailout: Mailout, prepared: Prepared, tell: Tell
    ) -> dict[str, Any]:
        builder = MailBuilder(self._settings)
        rehearsal = Rehearsal()
        saved_at = time.monotonic()
        async for page in self._pages(mailout.id):
            # In a thread: requests are to be answered meanwhile.
            await asyncio.to_thread(rehearse, rehearsal, builder, prepared, page)
            if time.monotonic() - saved_at > SAVE_SECONDS:
                await self._save(mailout.id, order.run, _progress(rehearsal, order.recipients))
                await tell(rehearsal.recipients)
                saved_at = time.monotonic()
        outlook = await self._store.send_outlook(
            self._settings.regions_for(mailout.region),
            self._settings.rate_limit_per_sec,
            rehearsal.recipients,
        )
        return {
            "state": "done",
            "content_hash": mailout.content_hash,
            "warnings": [] if order.recipients else [NOBODY],
            **rehearsal.report(),
            "quota": outlook.get("quota_left"),
            "daily_quota": outlook.get("daily_quota"),
            "rate": outlook.get("rate"),
            "seconds": outlook.get("seconds"),
            "days": outlook.get("days"),
            "parts": daily_parts(
                rehearsal.recipients, outlook.get("quota_left"), outlook.get("daily_quota")
            ),
        }

    async def _pages(self, mailout_id: UUID) -> AsyncIterator[list[dict[str, Any]]]:
        """The audience. PostgreSQL reads the next page while one is rendered."""
        coming = asyncio.create_task(self._store.audience_slice(mailout_id, UUID(int=0), PAGE))
        try:
            while True:
                page, after = await coming
                if after is None:
                    yield page
                    return
                coming = asyncio.create_task(self._store.audience_slice(mailout_id, after, PAGE))
                yield page
        finally:
            coming.cancel()

    async def _save(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        if not await self._store.save_dry_run(mailout_id, run, report):
            raise Superseded

    async def _end(self, order: DryRun, state: str, detail: str) -> None:
        await self._store.save_dry_run(
            order.mailout_id, order.run, {"state": state, "detail": detail}
        )


def daily_parts(
    recipients: float, quota_left: float | None, daily_quota: float | None
) -> list[float]:
    """How many go on each day, the first MAX_PARTS days; one part where no quota is known."""
    if quota_left is None or not daily_quota:
        return [recipients] if recipients else []
    parts: list[float] = []
    part = quota_left or daily_quota
    while recipients > 0 and len(parts) < MAX_PARTS:
        parts.append(min(part, recipients))
        recipients -= part
        part = daily_quota
    return parts


def _progress(rehearsal: Rehearsal, expected: int) -> dict[str, Any]:
    found = rehearsal.report()
    return {
        "state": "running",
        "recipients": expected,
        "rendered": found["recipients"],
        "skipped": found["skipped"],
        "problems": found["problems"],
        "problems_total": found["problems_total"],
        "quota": None,
        "seconds": None,
    }
