"""What the owner is told of a mailout, by mail and in Slack, in the same words. Pure."""

from __future__ import annotations

from app.domain.reports.progress import Progress

_HEADLINES = {
    "sending": "is being sent",
    "sent": "is sent",
    "paused": "is paused",
    "failed": "has failed",
    "cancelled": "is cancelled",
}


def headline(subject: str, status: str) -> str:
    return f"The mailout “{one_line(subject)}” {_HEADLINES[status]}."


def one_line(text: str) -> str:
    return " ".join(text.split())


def figures(progress: Progress) -> list[tuple[str, int]]:
    """Recipients in each state, by name; of most only those that there are."""
    lines = {
        "Recipients": progress.audience,
        "Accepted for sending": progress.accepted,
        "Delivered so far": progress.delivered,
        "Bounced": progress["bounced"],
        "Reported as spam": progress["complained"],
        "Unsubscribed": progress.unsubscribed,
        "Refused": progress["failed"],
        "Not known whether accepted": progress["unknown"],
        "Skipped, because they left the list": progress["skipped"],
        "Still to be mailed": progress["queued"] + progress["sending"],
    }
    always = ("Recipients", "Accepted for sending", "Delivered so far")
    return [(name, count) for name, count in lines.items() if count or name in always]
