"""How the whole list responds: who came and left, what mailouts cost it, who is quiet."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from app.domain.csv_cells import protect
from app.domain.engagement.providers import OTHER, provider_of
from app.domain.readership import growth
from app.domain.readership.growth import PERIODS, By
from app.domain.readership.quiet import RULE_MAILOUTS, Tally, silent_rule
from app.store import Store

MAILOUTS = 20
"""So many of the latest are compared."""
SLICE = 20_000
REACH = 60_000
"""People that are looked at for the figures; of a longer list they are an estimate."""
SECONDS = 4.0
"""After so long no further slice is asked for; a page has 8 seconds."""
FILE_SLICE = 5_000

COLUMNS = (
    "email",
    "name",
    "group",
    "provider",
    "on_list_since",
    "last_human_at",
    "last_possible_at",
    "tracked_mails",
)


async def list_report(
    store: Store, days: int, by: By, periods: int | None = None
) -> dict[str, Any]:
    """days: how long somebody must be quiet. by, periods: how growth is told."""
    grown = await store.list_growth(by, periods or PERIODS[by])
    quiet = await quiet_figures(store, days, grown["active"])
    ids, every = await store.tracked_mailouts(days, RULE_MAILOUTS)
    return {
        "growth": growth.growth(grown) | {"by": by},
        "mailouts": [growth.churn(one) for one in await store.mailout_churn(MAILOUTS)],
        "quiet": quiet
        | {"days": days, "tracked_mailouts": every, "rule": silent_rule(days, ids, every)},
    }


async def quiet_figures(
    store: Store, days: int, active: int, *, reach: int = REACH
) -> dict[str, Any]:
    tally = Tally()
    after: UUID | None = UUID(int=0)
    start = time.monotonic()
    while after is not None and tally.looked_at < reach and time.monotonic() - start < SECONDS:
        found = await store.quiet_slice(days, after, min(SLICE, reach - tally.looked_at))
        tally.add(found)
        after = UUID(found["next"]) if found["next"] else None
    return tally.figures(active, whole=after is None)


async def quiet_file(store: Store, days: int, groups: Sequence[str]) -> AsyncIterator[str]:
    """Everybody in these groups, as CSV in pieces. Times are ISO 8601 with offset."""
    yield _csv([COLUMNS])
    after: UUID | None = UUID(int=0)
    while after is not None:
        found = await store.quiet_slice(days, after, FILE_SLICE, groups)
        yield _csv([_cells(item) for item in found["items"]])
        after = UUID(found["next"]) if found["next"] else None


def _cells(item: dict[str, Any]) -> list[str]:
    domain = item["email"].rpartition("@")[2].lower()
    values = {**item, "provider": provider_of(domain) or OTHER}
    return [protect(str(values[name])) if values[name] is not None else "" for name in COLUMNS]


def _csv(rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\r\n").writerows(rows)  # RFC 4180, section 2
    return out.getvalue()
