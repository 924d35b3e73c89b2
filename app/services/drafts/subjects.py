"""Subjects as lists show them: as a reader would get them, not as Liquid."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.writing.drafts import MAX_SUBJECT_CHARS
from app.errors import TemplateInvalid
from app.services.rendering import tasks
from app.services.rendering.limits import limits_for
from app.services.rendering.renderer import RENDERER, NotRendered, Renderer
from app.store import Store

SAMPLE_SECONDS = 60.0
"""How long one reader stands for all."""
KEPT = 2_000
"""Rendered subjects."""


class Subjects:
    """Renders by the code that sends, each subject once."""

    def __init__(self, store: Store, renderer: Renderer = RENDERER) -> None:
        self._store = store
        self._renderer = renderer
        self._kept: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._sample: Mapping[str, Any] = {}
        self._sampled_at: float | None = None

    async def add_to(self, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Mailouts with `subject_shown`: for somebody on the list. One that can't be rendered is
        shown as it is written."""
        new = [row for row in rows if _has_liquid(row["subject"]) and _key(row) not in self._kept]
        if new:
            sample = await self._reader()
            for row, text in zip(new, await self._shown(new, sample), strict=False):
                self._kept[_key(row)] = text
        added = [
            row | {"subject_shown": self._kept.get(_key(row)) or _cut(row["subject"])}
            for row in rows
        ]
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return added

    async def _shown(
        self, rows: Sequence[dict[str, Any]], sample: Mapping[str, Any]
    ) -> Sequence[str]:
        """As they are written, where one of them is a bomb; nothing, where none can be rendered
        just now."""
        subjects = [(row["subject"], row["id"]) for row in rows]
        tags = sum(subject.count("{") for subject, _ in subjects)
        try:
            return await self._renderer.run(
                limits_for(0, tags, len(rows)),
                tasks.show_subjects,
                subjects,
                sample.get("name"),
                sample.get("fields") or {},
            )
        except TemplateInvalid:
            return [subject for subject, _ in subjects]
        except NotRendered:
            return []

    async def _reader(self) -> Mapping[str, Any]:
        now = time.monotonic()
        if self._sampled_at is None or now - self._sampled_at > SAMPLE_SECONDS:
            self._sample = await self._store.sample_reader() or {}
            self._sampled_at = now
        return self._sample


def _has_liquid(subject: str) -> bool:
    return ("{{" in subject or "{%" in subject) and len(subject) <= MAX_SUBJECT_CHARS


def _key(row: Mapping[str, Any]) -> tuple[str, str]:
    subject = row["subject"]
    return subject, row["id"] if "mailout" in subject else ""


def _cut(subject: str) -> str:
    """Of those that were written with SQL, which may have any length."""
    return subject if len(subject) <= MAX_SUBJECT_CHARS else f"{subject[:MAX_SUBJECT_CHARS]}…"
