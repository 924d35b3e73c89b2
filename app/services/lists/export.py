"""Exports subscribers as CSV, page by page: any number of them in little memory."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator

from app.domain.lists.export import BYTE_ORDER_MARK, ExportedRows
from app.domain.states import SubscriberStatus
from app.store import Store

PAGE = 1_000


class Export:
    """status: only theirs; None: all. count: how many were written."""

    def __init__(self, store: Store, status: SubscriberStatus | None = None) -> None:
        self._store, self._status = store, status
        self.count = 0

    async def parts(self) -> AsyncIterator[str]:
        """The file's text, UTF-8 to be, in pieces: subscribers in the order of their addresses,
        with every field that one had when the export began. Raises Unavailable."""
        rows = ExportedRows(*await self._store.subscriber_field_names())
        out = io.StringIO(newline="")
        writer = csv.writer(out, lineterminator="\r\n")  # RFC 4180, section 2
        writer.writerow(rows.header())
        yield BYTE_ORDER_MARK + out.getvalue()
        after: str | None = None
        while page := await self._store.list_subscribers(PAGE, status=self._status, after=after):
            after = page[-1]["email"]
            out = io.StringIO(newline="")
            csv.writer(out, lineterminator="\r\n").writerows(map(rows.row, page))
            self.count += len(page)
            yield out.getvalue()
