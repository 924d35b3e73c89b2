"""CloudWatch through log lines: what was counted in the last minute, in embedded metric format.

The CloudWatch agent, Lambda and ECS's log driver turn such a line on standard output into metrics.
There is one dimension, the region (the first of several, for all together): each further
combination of values would be billed as a metric of its own.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import orjson

from app.running.loops import Loops
from app.settings import Settings
from app.telemetry.metrics import Metrics

EVERY_SECONDS = 60.0
NAMESPACE = "AmazonSender"

# Name in CloudWatch, unit, and the sample (with its label) whose growth it shows.
_COUNTS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("Sent", "Count", "recipients_total", ("sent",)),
    ("Failed", "Count", "recipients_total", ("failed",)),
    ("Unknown", "Count", "recipients_total", ("unknown",)),
    ("Throttled", "Count", "ses_throttled_recipients_total", ()),
    ("SesCalls", "Count", "ses_call_seconds_count", ()),
    ("SesCallSeconds", "Seconds", "ses_call_seconds_sum", ()),
    ("Delivered", "Count", "ses_events_total", ("delivery",)),
    ("Bounced", "Count", "ses_events_total", ("bounce",)),
    ("BouncedPermanently", "Count", "bounces_total", ("permanent",)),
    ("Complained", "Count", "ses_events_total", ("complaint",)),
    ("EventsUnmatched", "Count", "ses_events_unmatched_total", ()),
    ("BadSignatures", "Count", "sns_messages_refused_total", ("bad_signature",)),
)


class CloudWatch:
    """Remembers the totals of its last line, so that the next one has the growth since."""

    def __init__(
        self, metrics: Metrics, region: str | None, *, now: Callable[[], float] = time.time
    ) -> None:
        """now: seconds since 1970."""
        self._metrics = metrics
        self._region = region or "none"
        self._now = now
        self._told = self._totals()

    def line(self) -> str:
        """One JSON object without a line break at its end."""
        totals = self._totals()
        growth = {name: totals[name] - self._told[name] for name in totals}
        self._told = totals
        about = {
            "Timestamp": int(self._now() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [["Region"]],
                    "Metrics": [{"Name": name, "Unit": unit} for name, unit, _, _ in _COUNTS],
                }
            ],
        }
        return orjson.dumps({"_aws": about, "Region": self._region, **growth}).decode()

    def write(self) -> None:
        """Write a line to standard output; drop it when nobody reads that any more."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            sys.stdout.write(self.line() + "\n")
            sys.stdout.flush()

    def _totals(self) -> dict[str, float]:
        samples = self._metrics.totals()
        return {
            name: samples[f"amazonsender_{sample}", labels] for name, _, sample, labels in _COUNTS
        }


@asynccontextmanager
async def telling_cloudwatch(
    settings: Settings, metrics: Metrics, loops: Loops
) -> AsyncIterator[None]:
    """Write a line a minute to standard output, and one at the end, if the settings say so."""
    if not settings.metrics_cloudwatch:
        yield
        return
    cloudwatch = CloudWatch(metrics, settings.home.name)

    async def write() -> None:
        cloudwatch.write()

    loops.start("cloudwatch", write, EVERY_SECONDS, first_after=EVERY_SECONDS)
    try:
        yield
    finally:
        cloudwatch.write()
