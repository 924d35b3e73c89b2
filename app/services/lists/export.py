"""Exports subscribers as CSV, page by page: any number of them in little memory."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable, Sequence

from app.domain.csv_cells import rows_of_columns
from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.people import Filter
from app.store import Store
from app.store.people import Cells, Place

PAGE = 1_000
PAGE_MOST, PAGE_CHARS = 4_000, 1_000_000
"""People of a page, as far as those of the page before let expect so few characters: a call costs
as much as a hundred people."""
_HEAD_START_SECONDS = 0.001
"""So long the next page is asked for before this one is written: else the question would leave when
that is done, since no other task runs meanwhile."""


class Export:
    """wanted: whom; {}: everybody. count: how many were written."""

    def __init__(self, store: Store, wanted: Filter) -> None:
        self._store, self._wanted = store, wanted
        self.count = 0

    async def parts(self) -> AsyncIterator[str]:
        """The file's text, UTF-8 to be, in pieces: subscribers in the order of their addresses
        (or of what is looked for), with every field that one had when the export began. Raises
        Unavailable."""
        rows = ExportedRows(*await self._store.subscriber_field_names())
        yield BYTE_ORDER_MARK + _csv([rows.header()])
        after: Place | None = None
        limit = PAGE
        coming = asyncio.create_task(self._page(rows, after, limit))
        try:
            while True:
                page, before = await coming, after
                after = page.next
                if page.count:
                    limit = page.count * PAGE_CHARS // len(page.people)
                    limit = max(PAGE // 10, min(limit, PAGE_MOST))
                if after is not None:  # PostgreSQL reads it while this one is written
                    coming = asyncio.create_task(self._page(rows, after, limit))
                    await asyncio.wait({coming}, timeout=_HEAD_START_SECONDS)
                count = page.count
                columns = rows.columns(page.people, count)
                if columns is not None:
                    text = rows_of_columns(columns)
                else:
                    # Who looks for few may be shown fewer at once by that way, so it says where
                    # to go on.
                    coming.cancel()
                    found = await self._store.subscribers_page(self._wanted, PAGE, before)
                    text, count, after = (
                        _csv(map(rows.row, found.items)),
                        len(found.items),
                        found.next,
                    )
                    if after is not None:
                        coming = asyncio.create_task(self._page(rows, after, limit))
                if count:
                    self.count += count
                    yield text
                if after is None:
                    return
        finally:
            coming.cancel()

    async def _page(self, rows: ExportedRows, after: Place | None, limit: int) -> Cells:
        return await self._store.export_page(self._wanted, limit, after, rows.texts, rows.others)


def _csv(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180, section 2
    return out.getvalue()
