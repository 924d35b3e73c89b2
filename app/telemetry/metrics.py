"""What a service counts, for Prometheus (`GET /metrics`) and CloudWatch.

The processes under one supervisor count on one board (counts.py) and are scraped as one; several
services are scraped each by itself, and Prometheus adds them up. What only the database knows is in
database_gauges.py. Every known label is there from the start, so that a rate can be told
from the first event on. No label ever holds an address, an id or a subject.

Names: https://prometheus.io/docs/practices/naming/
"""

from __future__ import annotations

import platform
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from app import __version__
from app.domain.hooks.deliveries import Outcome as HookOutcome
from app.domain.notion.writes import NotionWrite
from app.domain.providers import PROVIDERS, Provider
from app.domain.sending.batches import Outcome, Result
from app.domain.ses.answers import Answer
from app.domain.ses.events import EVENT_TYPES
from app.domain.slack.news import SlackResult
from app.telemetry.counts import ALONE, Board, CellAllocator, Counter, Histogram, Processes, Row

CALL_RESULTS = (
    "ok",  # SES accepted at least one of the recipients
    "throttled",
    "quota",
    "account",
    "configuration",
    "content",  # the mailout's own: not what SES takes
    "refused",
    "not_ses",  # by something in between, such as a proxy
    "not_connected",
    "not_sent",  # the lease was lost, so the request was stopped before it left
    "unknown",  # no answer, a cut one, or a 5xx
)
BOUNCE_KINDS = ("permanent", "transient", "undetermined", "suppressed")
REFUSED_MESSAGES = (
    "bad_signature",
    "forbidden_source",
    "certificate_unavailable",
    "malformed_sns_message",
    "raw_message_delivery",
    "payload_too_large",
    "too_many_requests",
)
NOTION_EVENTS = (
    "look",
    "talk",
    "schema",
    "own",
    "elsewhere",
    "copy",
    "ignored",
    "verification",
    "notion_signature_wrong",
    "notion_not_configured",
    "malformed_notion_event",
    "payload_too_large",
    "database_unavailable",
)
PROVIDER_WEBHOOKS = (
    "taken",
    "webhook_signature_wrong",
    "webhook_stale",
    "malformed_webhook",
    "payload_too_large",
    "provider_not_configured",
    "unavailable",
    "database_unavailable",
)
QUEUES = ("rabbitmq", "sqs", "ses_events")
QUEUE_FATES = ("done", "buried", "back")  # back: for another try, later or elsewhere
BREAKER_STATES = ("closed", "half_open", "open")

# Bounces that SES reports without having tried: its own lists, not a fault of this mailout.
# https://docs.aws.amazon.com/ses/latest/dg/notification-contents.html#bounce-types
_SUPPRESSED = {"Suppressed", "OnAccountSuppressionList", "UnsubscribedRecipient"}
_LAG_BUCKETS = (0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)
_CALL_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)  # 30 s: the adapter's limit


class Metrics:
    """The instruments of a service, and a method for each occasion on which the program counts.

    board, role: where a process under a supervisor counts; else it has a board of its own.
    regions: of SES, from which this service sends; the same in each of its processes.
    """

    def __init__(
        self, board: Board | None = None, role: str = ALONE, regions: Sequence[str] = ()
    ) -> None:
        board = board or Board()
        self._row = board.rows[role]
        self._allocator = CellAllocator(board, role)
        self.registry = CollectorRegistry()
        if board.is_supervised:
            self.registry.register(Processes(board))
        else:
            ProcessCollector(registry=self.registry)
        self.registry.register(_BreakerState(board))
        build = Gauge(
            "amazonsender_build_info",
            "The version that runs; always 1.",
            ("version", "python"),
            registry=self.registry,
        )
        build.labels(__version__, platform.python_version()).set(1)
        self._recipients = self._counter(
            "recipients_total",
            "Results recorded, test mails aside; retry and requeue will be sent again.",
            ("outcome",),
            product(get_args(Outcome)),
        )
        self._calls = self._counter(
            "ses_calls_total",
            "Calls to SES by what came of them.",
            ("operation", "region", "result"),
            [
                *product(("SendBulkEmail", "SendEmail"), regions, CALL_RESULTS),
                *product(("GetAccount", "ListSuppressedDestinations"), regions, ("ok", "unknown")),
            ],
        )
        self._call_seconds = self._histogram(
            "ses_call_seconds",
            "Seconds that a call to SES with mail took.",
            _CALL_BUCKETS,
            ("region",),
            product(regions),
        )
        self._accepted = self._counter(
            "ses_recipients_total",
            "Recipients whose mail SES accepted, test mails and those to the owner, too.",
            ("region",),
            product(regions),
        )
        self._throttled = self._counter(
            "ses_throttled_recipients_total",
            "Recipients that SES refused for being too fast.",
            ("region",),
            product(regions),
        )
        self._token_wait = self._counter(
            "token_wait_seconds_total", "Seconds in which the sender waited for the shared rate."
        )
        self._events = self._counter(
            "ses_events_total",
            "SES events committed, copies aside.",
            ("type",),
            product(EVENT_TYPES),
        )
        self._bounces = self._counter(
            "bounces_total",
            "Bounces by kind; suppressed: SES did not try, because of a list of its own.",
            ("kind",),
            product(BOUNCE_KINDS),
        )
        self._copies = self._counter(
            "ses_event_copies_total", "SES events that came again and changed nothing."
        )
        self._unmatched = self._counter(
            "ses_events_unmatched_total", "SES events that fitted no recipient when they came."
        )
        self._lag = self._histogram(
            "ses_event_lag_seconds",
            "Seconds between what an SES event tells and its commit here.",
            _LAG_BUCKETS,
        )
        self._refused = self._counter(
            "sns_messages_refused_total",
            "Messages to /ses-events that were not taken.",
            ("reason",),
            product(REFUSED_MESSAGES),
        )
        self._limited = self._counter(
            "requests_limited_total",
            "Requests answered with 429, because their client was refused too often.",
        )
        self._notion_events = self._counter(
            "notion_events_total",
            "Requests to /notion-events by what was done about them, or why nothing was.",
            ("outcome",),
            product(NOTION_EVENTS),
        )
        self._provider_webhooks = self._counter(
            "provider_webhooks_total",
            "Requests to /sendgrid-events and /mailgun-events, by what came of them.",
            ("provider", "outcome"),
            product(PROVIDERS, PROVIDER_WEBHOOKS),
        )
        self._provider_calls = self._counter(
            "provider_calls_total",
            "Calls with mail to the fallback providers, by what came of them.",
            ("provider", "result"),
            product(PROVIDERS, CALL_RESULTS),
        )
        self._provider_accepted = self._counter(
            "provider_recipients_total",
            "Recipients whose mail a fallback provider accepted.",
            ("provider",),
            product(PROVIDERS),
        )
        self._notion_writes = self._counter(
            "notion_writes_total",
            "Rows of the Notion database that were due, by what came of it.",
            ("result",),
            product(get_args(NotionWrite)),
        )
        self._slack = self._counter(
            "slack_requests_total",
            "Requests to the owner's Slack by what came of them.",
            ("result",),
            product(get_args(SlackResult)),
        )
        self._queues = self._counter(
            "queue_messages_total",
            "Messages of queues by what became of them.",
            ("queue", "fate"),
            product(QUEUES, QUEUE_FATES),
        )
        self._hooks = self._counter(
            "hook_deliveries_total",
            "Tries to deliver to an outgoing webhook, by what came of them.",
            ("outcome",),
            product(get_args(HookOutcome)),
        )

    def totals(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """Every sample of this moment by its name and label values."""
        return {
            (sample.name, tuple(sample.labels.values())): sample.value
            for family in self.registry.collect()
            for sample in family.samples
        }

    def page(self) -> bytes:
        """Prometheus's text format, version 0.0.4."""
        return generate_latest(self.registry)

    def breaker_is(self, state: str) -> None:
        """state: one of BREAKER_STATES, of this process's sender."""
        self._row.state = 1 + BREAKER_STATES.index(state)

    def call_ended(
        self, region: str, operation: str, answers: Sequence[Answer], seconds: float
    ) -> None:
        """A call with mail ended; answers: one per recipient, at least one."""
        self._calls.labels(operation, region, call_result(answers)).inc()
        self._call_seconds.labels(region).observe(seconds)
        self._accepted.labels(region).inc(sum(answer.outcome == "sent" for answer in answers))
        throttled = sum(answer.halt == "throttled" for answer in answers)
        self._throttled.labels(region).inc(throttled)

    def asked(self, region: str, operation: str, *, answered: bool) -> None:
        """A call to SES without mail ended."""
        self._calls.labels(operation, region, "ok" if answered else "unknown").inc()

    def waited_for_tokens(self, seconds: float) -> None:
        self._token_wait.inc(seconds)

    def results_recorded(self, results: Iterable[Result]) -> None:
        for outcome, count in Tally(result.outcome for result in results).items():
            self._recipients.labels(outcome).inc(count)

    def recipients_lost(self, count: int) -> None:
        """Recipients of a sender that is gone became `unknown`."""
        self._recipients.labels("unknown").inc(count)

    def events_committed(self, rows: Iterable[dict[str, Any]], stored: dict[str, Any]) -> None:
        """rows: of domain/ses/events.py:to_row. stored: what Store.apply_ses_events gave."""
        copies = Tally[str](stored["copies"])
        now = datetime.now(UTC)
        types, kinds = Tally[str](), Tally[str]()
        for row in rows:
            if copies[row["sns_message_id"]] > 0:
                copies[row["sns_message_id"]] -= 1
                continue
            types[row["type"]] += 1
            if row["type"] == "bounce":
                kinds[bounce_kind(row["bounce_type"], row["bounce_subtype"])] += 1
            lag = now - datetime.fromisoformat(row["occurred_at"])
            self._lag.observe(max(0.0, lag.total_seconds()))
        for event_type, count in types.items():
            self._events.labels(event_type).inc(count)
        for kind, count in kinds.items():
            self._bounces.labels(kind).inc(count)
        self._copies.inc(len(stored["copies"]))
        self._unmatched.inc(stored["new"] - stored["matched"])

    def notion_written(self, result: NotionWrite) -> None:
        self._notion_writes.labels(result).inc()

    def slack_asked(self, result: SlackResult) -> None:
        self._slack.labels(result).inc()

    def hook_delivered(self, outcome: HookOutcome) -> None:
        self._hooks.labels(outcome).inc()

    def queue_messages(self, queue: str, fate: str, count: int) -> None:
        """queue: one of QUEUES, perhaps with which of several it is behind a blank; fate: one of
        QUEUE_FATES."""
        self._queues.labels(queue.partition(" ")[0], fate).inc(count)

    def message_refused(self, code: str) -> None:
        """code: of the AppError that said why."""
        self._refused.labels(code).inc()

    def request_limited(self) -> None:
        """A refusal came on top of those that its client has free."""
        self._limited.inc()

    def notion_event(self, outcome: str) -> None:
        """outcome: as NotionWebhook gives it, or the code of the AppError that refused it."""
        self._notion_events.labels(outcome).inc()

    def provider_webhook(self, provider: Provider, outcome: str) -> None:
        """outcome: `taken`, or the code of the AppError that refused it."""
        self._provider_webhooks.labels(provider, outcome).inc()

    def provider_called(self, provider: Provider, answers: Sequence[Answer]) -> None:
        """A call with mail ended; answers: one per recipient, at least one."""
        self._provider_calls.labels(provider, call_result(answers)).inc()
        accepted = sum(answer.outcome == "sent" for answer in answers)
        self._provider_accepted.labels(provider).inc(accepted)

    def _counter(
        self,
        name: str,
        about: str,
        labels: Sequence[str] = (),
        known: Iterable[Sequence[str]] = (),
    ) -> Counter:
        """known: the label values that are there from the start, at zero."""
        counter = Counter(self._allocator, f"amazonsender_{name}", about, labels, known)
        self.registry.register(counter)
        return counter

    def _histogram(
        self,
        name: str,
        about: str,
        buckets: Sequence[float],
        labels: Sequence[str] = (),
        known: Iterable[Sequence[str]] = (),
    ) -> Histogram:
        """known: as _counter."""
        histogram = Histogram(
            self._allocator, f"amazonsender_{name}", about, buckets, labels, known
        )
        self.registry.register(histogram)
        return histogram


class _BreakerState(Collector):
    """The breaker's state; no gauge at all where no process has a sender."""

    def __init__(self, board: Board) -> None:
        self._rows: Sequence[Row] = list(board.rows.values())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        told = [row.state for row in self._rows if row.state]
        if not told:
            return
        family = GaugeMetricFamily(
            "amazonsender_ses_breaker_state", "1 for the present state.", labels=["state"]
        )
        for number, state in enumerate(BREAKER_STATES, 1):
            family.add_metric([state], number in told)
        yield family


def call_result(answers: Sequence[Answer]) -> str:
    """What came of a call, one of CALL_RESULTS. answers: one per recipient, at least one."""
    if any(answer.outcome == "sent" for answer in answers):
        return "ok"
    first = answers[0]
    if first.code == "lease_lost":
        return "not_sent"
    if first.outcome == "unknown":
        return "unknown"
    if first.halt == "unreachable":
        return "not_connected"
    return first.halt if first.halt in CALL_RESULTS else "refused"


def bounce_kind(bounce_type: str | None, bounce_subtype: str | None) -> str:
    """One of BOUNCE_KINDS."""
    if bounce_type == "Permanent":
        return "suppressed" if bounce_subtype in _SUPPRESSED else "permanent"
    return "transient" if bounce_type == "Transient" else "undetermined"
