"""Figures that only the database has, as Prometheus gauges: the same in every process.

The query has a time limit and its answer is kept for a while, so that `GET /metrics` neither hangs
when the database can't be reached nor costs it much.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, get_args

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app.domain.providers import PROVIDERS
from app.domain.reports.watch import PATIENCE_SECONDS, WatchCode, findings_of
from app.domain.states import MAILOUT_STATUSES, PAUSE_CODES
from app.errors import AppError
from app.store import Store
from app.telemetry.metrics import Metrics
from app.telemetry.standing_gauges import standing_gauges

log = structlog.get_logger(__name__)

KEPT_SECONDS = 10.0
SHARE_OF_TIME = 0.02
"""The greatest share of the time in which such a query may run."""
ANSWER_SECONDS = 2.0
RETRY_SECONDS = 2.0
ENFORCEMENT_STATUSES = ("HEALTHY", "PROBATION", "SHUTDOWN")

_REGION_GAUGES = (
    ("rate", "rate_recipients_per_second", "The rate that all senders of the region share."),
    ("tokens", "tokens", "Recipients that the shared rate would let go at this moment."),
    ("max_rate", "ses_max_rate_recipients_per_second", "The account's MaxSendRate."),
    ("quota", "ses_quota_recipients", "The account's quota for 24 hours."),
    ("quota_used", "ses_quota_used_recipients", "How much of it is used."),
    ("sending_enabled", "ses_sending_enabled", "Whether SES lets the account send."),
    ("checked_at", "ses_account_checked_timestamp_seconds", "When SES last said so."),
    ("breaker_open", "ses_region_waits", "Whether every sender waits for SES there."),
)


_WARMUP_GAUGES = (
    ("cap", "warmup_cap_recipients", "What the warm-up of the route allows today."),
    ("used", "warmup_used_recipients", "How much of it is used."),
    ("day", "warmup_plan_day", "Which day of its plan that is, from 1."),
)


class DatabaseGauges(Collector):
    """Registers itself; without a recent answer of the database only `database_up` is there."""

    def __init__(
        self, store: Store, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._gauges: list[GaugeMetricFamily] | None = None
        self._fresh_until = float("-inf")
        self._lock = asyncio.Lock()
        metrics.registry.register(self)

    async def refresh(self) -> None:
        """Ask the database unless its last answer is young enough. Raises nothing: whatever goes
        wrong, the counters beside these gauges are shown."""
        async with self._lock:
            started = self._monotonic()
            if started < self._fresh_until:
                return
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    snapshot = await self._store.metrics_snapshot()
                    figures = await self._store.watchdog_figures(PATIENCE_SECONDS)
                    standing = await standing_gauges(self._store)
                watched = {found.code: found.count for found in findings_of(figures)}
                self._gauges = [*_gauges(snapshot, watched), *standing]
                ended = self._monotonic()
                self._fresh_until = ended + max(KEPT_SECONDS, (ended - started) / SHARE_OF_TIME)
            except Exception as exc:
                self._gauges = None
                self._fresh_until = self._monotonic() + RETRY_SECONDS
                is_outage = isinstance(exc, AppError | TimeoutError)
                log.warning(
                    "metrics_without_database",
                    error=str(exc) or "no answer in time",
                    exc_info=None if is_outage else exc,
                )

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge(
            "database_up", "Whether the database answered just now.", self._gauges is not None
        )
        yield from self._gauges or ()


def _gauges(snapshot: dict[str, Any], watched: Mapping[Any, int]) -> Iterator[GaugeMetricFamily]:
    """snapshot: what `metrics_snapshot` gives. watched: the watchdog's findings by code."""
    yield _gauge("recipients_queued", "Recipients that wait for their turn.", snapshot["queued"])
    yield _gauge(
        "recipients_unknown",
        "Recipients of the last 7 days of whom nobody knows whether SES accepted the mail.",
        snapshot["unknown"],
    )
    yield _gauge(
        "senders", "Senders with a fresh heartbeat, in all processes.", snapshot["senders"]
    )
    yield _gauge(
        "notion_oldest_due_seconds",
        "How long the row of the Notion database that waits longest has been due.",
        snapshot["notion_oldest_due_seconds"],
    )
    hooks = snapshot["hooks"]
    yield _gauge("hooks_waiting", "Deliveries that wait, 100,001 at most.", hooks["waiting"])
    yield _gauge("hooks_dead", "Deliveries that were given up, 100,001 at most.", hooks["dead"])
    yield _gauge("hooks_failing", "Active hooks whose endpoint takes nothing.", hooks["failing"])
    yield _gauge("hooks_ended", "Hooks that are switched off, or gone.", hooks["ended"])
    yield _gauge(
        "hooks_oldest_due_seconds",
        "How long the delivery to an active hook that waits longest has been due.",
        hooks["oldest_seconds"],
    )
    yield _by("mailouts", "Mailouts by status.", "status", MAILOUT_STATUSES, snapshot["mailouts"])
    yield _by(
        "mailouts_paused",
        "Paused mailouts by who or what paused them.",
        "because",
        PAUSE_CODES,
        snapshot["paused"],
    )
    yield _by(
        "watchdog_findings",
        "What the watchdog warns of: how many mails, events, messages or subscribers.",
        "code",
        get_args(WatchCode),
        watched,
    )
    yield _by(
        "fallback_open",
        "1 while this provider sends in SES's place.",
        "provider",
        PROVIDERS,
        {snapshot["fallback"]: 1},
    )
    yield from _regions(snapshot["regions"])
    yield from _pacing(snapshot["paces"], snapshot["warmups"])


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"amazonsender_{name}", about, value=value)


def _by(
    name: str, about: str, label: str, known: tuple[str, ...], counts: Mapping[Any, int]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"amazonsender_{name}", about, labels=[label])
    for value in known:
        family.add_metric([value], counts.get(value, 0))
    return family


def _pacing(
    paces: list[dict[str, Any]], warmups: list[dict[str, Any]]
) -> Iterator[GaugeMetricFamily]:
    """Only what holds now: a provider that isn't slowed down, and a route without a warm-up, have
    none of these."""
    family = GaugeMetricFamily(
        "amazonsender_provider_paced_rate",
        "Recipients per second of a mailbox provider that is slowed down because it defers.",
        labels=["region", "provider"],
    )
    for pace in paces:
        family.add_metric([pace["region"], pace["provider"]], pace["rate"])
    yield family
    for key, name, about in _WARMUP_GAUGES:
        family = GaugeMetricFamily(f"amazonsender_{name}", about, labels=["region"])
        for warmup in warmups:
            family.add_metric([warmup["region"]], warmup[key])
        yield family


def _regions(regions: list[dict[str, Any]]) -> Iterator[GaugeMetricFamily]:
    """Rate, tokens, and what SES last said of the account; what isn't known yet is left out."""
    for key, name, about in _REGION_GAUGES:
        family = GaugeMetricFamily(f"amazonsender_{name}", about, labels=["region"])
        for region in regions:
            value = region[key]
            if value is not None:
                unlimited = key == "quota" and value < 0
                family.add_metric([region["region"]], float("inf") if unlimited else value)
        yield family
    family = GaugeMetricFamily(
        "amazonsender_ses_enforcement_status",
        "1 for what SES says of the account's reputation.",
        labels=["region", "status"],
    )
    for region in regions:
        if region["enforcement_status"] is not None:
            for known in ENFORCEMENT_STATUSES:
                family.add_metric([region["region"], known], known == region["enforcement_status"])
    yield family
