"""What is told of the sender's standing: the same for the page, the API and the command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from app.domain.standing.alarms import stored_alarms
from app.domain.standing.rates import WINDOWS, rates
from app.domain.standing.told import RegionStanding
from app.domain.standing.words import verdict
from app.services.standing.look import rates_by_window
from app.store import Store

DAYS = 30
"""Of trends."""


async def standing_report(store: Store, *, now: datetime | None = None) -> dict[str, Any]:
    """verdict: what it comes to, as a finding. rates: by the days of their window. days: oldest
    first, without those on which nothing came. regions: what was told of each at the latest
    look. `looked_at`: None: there was none yet."""
    shown = await store.show_standing()
    found = await store.provider_figures(WINDOWS, DAYS)
    regions = [RegionStanding.from_stored(row["region"], row["sample"]) for row in shown["regions"]]
    alarms = stored_alarms(shown["alarms"])
    looked_at = shown["looked_at"]
    by_window = rates_by_window(found)
    return {
        "looked_at": looked_at,
        "waiting": shown["waiting"],
        "verdict": verdict(alarms, regions, looked_at, now or datetime.now(UTC)).to_row(),
        "alarms": [vars(alarm) for alarm in alarms],
        "rates": {str(days): [one.to_json() for one in by_window[days]] for days in WINDOWS},
        "days": _days(found),
        "regions": [
            {"region": one.region, "taken_at": row["taken_at"], **one.to_stored()}
            for one, row in zip(regions, shown["regions"], strict=True)
        ],
        "sent": await store.standing_days(DAYS),
    }


def _days(found: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows: Sequence[Mapping[str, Any]] = found["days"]
    days = sorted({row["day"] for row in rows})
    return [
        {"day": day}
        | rates([row for row in rows if row["day"] == day], found["complained"])[0].to_json()
        for day in days
    ]
