"""`amazonsender notion sync`: everything that is done with Notion, once and to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from app.domain.notion.figures import values
from app.services.jobs.runner import JobRunner, Kind
from app.services.notion.rows.polling import Polling
from app.services.notion.talk import Talk
from app.services.notion.workspace import Workspace
from app.services.notion.writing import Writing
from app.settings import Settings
from app.store import Store
from app.store.jobs import JobStore

ROWS = 1_000
"""At most, whose comments are looked at and that are reported; the latest ones."""
JOBS = 200


@dataclass(frozen=True)
class Reported:
    """A row after the round. status: what people set; delivery, progress, problem: what stands in
    its properties now. waiting: for another process, which has it just now."""

    title: str
    status: str | None
    delivery: str | None
    progress: str | None
    problem: str | None
    waiting: bool

    @property
    def line(self) -> str:
        state = self.delivery or "nothing asked"
        parts = [f"{self.title}: {self.status or 'no Status'} → {state}"]
        parts += [text for text in (self.progress, self.problem) if text]
        if self.waiting:
            parts.append("(Somebody else is at it just now.)")
        return " · ".join(parts)


@dataclass(frozen=True)
class Synced:
    looked: int
    answered: int
    written: int
    rows: tuple[Reported, ...]


@dataclass(frozen=True)
class Sync:
    store: Store
    jobs: JobStore
    kinds: Sequence[Kind]
    workspace: Workspace
    polling: Polling
    talk: Talk
    writing: Writing
    settings: Settings

    async def __call__(self) -> Synced:
        """Beside a running service it does no harm: what one has taken, the other leaves. Raises
        NotionAway, NotionRefused and ConfigurationError when Notion can't be asked at all."""
        await self.workspace.place()
        looked = await self.polling.look_round()
        waiting = await self._do_jobs()
        answered = await self.talk.round(0, ROWS)
        written = 0
        while done := await self.writing.step():
            written += done
        return Synced(looked, answered, written, tuple(await self._report(waiting)))

    async def _do_jobs(self) -> set[UUID]:
        """Do those that are there, and those that come of them; give the pages of what others are
        at, or what has to wait."""
        runner = JobRunner(self.jobs, self.kinds)
        names = {kind.name for kind in self.kinds}
        tried: set[str] = set()
        while True:
            waiting = await self.jobs.list_jobs(JOBS, state="waiting")
            running = await self.jobs.list_jobs(JOBS, state="running")
            new = [job for job in waiting if job["kind"] in names and job["id"] not in tried]
            if not new:
                left = [job for job in [*waiting, *running] if job["kind"] in names]
                return {UUID(job["payload"]["page"]) for job in left if "page" in job["payload"]}
            for job in reversed(new):  # the oldest first
                tried.add(job["id"])
                await runner.do(UUID(job["id"]))

    async def _report(self, waiting: set[UUID]) -> list[Reported]:
        zone, now = ZoneInfo(self.settings.timezone), datetime.now(UTC)
        reported = []
        for row in await self.store.recent_notion_rows(ROWS):
            said = values(
                row["row"],
                row["mailout"],
                base_url=self.settings.app_base_url,
                zone=zone,
                now=now,
            )
            reported.append(
                Reported(
                    row["title"] or "Untitled",
                    row["status"],
                    said["Delivery"],
                    said["Progress"],
                    said["Problem"],
                    UUID(row["page_id"]) in waiting,
                )
            )
        return reported
