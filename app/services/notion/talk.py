"""Commands in comments on a row's page, answered in their thread, each once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from app.domain.notion.answers import (
    NO_ADDRESS,
    NO_MAILOUT,
    help_words,
    moved_words,
    status_words,
    too_late_words,
    why_words,
)
from app.domain.notion.commands import COMMANDS, Command, answer_hash, commands, stands
from app.domain.notion.figures import values
from app.errors import ConfigurationError, NotionAway, NotionRefused, Unavailable
from app.ports import Notion
from app.running.loops import Loops
from app.services.jobs.runner import JobFailed, Running
from app.services.lists.statement import reason
from app.services.notion.workspace import Workspace
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 10
"""Pages whose comments one round looks at: each is a request of the 2.5 a second that all share."""
LEASE_SECONDS = 60.0
AWAY_SECONDS = 30.0
REFUSED_SECONDS = 600.0
"""How long no round is made where Notion doesn't let us. Events are followed at once."""

Comments = Sequence[Mapping[str, Any]]


class Talk:
    """Every method raises NotionAway and Unavailable when it is to be tried again."""

    def __init__(
        self,
        store: Store,
        notion: Notion,
        workspace: Workspace,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store, self._notion, self._workspace = store, notion, workspace
        self._settings, self._now = settings, now
        self._zone = ZoneInfo(settings.timezone)
        self._rests_until = float("-inf")
        self._refused: Literal["reading", "writing"] | None = None
        self._is_told = False

    def start(self, loops: Loops) -> None:
        loops.start("notion_talk", self.step, self._settings.notion_poll_seconds)

    async def step(self) -> None:
        """One round of many. That Notion is away, or refuses, is no fault of the loop."""
        if time.monotonic() < self._rests_until:
            return
        try:
            await self.round()
        except NotionAway as away:
            self._rest(away.extra.get("retry_after") or AWAY_SECONDS)
        except (NotionRefused, ConfigurationError) as refusal:
            self._rest(REFUSED_SECONDS)
            log.warning("notion_talk_waits", remedy=refusal.detail)

    async def as_job(self, running: Running) -> dict[str, Any]:
        """An event said that somebody commented. Raises JobFailed where Notion refuses: a round
        follows when it no longer does."""
        payload = running.job.payload
        try:
            answered, left = await self._look(UUID(payload["page"]), UUID(payload["block"]))
        except NotionRefused as refusal:
            raise JobFailed(refusal.detail) from None
        if left:
            raise Unavailable("Another process answers this comment just now.")
        return {"answered": answered}

    async def round(self, seconds: float | None = None, most: int = AT_ONCE) -> int:
        """Look at the comments of the rows whose turn it is, and give how many were answered. For
        what no event tells us of; comments on a block alone are only told by events.

        seconds: between two looks at one; None: NOTION_POLL_SECONDS. most: rows.
        """
        await self._introduce()
        between = self._settings.notion_poll_seconds if seconds is None else seconds
        pages = await self._store.claim_notion_talks(most, between)
        return sum([(await self._look(page, page))[0] for page in pages])

    async def _introduce(self) -> None:
        """Have it known to whoever takes events which are ours, and which of them we caused."""
        place = await self._workspace.place()
        await self._store.tell_notion_integration(await self._workspace.me(), place.ids)

    async def _look(self, page: UUID, block: UUID) -> tuple[int, int]:
        """Answer what is open in the comments of a page, or of a block of it. Gives how many were
        answered, and how many another process has just taken."""
        me = await self._workspace.me()
        try:
            comments = await self._notion.comments(block)
        except NotionRefused as refusal:
            await self._note(refusal, "reading")
            return 0, 0
        if self._refused != "writing":
            await self._allowed()
        asked = commands(comments, me, self._now())
        still = await self._store.open_notion_comments([each.comment for each in asked])
        asked = [each for each in asked if each.comment in still]
        if not asked or not await self._is_ours(page):
            return 0, 0
        done = [await self._answer_once(page, each, comments, me) for each in asked]
        return done.count(True), done.count(False)

    async def _is_ours(self, page: UUID) -> bool:
        if await self._store.notion_write_facts(page) is not None:
            return True
        try:
            return await self._workspace.has_row(await self._notion.page(page))
        except NotionRefused:  # deleted meanwhile, or never ours
            return False

    async def _answer_once(
        self, page: UUID, command: Command, comments: Comments, me: UUID
    ) -> bool:
        """False: another process has it."""
        known = command.name if command.name in COMMANDS else "unknown"
        begun = await self._store.begin_notion_comment(command.comment, page, known, LEASE_SECONDS)
        if begun is None:
            return False
        try:
            # Who tried before may have died after Notion had taken the answer.
            if not (begun["answer_hash"] and stands(comments, command, me, begun["answer_hash"])):
                text = await self._words(page, command)
                await self._store.note_notion_answer(command.comment, answer_hash(text))
                await self._notion.comment({"discussion_id": str(command.thread)}, text)
        except NotionRefused as refusal:
            await self._note(refusal, "writing")
            await self._store.settle_notion_comment(command.comment, "refused")
        except Unavailable:
            await self._store.settle_notion_comment(command.comment, None)
            raise
        else:
            await self._store.settle_notion_comment(command.comment, "answered")
            await self._allowed()
            log.info("notion_comment_answered", page=str(page), command=known)
        return True

    async def _words(self, page: UUID, command: Command) -> str:
        facts = await self._store.notion_write_facts(page)
        mailout = facts["mailout"] if facts else None
        now = self._now()
        if command.name not in COMMANDS or command.name == "help":
            return help_words(command.name)
        if command.name == "status":
            row = facts["row"] if facts else {}
            said = values(
                row, mailout, base_url=self._settings.app_base_url, zone=self._zone, now=now
            )
            return status_words(said)
        if mailout is None:
            return NO_MAILOUT
        mailout_id = UUID(mailout["id"])
        if command.name == "why":
            return await self._why(mailout_id, command.address, now)
        if command.is_too_late_to_act(now):
            return too_late_words(command, mailout["status"])
        act: Literal["pause", "resume"] = "pause" if command.name == "pause" else "resume"
        moved = await self._store.act_on_notion_comment(
            command.comment, act, mailout_id, command.by
        )
        return moved_words(command, moved)

    async def _why(self, mailout_id: UUID, address: str | None, now: datetime) -> str:
        if address is None:
            return NO_ADDRESS
        why = await self._store.notion_why(mailout_id, address)
        said = reason(why["mail"]) if why["mail"] else None
        return why_words(address, why, said, self._zone, now)

    async def _note(self, refusal: NotionRefused, what: Literal["reading", "writing"]) -> None:
        """Of a missing capability, for `notion check` and the dashboard; nobody asks for a while. A
        page or thread that isn't there any more is none."""
        if refusal.extra.get("notion_status") in (401, 403):
            self._refused, self._is_told = what, True
            self._rest(REFUSED_SECONDS)
            await self._store.note_notion_comments(refusal.detail)
            log.warning("notion_comments_refused", remedy=refusal.detail)

    async def _allowed(self) -> None:
        """Notion lets us: take back what was noted, by this process or one before it."""
        if self._refused or not self._is_told:
            self._refused, self._is_told = None, True
            await self._store.note_notion_comments(None)

    def _rest(self, seconds: float) -> None:
        self._rests_until = time.monotonic() + seconds
