"""Calls the functions of `migrations/functions/notion/rows.sql` and `source.sql` by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from app.domain.notion.row import Row
from app.store.calls import Calls, require, text


class NotionRowCalls(Calls):
    async def notion_news(self, pages: Sequence[UUID], *, calls: bool = False) -> None:
        """Have each page looked at, once more if somebody is just looking. calls: the news ask to
        send although they name no Status."""
        if pages:
            await self._call("notion_news", p_pages=[str(page) for page in pages], p_calls=calls)

    async def ask_notion_row(
        self,
        page_id: UUID,
        title: str | None,
        *,
        calls: bool,
        request_key: str | None = None,
        request_hash: str | None = None,
    ) -> dict[str, Any] | None:
        """Make the row's draft and have it looked at; gives `mailout_id` and `status`. None: a
        mailout that was made by hand has this page. calls: as of `notion_news`."""
        row: dict[str, Any] | None = await self._call(
            "ask_notion_row",
            p_page=str(page_id),
            p_title=title,
            p_calls=calls,
            p_request_key=request_key,
            p_request_hash=request_hash,
        )
        return row

    async def make_notion_mailout(self, page_id: UUID, title: str | None) -> UUID | None:
        """The mailout of a row that is known, a new draft where there is none. None: one that was
        made by hand has the page."""
        found = await self._call("make_notion_mailout", p_page=str(page_id), p_title=title)
        return None if found is None else UUID(found)

    async def notion_row(self, page_id: UUID) -> Row | None:
        row = await self._call("notion_row", p_page=str(page_id))
        return None if row is None else Row.from_json(row)

    async def save_notion_row(self, row: Row, change: Mapping[str, Any]) -> Row | None:
        """change: columns by name. None: somebody else wrote it since, and nothing is changed."""
        saved = await self._call(
            "save_notion_row",
            p_page=str(row.page_id),
            p_version=row.version,
            p_change=dict(change),
        )
        return None if saved is None else Row.from_json(saved)

    async def freeze_notion_row(
        self, row: Row, frozen: Mapping[str, Any], *, twice: bool
    ) -> tuple[Row | None, dict[str, Any] | None]:
        """Keep `press`, `hash` and `page` of what is about to be sent. The second: `title`,
        `mailout_id` and `status` of another row with the same content that was sent or is about to
        be; then nothing is kept, unless twice. Neither: somebody else wrote the row."""
        done = await self._call(
            "freeze_notion_row",
            p_page=str(row.page_id),
            p_version=row.version,
            p_frozen=dict(frozen),
            p_twice=twice,
        )
        if done is None:
            return None, None
        return (Row.from_json(done["row"]) if "row" in done else None), done.get("twin")

    async def end_notion_look(self, page_id: UUID, news: int, job_id: UUID) -> bool:
        """A look that began with so many news is over. True: there are more, look again."""
        again: bool = await self._call(
            "end_notion_look", p_page=str(page_id), p_news=news, p_job=str(job_id)
        )
        return again

    async def forget_notion_row(self, page_id: UUID) -> bool:
        """The page is none of ours. Gives whether a draft was deleted with it."""
        deleted: bool = await self._call("forget_notion_row", p_page=str(page_id))
        return deleted

    async def known_notion_rows(self, pages: Sequence[UUID]) -> list[dict[str, Any]]:
        """`page_id`, `status`, `edited_at`, `seen`, `gone`, `open` and `mailout_status` of these,
        and of all to which something may happen yet."""
        rows: list[dict[str, Any]] = await self._call(
            "known_notion_rows", p_pages=[str(page) for page in pages]
        )
        return rows

    async def answer_forsaken_notion_rows(self, problem: str) -> int:
        """For rows whose job ended without an answer. Gives how many there were."""
        count: int = await self._call("answer_forsaken_notion_rows", p_problem=problem)
        return count

    async def forget_idle_looks(self) -> int:
        """Jobs of looks that found nothing to do, once they are old; gives how many."""
        count: int = await self._call("forget_idle_looks")
        return count

    async def begin_notion_poll(self, seconds: float) -> bool:
        """Whether it is our turn: of all who ask within `seconds`, one's."""
        ours: bool = await self._call("begin_notion_poll", p_seconds=seconds)
        return ours

    async def tell_notion_source(
        self, configured: str, database_id: UUID | None, data_source_id: UUID
    ) -> None:
        """Which database and data source NOTION_DATABASE_ID names."""
        await self._call(
            "tell_notion_source",
            p_configured=configured,
            p_database=text(database_id),
            p_data_source=str(data_source_id),
        )

    async def notion_source(self, configured: str) -> frozenset[UUID] | None:
        """The ids of both, for whoever may not ask Notion. None: nobody found them yet."""
        row = await self._call("notion_source", p_configured=configured)
        if row is None:
            return None
        return frozenset(UUID(row[n]) for n in ("database_id", "data_source_id") if row[n])

    async def note_notion_trouble(self, trouble: str | None) -> bool:
        """Why the rows can't be looked through; None: they can be. Gives whether that is new."""
        new: bool = await self._call("note_notion_trouble", p_trouble=trouble)
        return new

    async def notion_trouble(self) -> dict[str, Any] | None:
        """`trouble` and `since`; None: the rows can be looked through."""
        row: dict[str, Any] | None = await self._call("notion_trouble")
        if row is not None:
            require(row, "trouble", "since")
        return row
