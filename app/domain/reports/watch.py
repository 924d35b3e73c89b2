"""Faults that show nowhere but in the database's figures, and what to do about each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from app.domain.reports.findings import Finding

PATIENCE_SECONDS = 300.0
"""How long SES's events may take. The first, Send, mostly comes within seconds."""

WatchCode = Literal["events_missing", "events_unmatched", "messages_refused", "suppression_differs"]


@dataclass(frozen=True)
class WatchFinding(Finding):
    """A warning. code: for metrics. count: of mails, events, messages or subscribers."""

    code: WatchCode = "events_missing"
    count: int = 0


def findings_of(figures: dict[str, Any]) -> list[WatchFinding]:
    """figures: what `watchdog_figures` counts."""
    refused: dict[str, int] = figures["refused"]
    active = sum(check["active"] for check in figures["suppression"])
    found = (
        _finding(
            "events_missing",
            figures["silent"],
            "mails were accepted by SES minutes ago, and no event came back",
            "Give the configuration set an event destination of type SNS with all event types, "
            "and set SES_CONFIGURATION_SET. `amazonsender doctor` looks where the chain ends.",
        ),
        _finding(
            "events_unmatched",
            figures["unmatched"],
            "events of the last 24 hours fit no recipient",
            "Something else sends through this configuration set or topic, or another database "
            "is in use: give each its own.",
        ),
        _finding(
            "messages_refused",
            sum(refused.values()),
            f"messages to /ses-events were refused within two hours ({_listed(refused)})",
            "forbidden_source: put the topic's ARN into SNS_ALLOWED_TOPIC_ARNS if it is yours. "
            "bad_signature: a stranger, or a proxy that changes the body.",
        ),
        _finding(
            "suppression_differs",
            active,
            "subscribers are active here, but on SES's suppression list: SES accepts mail to "
            "them and never sends it",
            "Set them to `bounced` or `complained` here; or, where a reader wants the mail, take "
            "the address off the list in the SES console.",
        ),
    )
    return [finding for finding in found if finding is not None]


def _finding(code: WatchCode, count: int, what: str, remedy: str) -> WatchFinding | None:
    if not count:
        return None
    return WatchFinding("warn", f"{count:,} {what}.", remedy, code, count)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
