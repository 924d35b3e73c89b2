"""Webhooks that don't tell what they should. A finding each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from app.domain.hooks.words import shown_host
from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.services.hooks.hooks import SWITCHED_OFF

_PAGE = "on the dashboard, under Access, Webhooks"


def check_hooks(hooks: Sequence[dict[str, Any]]) -> Iterator[Finding]:
    """hooks: of `Store.list_hooks`. One that a person switched off is as they want it."""
    for hook in hooks:
        name = f"The webhook to {shown_host(hook['url'])}"
        if hook["description"]:
            name += f" ({hook['description']})"
        if hook["state"] != "active":
            if hook["reason"] != SWITCHED_OFF:
                remedy = f"mend its receiver and switch it on again, or delete it: {_PAGE}."
                yield Finding("warn", f"{name} is off: {hook['reason']}", remedy)
        elif hook["failing_since"]:
            since = hook["failing_since"][:16].replace("T", " ")
            what = f"{name} has taken nothing since {since} UTC; it is tried again by itself."
            yield Finding("warn", what, f"see what it answers {_PAGE}.")
        if hook["dead"]:
            what = f"{name} was not told of {plural(hook['dead'], 'event')}: given up after days."
            yield Finding("warn", what, f"send them again {_PAGE}.")
