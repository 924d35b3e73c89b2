"""A look at one row of the Notion database: what its page says now, what is asked by that, and the
answer. Webhooks, events and the polling only have a row looked at, so none of them does harm when
it comes twice, late, or out of order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import structlog

from app.domain.notion.presses import Sight, StatusMissing, gone, refused, seen
from app.domain.notion.row import Row
from app.domain.notion.send_at import SendAtInvalid, schedule_of
from app.domain.schedules.plan import ScheduleInvalid, read_schedule
from app.errors import ConfigurationError, NotionRefused, Unavailable
from app.ports import Notion
from app.services.jobs.runner import JobFailed, Running
from app.services.notion.rows.answers import Answers, LookAgain, Press
from app.services.notion.rows.content import changes, snapshot
from app.services.notion.workspace import Workspace
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

MAX_TURNS = 20
"""How often in a row others may write what we look at before the job is put off."""
PATIENT_TURNS = 3
"""How often it is waited for until nobody writes on the page or moves it; then it goes as it was
read, or is refused: somebody may write there for hours."""
REFUSED_SECONDS = 60.0
"""Until a look is tried again that Notion doesn't allow: a token is revoked, say."""

NOT_OURS = (
    "The page is no row of the database of NOTION_DATABASE_ID, or isn't shared with the "
    "connection. Nothing was sent."
)


@dataclass(frozen=True)
class Looks:
    """Handles jobs of the kind `notion_row`."""

    store: Store
    notion: Notion
    workspace: Workspace
    settings: Settings
    answers: Answers

    async def as_job(self, running: Running) -> dict[str, Any] | None:
        """Gives `asked`, `press` and `problem` of the latest answer; None: nothing was asked."""
        page_id, done = UUID(running.job.payload["page"]), None
        for turn in range(MAX_TURNS):
            row = await self.store.notion_row(page_id)
            if row is None:
                return {"outcome": "forgotten"}
            structlog.contextvars.bind_contextvars(page_id=str(page_id))
            try:
                found = await self._look(row, is_patient=turn < PATIENT_TURNS)
            except LookAgain:
                continue
            if found is None:
                return {"outcome": "none of ours"}
            if found.answered != row.answered:
                done = {"asked": found.asked, "press": found.press, "problem": found.problem}
            if not await self.store.end_notion_look(page_id, row.news, running.job.id):
                return done
        raise Unavailable("The row is being changed right now.")

    async def _look(self, row: Row, *, is_patient: bool) -> Row | None:
        """Gives the row as it is then; None: it is none of ours, and forgotten. Raises LookAgain,
        Unavailable, JobFailed."""
        page = await self._page(row.page_id)
        if page is None:
            if row.seen_at is None:
                await self._forget(row)
                return None
            row = await self._save(row, gone(row, _now()))
            sight = Sight()
        else:
            sight = self._sight(page)
            before, row = row, await self._save(row, seen(row, sight, _now()))
            if not row.is_open:
                return await self._keep_true(row, sight, before)
        return await self._answer(row, sight, is_patient) if row.is_open else row

    async def _answer(self, row: Row, sight: Sight, is_patient: bool) -> Row:
        async def still_asked() -> Sight:
            page = await self._page(row.page_id)
            now = page and self._sight(page)
            if not now or not now.says_the_same(sight):
                raise LookAgain
            return now

        press = Press(row, sight, still_asked, is_patient)
        try:
            return await self.answers(press)
        except NotionRefused as exc:
            if exc.extra.get("notion_status") == 404 and is_patient:
                raise LookAgain from None
            _raise_if_later(exc)
            return await self._save(press.row, refused(row, f"{exc.detail} {press.again}"))

    async def _keep_true(self, row: Row, sight: Sight, before: Row) -> Row:
        """Say it when what is scheduled is no longer what stands in Notion: it goes as it was."""
        frozen = row.frozen
        if row.mailout_status != "scheduled" or not frozen or not row.mailout:
            return row
        changed = []
        try:
            given = schedule_of(sight.send_at, sight.time_zone, self.settings.timezone)
            schedule = given and read_schedule(given, self.settings.timezone).as_json()
        except (SendAtInvalid, ScheduleInvalid):
            schedule = None
        if schedule != row.mailout["schedule"]:
            changed.append("Send at was changed.")
        if sight.edited_at != before.edited_at or sight.may_be_edited_since(datetime.now(UTC)):
            try:
                content = await self.answers.read(row.page_id)
            except NotionRefused as exc:
                _raise_if_later(exc)
                return row
            changed += changes(frozen, snapshot(row.press, sight, content))
        elif row.note and row.note.startswith(_CHANGED):
            return row
        if not changed:
            return await self._save(row, {"note": None}) if _is_change(row.note) else row
        return await self._save(row, {"note": f"{_CHANGED} {' '.join(changed)} {_AS_IT_WAS}"})

    def _sight(self, page: Mapping[str, Any]) -> Sight:
        try:
            return Sight.of_page(page, self.settings.notion_names)
        except StatusMissing as exc:
            log.warning("notion_status_missing", error=str(exc))
            raise Unavailable(str(exc), retry_after=REFUSED_SECONDS) from None

    async def _page(self, page_id: UUID) -> Mapping[str, Any] | None:
        """None: it is no row of the database, or not any more."""
        try:
            page = await self.notion.page(page_id)
            there = not (page.get("in_trash") or page.get("archived"))
            return page if there and await self.workspace.has_row(page) else None
        except NotionRefused as exc:
            _raise_if_later(exc)
            return None
        except ConfigurationError as exc:
            raise Unavailable(exc.detail, retry_after=REFUSED_SECONDS) from None

    async def _forget(self, row: Row) -> None:
        if await self.store.forget_notion_row(row.page_id):
            raise JobFailed(NOT_OURS)
        log.info("notion_page_elsewhere")

    async def _save(self, row: Row, change: dict[str, Any]) -> Row:
        """Raises LookAgain when somebody else wrote it."""
        if all(getattr(row, name) == value for name, value in change.items()):
            return row
        saved = await self.store.save_notion_row(row, change)
        if saved is None:
            raise LookAgain
        return saved


_CHANGED = "Changed in Notion since it was scheduled:"
_AS_IT_WAS = "It goes as it was. To take the changes over, set Status to Pause and then to Send."


def _is_change(note: str | None) -> bool:
    return bool(note and note.startswith(_CHANGED))


def _raise_if_later(exc: NotionRefused) -> None:
    """A token that was revoked, or a capability that is lacking: it goes on once that is mended."""
    if exc.extra.get("notion_status") in (401, 403):
        log.warning("notion_refused", error=exc.detail)
        raise Unavailable(exc.detail, retry_after=REFUSED_SECONDS) from None


def _now() -> str:
    return datetime.now(UTC).isoformat()
