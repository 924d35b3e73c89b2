"""Events of Notion, and commands in comments."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Literal
from uuid import UUID

from app.domain.mailouts import Transition
from app.domain.notion.events import Event
from app.store.calls import Calls, require


class NotionTalkCalls(Calls):
    async def take_notion_event(self, event: Event, database_id: UUID | None) -> str:
        """What is done about it: look, talk, schema; or why nothing is: own, elsewhere, copy.
        database_id: of the owner's database or data source, as far as it is known without asking
        Notion."""
        row = await self._call(
            "take_notion_event",
            p_event={
                "id": event.id,
                "type": event.type,
                "act": event.act,
                "page": str(event.page) if event.page else None,
                "block": str(event.block) if event.block else None,
                "comment": str(event.comment) if event.comment else None,
                "places": [str(place) for place in event.places],
                "ours": database_id in event.places,
                "bots": None if event.bots is None else [str(bot) for bot in event.bots],
            },
        )
        outcome: str = row["outcome"]
        return outcome

    async def keep_notion_verification(self, token: str) -> None:
        """For an hour; of many only the newest few."""
        await self._call("keep_notion_verification", p_token=token)

    async def notion_webhook(self) -> dict[str, Any]:
        """`tokens`: each with `token` and `received_at`, the newest first; `last_event`: when it
        came; `comments_refused`: what Notion says to our reading or writing comments, and since
        when (`refused_at`)."""
        row: dict[str, Any] = await self._call("notion_webhook")
        require(row, "tokens", "last_event", "comments_refused", "refused_at")
        return row

    async def forget_notion_verifications(self) -> None:
        await self._call("forget_notion_verifications")

    async def tell_notion_integration(self, bot_id: UUID, places: Collection[UUID]) -> None:
        """bot_id: the user that our own writes are by. places: ids of the owner's database and
        data source."""
        await self._call(
            "tell_notion_integration",
            p_bot=str(bot_id),
            p_places=sorted(str(place) for place in places),
        )

    async def claim_notion_talks(self, limit: int, seconds: float) -> list[UUID]:
        """Pages whose comments are to be looked at now. seconds: between two looks at one."""
        pages = await self._call("claim_notion_talks", p_limit=limit, p_seconds=seconds)
        return [UUID(page) for page in pages]

    async def open_notion_comments(self, comments: Sequence[UUID]) -> set[UUID]:
        """Those that nobody has answered."""
        if not comments:
            return set()
        found = await self._call(
            "open_notion_comments", p_comments=[str(comment) for comment in comments]
        )
        return {UUID(comment) for comment in found}

    async def begin_notion_comment(
        self, comment_id: UUID, page_id: UUID, command: str, lease_seconds: float
    ) -> dict[str, Any] | None:
        """Take it, to answer it. `answer_hash`: of an answer that an earlier try may have written.
        None: another has it, or it was answered."""
        row: dict[str, Any] | None = await self._call(
            "begin_notion_comment",
            p_comment=str(comment_id),
            p_page=str(page_id),
            p_command=command,
            p_lease_seconds=lease_seconds,
        )
        if row is not None:
            require(row, "tries", "answer_hash")
        return row

    async def act_on_notion_comment(
        self, comment_id: UUID, act: Literal["pause", "resume"], mailout_id: UUID, by: str
    ) -> Transition:
        """Once, however often it is called for this comment."""
        row = await self._call(
            "act_on_notion_comment",
            p_comment=str(comment_id),
            p_act=act,
            p_mailout=str(mailout_id),
            p_by=by,
        )
        return Transition(**row)

    async def note_notion_answer(self, comment_id: UUID, answer_hash: str) -> None:
        await self._call("note_notion_answer", p_comment=str(comment_id), p_hash=answer_hash)

    async def settle_notion_comment(
        self, comment_id: UUID, outcome: Literal["answered", "refused"] | None
    ) -> None:
        """None: another may try at once."""
        await self._call("settle_notion_comment", p_comment=str(comment_id), p_outcome=outcome)

    async def note_notion_comments(self, refused: str | None) -> None:
        """What Notion says to our reading or writing comments; None: it lets us."""
        await self._call("note_notion_comments", p_refused=refused)

    async def notion_write_facts(self, page_id: UUID) -> dict[str, Any] | None:
        """`row` and `mailout` (None: there is none yet) of a page; None: it is no row that was ever
        looked at."""
        row: dict[str, Any] | None = await self._call("notion_write_facts", p_page=str(page_id))
        if row is not None:
            require(row, "row", "mailout")
        return row

    async def notion_why(self, mailout_id: UUID, email: str) -> dict[str, Any]:
        """What is known of a person in a mailout (migrations/functions/notion/notion_talk.sql)."""
        row: dict[str, Any] = await self._call(
            "notion_why", p_mailout=str(mailout_id), p_email=email
        )
        require(row, "subscriber", "erased", "mail", "fits", "status", "started_at", "queued")
        return row

    async def recent_notion_rows(self, limit: int) -> list[dict[str, Any]]:
        """Those that something was asked of or that changed lately: `page_id`, `title`, `status`,
        `row`, `mailout` (None: none yet)."""
        rows: list[dict[str, Any]] = await self._call("recent_notion_rows", p_limit=limit)
        return rows
