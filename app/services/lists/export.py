"""Exports subscribers as CSV, page by page: any number of them in little memory."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Iterable

from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.people import Filter
from app.store import Store
from app.store.people import Lines, Place

PAGE = 1_000


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
        coming = asyncio.create_task(self._page(rows, after))
        try:
            while True:
                page, before = await coming, after
                after = page.next
                if after is not None:  # PostgreSQL reads it while this one is written
                    coming = asyncio.create_task(self._page(rows, after))
                cells = rows.rows(page.people, page.count)
                if cells is None:
                    # Who looks for few may be shown fewer at once by that way, so it says where
                    # to go on.
                    coming.cancel()
                    found = await self._store.subscribers_page(self._wanted, PAGE, before)
                    cells, after = [rows.row(item) for item in found.items], found.next
                    if after is not None:
                        coming = asyncio.create_task(self._page(rows, after))
                if cells:
                    self.count += len(cells)
                    yield _csv(cells)
                if after is None:
                    return
        finally:
            coming.cancel()

    async def _page(self, rows: ExportedRows, after: Place | None) -> Lines:
        return await self._store.export_page(self._wanted, PAGE, after, rows.texts, rows.others)


def _csv(rows: Iterable[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180, section 2
    return out.getvalue()
