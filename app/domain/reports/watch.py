"""Faults that show nowhere but in the database's figures, and what to do about each. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from app.domain.reports.findings import Finding

PATIENCE_SECONDS = 300.0
"""How long SES's events may take. The first, Send, mostly comes within seconds."""

UNASKED_FROM = 10
"""Opens and clicks that nobody asked for, within two hours, from which on they are told: a few may
be left of a set that was changed."""

WatchCode = Literal[
    "events_missing",
    "events_unmatched",
    "messages_refused",
    "suppression_differs",
    "opens_missing",
    "opens_unasked",
]


@dataclass(frozen=True)
class WatchFinding(Finding):
    """A warning. code: for metrics. count: of mails, events, messages or subscribers."""

    code: WatchCode = "events_missing"
    count: int = 0


def findings_of(figures: dict[str, Any]) -> list[WatchFinding]:
    """figures: what `watchdog_figures` counts."""
    refused: dict[str, int] = figures["refused"]
    active = sum(check["active"] for check in figures["suppression"])
    unopened, unasked = figures["unopened_mailouts"], figures["unasked"]
    asked_by_none = unasked["events"] if unasked["events"] >= UNASKED_FROM else 0
    silent = _silent(figures)
    found = (
        silent,
        _finding(
            "events_unmatched",
            figures["unmatched"],
            "events of the last 24 hours fit no recipient",
            "Something else sends through this configuration set or topic, or another database "
            "is in use: give each its own.",
        ),
        _finding(
            "messages_refused",
            sum(refused.values()) if silent else 0,  # else it may be a stranger's doing alone
            f"messages of SNS were refused within two hours ({_listed(refused)})",
            "Where that says forbidden_source, put the topic's ARN into SNS_ALLOWED_TOPIC_ARNS if "
            "it is yours; where it says bad_signature, it was a stranger, or a proxy that changes "
            "the body.",
        ),
        _finding(
            "suppression_differs",
            active,
            "subscribers are active here, but on SES's suppression list: SES accepts mail to "
            "them and never sends it",
            "Set them to `bounced` or `complained` here; or, where a reader wants the mail, take "
            "the address off the list in the SES console.",
        ),
        _finding(
            "opens_missing",
            sum(each["mails"] for each in unopened),
            "mails with tracking were delivered hours ago, and nothing opened or clicked: not "
            f"even a machine ({_mailouts(unopened)})",
            "Tick Opens and Clicks in the SNS destination of SES_TRACKING_CONFIGURATION_SET; "
            "`amazonsender doctor` looks at it.",
        ),
        _finding(
            "opens_unasked",
            asked_by_none,
            "opens and clicks came within two hours of mailouts without tracking, such as "
            f"{unasked['mailout_id']}: SES changes their links",
            "Take Opens and Clicks out of the destinations of SES_CONFIGURATION_SET, and switch "
            "engagement tracking off in SES's Virtual Deliverability Manager; `amazonsender "
            "doctor` tells which it is.",
        ),
    )
    return [finding for finding in found if finding is not None]


def _silent(figures: dict[str, Any]) -> WatchFinding | None:
    """Of all mails; of a region's, or of mailouts' whose own configuration set says nothing, while
    others' come."""
    mailouts, regions = figures["silent_mailouts"], figures["silent_regions"]
    if figures["silent"]:
        where = f" ({_mailouts(mailouts)})" if mailouts else ""
        return _finding(
            "events_missing",
            figures["silent"],
            f"mails were accepted minutes ago, and no event came back{where}",
            "Give the configuration set an event destination of type SNS with all event types but "
            "opens and clicks, and set SES_CONFIGURATION_SET. `amazonsender doctor` looks where "
            "the chain ends. Where SendGrid or Mailgun sends in SES's place, see to its webhook.",
        )
    if regions:
        names = ", ".join(each["region"] for each in regions)
        return _finding(
            "events_missing",
            sum(each["mails"] for each in regions),
            f"mails were accepted by SES in {names} minutes ago, and no event came back of any, "
            "while other regions' come",
            "Each region needs a topic of its own that its configuration set publishes to, in "
            "SNS_ALLOWED_TOPIC_ARNS and subscribed by this service: `amazonsender doctor` looks "
            "where the chain ends.",
        )
    return _finding(
        "events_missing",
        sum(each["mails"] for each in mailouts),
        "mails were accepted minutes ago, and no event came back of any, while others' "
        f"come ({_mailouts(mailouts)})",
        "Their configuration set (`configuration_set` of the mailout, or "
        "SES_TRACKING_CONFIGURATION_SET) needs an event destination of type SNS, too: "
        "`amazonsender doctor MAILOUT_ID` looks at it. Where SendGrid or Mailgun had "
        "them, see to its webhook.",
    )


def _mailouts(found: list[dict[str, Any]]) -> str:
    return "mailout " + ", ".join(each["id"] for each in found[:3])


def _finding(code: WatchCode, count: int, what: str, remedy: str) -> WatchFinding | None:
    if not count:
        return None
    return WatchFinding("warn", f"{count:,} {what}.", remedy, code, count)


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items()))
