"""What the connection's token may do in Notion, found out without changing anything.

Each capability is asked for by a request about something that isn't there: without it Notion
answers 403, with it 404 or 400 (its API, "Integration capabilities").
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.reports.findings import Finding
from app.errors import NotionRefused
from app.ports import NotionBuilder

_NOWHERE = UUID("00000000-0000-4000-8000-000000000000")

Probe = Callable[[NotionBuilder], Awaitable[Any]]


@dataclass(frozen=True)
class _Capability:
    """without: what isn't possible then."""

    name: str
    without: str
    needed: bool
    probe: Probe


def _insert(notion: NotionBuilder) -> Awaitable[Any]:
    parent = {"type": "data_source_id", "data_source_id": str(_NOWHERE)}
    return notion.create_page({"parent": parent, "properties": {}})


_ALL = (
    _Capability(
        "Read content", "no newsletter can be read", True, lambda notion: notion.page(_NOWHERE)
    ),
    _Capability(
        "Update content",
        "no row shows what became of its newsletter",
        True,
        lambda notion: notion.update_page(_NOWHERE, {}),
    ),
    _Capability(
        "Insert content",
        "`notion init` can't make a database, and rows have their closing statement as a link only",
        False,
        _insert,
    ),
    _Capability(
        "Read comments",
        "commands in comments aren't seen",
        False,
        lambda notion: notion.comments(_NOWHERE),
    ),
    _Capability(
        "Insert comments",
        "commands in comments aren't answered, and no comment calls for a person",
        False,
        lambda notion: notion.comment({"discussion_id": str(_NOWHERE)}, "?"),
    ),
    _Capability(
        "Read user information",
        "people who are mentioned on a page appear without their names",
        False,
        lambda notion: notion.user(_NOWHERE),
    ),
)


async def check_capabilities(notion: NotionBuilder) -> list[Finding]:
    """Raises NotionAway, and NotionRefused where the token isn't accepted at all."""
    lacking = [each for each in _ALL if not await _has(notion, each.probe)]
    if not lacking:
        return [Finding("ok", "The Notion connection may do all that is needed.")]
    return [
        Finding(
            "fail" if each.needed else "warn",
            f"The Notion connection lacks the capability “{each.name}”: {each.without}.",
            "open the connection at notion.so/profile/integrations, tick that under Capabilities, "
            "and save.",
        )
        for each in lacking
    ]


async def _has(notion: NotionBuilder, probe: Probe) -> bool:
    try:
        await probe(notion)
    except NotionRefused as exc:
        if exc.extra.get("notion_status") == 401:
            raise
        return exc.extra.get("notion_status") != 403
    return True
