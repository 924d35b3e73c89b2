"""What the standing comes to, in a sentence. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.domain.standing.alarms import Alarm
from app.domain.standing.told import RegionStanding

STALE = timedelta(hours=3)
"""A look is due every hour."""


def verdict(
    alarms: Sequence[Alarm],
    regions: Sequence[RegionStanding],
    looked_at: str | None,
    now: datetime,
) -> Finding:
    """looked_at: ISO 8601; None: never."""
    if looked_at is None:
        return Finding(
            "warn",
            "Nothing was looked at yet.",
            "The process that sends does it a minute after its start; it needs all settings that "
            "sending requires.",
        )
    fails = sum(alarm.level == "fail" for alarm in alarms)
    if fails:
        return Finding("fail", f"{plural(fails, 'thing')} must be put right.", "See below.")
    if now - datetime.fromisoformat(looked_at) > STALE:
        return Finding(
            "warn",
            "The last look is hours old.",
            "See on the page of jobs why none was done since, and whether the process that sends "
            "runs.",
        )
    if alarms:
        return Finding("warn", f"{plural(len(alarms), 'thing')} should be looked at.", "See below.")
    if silent := [one.region for one in regions if one.account is None]:
        return Finding(
            "warn",
            f"Amazon didn’t say how you stand in {', '.join(silent)}.",
            "Below is why; all else is as it should be.",
        )
    return Finding("ok", "Of all that could be asked, nothing stands between you and your readers.")
