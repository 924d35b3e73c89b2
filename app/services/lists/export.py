"""Exports subscribers as CSV, page by page: any number of them in little memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.people import Filter
from app.store import Store
from app.store.people import Place

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
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180, section 2
        writer.writerow(rows.header())
        yield BYTE_ORDER_MARK + out.getvalue()
        after: Place | None = None
        while True:
            page = await self._store.subscribers_page(self._wanted, PAGE, after)
            if page.items:
                out = io.StringIO(newline="")
                csv.writer(out, lineterminator="\r\n").writerows(map(rows.row, page.items))
                self.count += len(page.items)
                yield out.getvalue()
            if page.next is None:
                return
            after = page.next
