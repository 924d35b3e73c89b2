"""What a list of mailouts or of recipients is asked for. Pure."""

from __future__ import annotations

from typing import TypedDict


class MailoutFilter(TypedDict, total=False):
    """What isn't there doesn't matter. statuses: any of them. q: within the subject. since, until:
    when it was created, ISO times; until itself is not within."""

    statuses: list[str]
    q: str
    since: str
    until: str
