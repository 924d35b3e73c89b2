"""CloudWatch through log lines: what was counted in the last minute, in embedded metric format.

The CloudWatch agent, Lambda and ECS's log driver turn such a line on standard output into metrics.
There is one dimension, the region: each further combination of values would be billed as a metric
of its own. The first region's line has all figures: what isn't of one region is of all together.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import orjson

from app.running.loops import Loops
from app.settings import Settings
from app.telemetry.metrics import Metrics

EVERY_SECONDS = 60.0
NAMESPACE = "AmazonSender"

Figure = tuple[str, str, str, tuple[str, ...]]
"""Name in CloudWatch, unit, and the sample (with its label) whose growth it shows."""

_OF_ALL: tuple[Figure, ...] = (
    ("Sent", "Count", "recipients_total", ("sent",)),
    ("Failed", "Count", "recipients_total", ("failed",)),
    ("Unknown", "Count", "recipients_total", ("unknown",)),
    ("Delivered", "Count", "ses_events_total", ("delivery",)),
    ("Bounced", "Count", "ses_events_total", ("bounce",)),
    ("BouncedPermanently", "Count", "bounces_total", ("permanent",)),
    ("Complained", "Count", "ses_events_total", ("complaint",)),
    ("EventsUnmatched", "Count", "ses_events_unmatched_total", ()),
    ("BadSignatures", "Count", "sns_messages_refused_total", ("bad_signature",)),
)


def _of_region(region: str) -> tuple[Figure, ...]:
    return (
        ("SesAccepted", "Count", "ses_recipients_total", (region,)),
        ("Throttled", "Count", "ses_throttled_recipients_total", (region,)),
        ("SesCalls", "Count", "ses_call_seconds_count", (region,)),
        ("SesCallSeconds", "Seconds", "ses_call_seconds_sum", (region,)),
    )


class CloudWatch:
    """Remembers the totals of its last lines, so that the next ones have the growth since."""

    def __init__(
        self, metrics: Metrics, regions: Sequence[str], *, now: Callable[[], float] = time.time
    ) -> None:
        """regions: of SES, the preferred one first. now: seconds since 1970."""
        self._metrics = metrics
        self._figures: dict[str, tuple[Figure, ...]] = {
            region: _of_region(region) for region in regions or ("none",)
        }
        home = next(iter(self._figures))
        self._figures[home] = (*_OF_ALL, *self._figures[home])
        self._now = now
        self._told = metrics.totals()

    def lines(self) -> list[str]:
        """For each region one JSON object without a line break at its end."""
        before, self._told = self._told, self._metrics.totals()
        lines = []
        for region, figures in self._figures.items():
            samples = {
                name: (f"amazonsender_{sample}", labels) for name, _, sample, labels in figures
            }
            growth = {
                name: self._told.get(sample, 0) - before.get(sample, 0)
                for name, sample in samples.items()
            }
            about = {
                "Timestamp": int(self._now() * 1000),
                "CloudWatchMetrics": [
                    {
                        "Namespace": NAMESPACE,
                        "Dimensions": [["Region"]],
                        "Metrics": [{"Name": name, "Unit": unit} for name, unit, _, _ in figures],
                    }
                ],
            }
            lines.append(orjson.dumps({"_aws": about, "Region": region, **growth}).decode())
        return lines

    def write(self) -> None:
        """Write the lines to standard output; drop them when nobody reads that any more."""
        with suppress(OSError, ValueError):  # ValueError: it is closed
            sys.stdout.write("".join(line + "\n" for line in self.lines()))
            sys.stdout.flush()


@asynccontextmanager
async def telling_cloudwatch(
    settings: Settings, metrics: Metrics, loops: Loops
) -> AsyncIterator[None]:
    """Write lines to standard output, once a minute and at the end, if the settings say so."""
    if not settings.metrics_cloudwatch:
        yield
        return
    cloudwatch = CloudWatch(metrics, settings.region_names)

    async def write() -> None:
        cloudwatch.write()

    loops.start("cloudwatch", write, EVERY_SECONDS, first_after=EVERY_SECONDS)
    try:
        yield
    finally:
        cloudwatch.write()
