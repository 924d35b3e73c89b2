"""A rehearsal: render every recipient, send and change nothing, report what would happen."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import structlog

from app.adapters.store import Mailout, Store
from app.domain.batches import Account, Batch, Recipient, Result
from app.errors import MailoutNotFound, NotFound
from app.services.account import AccountMonitor
from app.services.prepare import MailBuilder, Prepared
from app.services.start_mailout import SendRequest, StartMailout
from app.settings import Settings

log = structlog.get_logger(__name__)

PAGE = 1_000
MAX_PROBLEMS = 100
"""Problems listed one by one; all are counted."""


class DryRuns:
    """account: None in a process that can't ask SES."""

    def __init__(
        self, store: Store, settings: Settings, start: StartMailout, account: AccountMonitor | None
    ) -> None:
        self._store = store
        self._settings = settings
        self._start = start
        self._account = account
        self._running: dict[UUID, asyncio.Task[None]] = {}

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
        await self._store.save_dry_run(mailout.id, {"state": "running", "recipients": recipients})
        if earlier := self._running.pop(mailout.id, None):
            earlier.cancel()
        task = asyncio.create_task(self._run(mailout, prepared))
        self._running[mailout.id] = task
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

    async def finished(self, mailout_id: UUID) -> None:
        """Wait for the running dry run of a mailout."""
        if task := self._running.get(mailout_id):
            await asyncio.wait({task})

    async def close(self) -> None:
        for task in list(self._running.values()):
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _forget(self, mailout_id: UUID, done: asyncio.Task[None]) -> None:
        if self._running.get(mailout_id) is done:
            del self._running[mailout_id]
        if not done.cancelled() and (error := done.exception()):
            log.error("dry_run_failed", mailout_id=str(mailout_id), exc_info=error)

    async def _run(self, mailout: Mailout, prepared: Prepared) -> None:
        try:
            report = await self._render_all(mailout, prepared)
        except BaseException:
            await asyncio.shield(
                self._store.save_dry_run(
                    mailout.id, {"state": "failed", "detail": "The dry run was interrupted."}
                )
            )
            raise
        await self._store.save_dry_run(mailout.id, report)
        log.info("dry_run_done", mailout_id=str(mailout.id), recipients=report["recipients"])

    async def _render_all(self, mailout: Mailout, prepared: Prepared) -> dict[str, Any]:
        builder = MailBuilder(self._settings)
        batch = Batch(uuid4(), mailout.id, (), 0.0)
        skipped: Counter[str] = Counter()
        problems: list[dict[str, str]] = []
        recipients = largest = 0
        after = UUID(int=0)
        while page := await self._store.audience_page(mailout.id, after, PAGE):
            after = UUID(page[-1]["id"])
            for index, row in enumerate(page):
                if row["status"] != "active":
                    skipped[row["status"]] += 1
                    continue
                built = builder.build(
                    prepared,
                    batch,
                    Recipient(index, row["email"], 1, UUID(row["id"]), row["name"], row["fields"]),
                )
                if isinstance(built, Result):
                    skipped[built.code or "failed"] += 1
                    if len(problems) < MAX_PROBLEMS:
                        problems.append({"email": row["email"], "problem": built.message or ""})
                else:
                    recipients += 1
                    largest = max(largest, len(prepared.compiled.paste(built.values).html.encode()))
            await asyncio.sleep(0)  # requests come in between
        account = self._account.account if self._account else None
        return {
            "state": "done",
            "recipients": recipients,
            "skipped": dict(skipped),
            "problems": problems,
            "largest_html_bytes": largest,
            "quota": None if account is None or account.max_24h_send < 0 else account.quota_left,
            "seconds": self._seconds(recipients, account),
        }

    def _seconds(self, recipients: int, account: Account | None) -> float | None:
        """How long sending takes at the rate that would hold; None when it isn't known."""
        rate = self._settings.rate_limit_per_sec
        if account is not None:
            rate = min(rate or account.max_send_rate * 0.9, account.max_send_rate)
        return round(recipients / rate, 1) if rate else None
