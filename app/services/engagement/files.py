"""A mailout's engagement as CSV: its figures, and what each recipient did."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from app.domain.csv_cells import protect
from app.domain.engagement.report import CLASSES, KINDS
from app.domain.retention.dropped import require_details
from app.services.engagement.reports import EngagementReports
from app.store import Store

FIGURES = ("what", "url", "class", "people", "events")
RECIPIENTS = ("email", "status", "opened", "opened_at", "clicked", "clicked_at")
PAGE = 1_000


async def figures_csv(reports: EngagementReports, mailout_id: UUID) -> AsyncIterator[str]:
    """A row for each class of the opens, of the clicks, and of each link: `what` is `opens`,
    `clicks` or `link`. Raises MailoutNotFound."""
    report = await reports(mailout_id)
    yield _csv([FIGURES])
    yield _csv(_figures(report))


async def recipients_csv(store: Store, mailout_id: UUID) -> AsyncIterator[str]:
    """A row for each recipient in the order in which they were queued, in pieces of PAGE. `opened`,
    `clicked`: the best of what they did (human, unknown, machine), with the first time; empty:
    nothing that was judged. Times are ISO 8601 with offset. Raises MailoutNotFound, DetailsGone."""
    require_details(await store.mailout_headline(mailout_id))
    yield _csv([RECIPIENTS])
    after = UUID(int=0)
    while rows := await store.engagement_page(mailout_id, after, PAGE):
        after = UUID(rows[-1]["subscriber_id"])
        yield _csv([_cell(row[name]) for name in RECIPIENTS] for row in rows)


def _figures(report: Mapping[str, Any]) -> Iterator[list[str]]:
    events: dict[tuple[str, str], int] = {}
    for row in report["reasons"]:
        key = (f"{row['kind']}s", row["class"])
        events[key] = events.get(key, 0) + row["events"]
    for kind in KINDS:
        for name in CLASSES:
            yield [kind, "", name, str(report[kind][name]), str(events.get((kind, name), 0))]
    for link in report["links"]:
        for name in CLASSES:
            # How often it was followed is known of all together.
            often = str(link["events"]) if name == CLASSES[0] else ""
            yield ["link", protect(link["url"]), name, str(link[name]), often]


def _cell(value: object) -> str:
    return "" if value is None else protect(str(value))


def _csv(rows: Iterable[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180, section 2
    return out.getvalue()
