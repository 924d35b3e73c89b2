"""What a row's page says now: read from Notion, its pictures kept, made a mail's text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import orjson

from app.domain.notion.blocks import Canonical, differences
from app.domain.notion.presses import Sight
from app.domain.reports.findings import Finding


@dataclass(frozen=True)
class PageContent:
    """markdown: for `body_markdown`. page: canonical JSON, in which two readings of the same text
    are the same. findings: what can't be shown as in Notion; one of level fail stops the send."""

    markdown: str
    page: Canonical
    findings: tuple[Finding, ...] = ()

    @property
    def failures(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.level == "fail"]


class ReadContent(Protocol):
    async def __call__(self, page_id: UUID) -> PageContent:
        """Raises NotionAway, NotionRefused, Unavailable."""
        ...


_COPY = re.compile(r"^Copy of | \(\d{1,3}\)$")


def snapshot(press: int, sight: Sight, content: PageContent) -> dict[str, Any]:
    """What was tested or frozen, to be kept with the row."""
    said = {
        "subject": sight.title,
        "preheader": sight.preheader,
        "audience": sorted(sight.audience),
        "page": content.page,
    }
    # Notion names the copy of a row so.
    same = said | {"subject": _COPY.sub("", sight.title)}
    digest = hashlib.sha256(orjson.dumps(same, option=orjson.OPT_SORT_KEYS)).hexdigest()
    return {"press": press, "hash": digest, **said}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What a reader would see otherwise than in `before`, in sentences. Both: of `snapshot`."""
    found = [
        f"{name} was changed."
        for name, key in (("The subject (Name)", "subject"), ("The preheader", "preheader"))
        if before.get(key) != after[key]
    ]
    if before.get("page") != after["page"]:
        found += differences(before.get("page"), after["page"])
    return found
