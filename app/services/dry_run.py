"""A rehearsal: render every recipient, send and change nothing, report what would happen.

The report is in the database, so that any process can show it; saving it is also the run's sign of
life.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import structlog

from app.adapters.store import Mailout, Store
from app.domain.batches import Batch, Recipient, Result
from app.domain.rehearsal import Rehearsal
from app.errors import MailoutNotFound, NotFound, Unavailable
from app.services.prepare import MailBuilder, Prepared
from app.services.start_mailout import SendRequest, StartMailout
from app.settings import Settings

log = structlog.get_logger(__name__)

PAGE = 500
SAVE_SECONDS = 2.0
"""How often progress is saved; without it for a minute, a run counts as interrupted."""
MAX_PARTS = 10
"""Days that are listed one by one when the daily quota doesn't suffice."""


class Superseded(Exception):
    """Another dry run of the same mailout was started, here or elsewhere."""


@dataclass(frozen=True)
class _Running:
    run: UUID
    task: asyncio.Task[None]


class DryRuns:
    def __init__(self, store: Store, settings: Settings, start: StartMailout) -> None:
        self._store = store
        self._settings = settings
        self._start = start
        self._running: dict[UUID, _Running] = {}

    async def start(self, request: SendRequest) -> dict[str, Any]:
        """Begin a dry run in the background, in place of a running one of the same mailout.

        Raises MailoutNotFound, TemplateInvalid, SesNotConfigured.
        """
        mailout = await self._store.find_mailout(
            request.mailout_id, notion_page=request.notion_page
        )
        if mailout is None:
            raise MailoutNotFound("There is no such mailout.")
        self._start.require_configuration()
        prepared = await self._start.prepare(mailout)
        recipients = await self._store.count_audience(mailout.id)
        run = uuid4()
        await self._store.begin_dry_run(mailout.id, run, _progress(Rehearsal(), recipients))
        if earlier := self._running.pop(mailout.id, None):
            earlier.task.cancel()
        task = asyncio.create_task(self._run(run, mailout, prepared, recipients))
        self._running[mailout.id] = _Running(run, task)
        task.add_done_callback(lambda done: self._forget(mailout.id, done))
        return {
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

    async def finished(self, mailout_id: UUID, seconds: float) -> bool:
        """Wait for this process's dry run of a mailout, at most `seconds`; whether it is over."""
        running = self._running.get(mailout_id)
        if running is None:
            return True
        done, _ = await asyncio.wait({running.task}, timeout=seconds)
        return bool(done)

    async def close(self) -> None:
        """Stop what runs, and say so."""
        stopped = dict(self._running)
        for running in stopped.values():
            running.task.cancel()
        await asyncio.gather(*(each.task for each in stopped.values()), return_exceptions=True)
        for mailout_id, running in stopped.items():
            if not running.task.cancelled():
                continue
            try:
                await self._end(mailout_id, running.run, "interrupted", "The program was stopped.")
            except Unavailable as exc:
                log.warning("dry_run_interrupted", mailout_id=str(mailout_id), error=exc.detail)

    def _forget(self, mailout_id: UUID, done: asyncio.Task[None]) -> None:
        running = self._running.get(mailout_id)
        if running is not None and running.task is done:
            del self._running[mailout_id]
        if not done.cancelled() and (error := done.exception()):
            log.error("dry_run_failed", mailout_id=str(mailout_id), exc_info=error)

    async def _run(self, run: UUID, mailout: Mailout, prepared: Prepared, expected: int) -> None:
        try:
            report = await self._render_all(run, mailout, prepared, expected)
            await self._save(mailout.id, run, report)
        except Superseded:
            log.info("dry_run_superseded", mailout_id=str(mailout.id))
        except Unavailable as exc:  # shown as interrupted when its sign of life is old
            log.warning("dry_run_interrupted", mailout_id=str(mailout.id), error=exc.detail)
        except Exception:
            await self._end(mailout.id, run, "failed", "The program failed; its log says how.")
            raise
        else:
            log.info(
                "dry_run_done",
                mailout_id=str(mailout.id),
                recipients=report["recipients"],
                problems=report["problems_total"],
            )

    async def _render_all(
        self, run: UUID, mailout: Mailout, prepared: Prepared, expected: int
    ) -> dict[str, Any]:
        builder = MailBuilder(self._settings)
        rehearsal = Rehearsal()
        after, saved_at = UUID(int=0), time.monotonic()
        while page := await self._store.audience_page(mailout.id, after, PAGE):
            after = UUID(page[-1]["id"])
            # In a thread: requests are to be answered meanwhile.
            await asyncio.to_thread(rehearse, rehearsal, builder, prepared, page)
            if time.monotonic() - saved_at > SAVE_SECONDS:
                await self._save(mailout.id, run, _progress(rehearsal, expected))
                saved_at = time.monotonic()
        outlook = await self._store.send_outlook(
            self._settings.aws_region, self._settings.rate_limit_per_sec, rehearsal.recipients
        )
        return {
            "state": "done",
            "content_hash": mailout.content_hash,
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

    async def _save(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        if not await self._store.save_dry_run(mailout_id, run, report):
            raise Superseded

    async def _end(self, mailout_id: UUID, run: UUID, state: str, detail: str) -> None:
        await self._store.save_dry_run(mailout_id, run, {"state": state, "detail": detail})


def rehearse(
    rehearsal: Rehearsal, builder: MailBuilder, prepared: Prepared, rows: list[dict[str, Any]]
) -> None:
    """Render a page of the audience (rows of `audience_page`) and add up what comes of it."""
    batch = Batch(UUID(int=0), prepared.mailout_id, (), 0.0)
    for number, row in enumerate(rows):
        if row["status"] != "active":
            rehearsal.skip(row["status"])
            continue
        gaps: set[str] = set()
        recipient = Recipient(number, row["email"], 1, UUID(row["id"]), row["name"], row["fields"])
        built = builder.build(prepared, batch, recipient, gaps=gaps)
        if isinstance(built, Result):
            code = built.code or "failed"
            rehearsal.skip(code)
            rehearsal.problem(row["email"], built.message or code, code)
        else:
            rehearsal.mail(row["email"], prepared.compiled, built.values, gaps)


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
