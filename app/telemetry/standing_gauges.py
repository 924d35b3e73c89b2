"""The sender's standing as gauges: shares by mailbox provider, and alarms."""

from __future__ import annotations

from collections import Counter

from prometheus_client.core import GaugeMetricFamily

from app.domain.standing.rates import WINDOWS, Share, rates
from app.store import Store

LEVELS = ("warn", "fail")


async def standing_gauges(store: Store) -> list[GaugeMetricFamily]:
    """Raises Unavailable."""
    told = await store.standing_alarms()
    found = await store.provider_figures(WINDOWS, 0)
    checked = GaugeMetricFamily(
        "amazonsender_standing_checked_timestamp_seconds",
        "When the sender's standing was looked at.",
    )
    if told["looked_at"] is not None:
        checked.add_metric([], told["looked_at"])
    alarms = GaugeMetricFamily(
        "amazonsender_standing_alarms", "Alarms that last.", labels=["level"]
    )
    levels = Counter(alarm["level"] for alarm in told["alarms"])
    for level in LEVELS:
        alarms.add_metric([level], levels[level])
    return [checked, alarms, *_shares(found)]


def _shares(found: dict[str, list[dict[str, object]]]) -> list[GaugeMetricFamily]:
    """What isn't known is left out."""
    labels = ["provider", "days"]
    mails, bounces, complaints = (
        GaugeMetricFamily(f"amazonsender_standing_{name}", about, labels=labels)
        for name, about in (
            ("mails", "Mails that were delivered or bounced for good."),
            ("bounce_ratio", "The share of them that bounced for good."),
            ("complaint_ratio", "The share of delivered mails that were reported as spam."),
        )
    )
    for days in WINDOWS:
        rows = [row for row in found["windows"] if row["window"] == days]
        for one in rates(rows, map(str, found["complained"])):
            at = [one.provider, str(days)]
            mails.add_metric(at, one.counts.outcomes)
            _add(bounces, at, one.bounces)
            _add(complaints, at, one.complaints)
    return [mails, bounces, complaints]


def _add(family: GaugeMetricFamily, at: list[str], share: Share | None) -> None:
    if share is not None and share.value is not None:
        family.add_metric(at, share.value)
