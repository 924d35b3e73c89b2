"""Segments, rules with a name; and whom a rule would reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.addresses import mask_address
from app.domain.audience.rule import segments_in
from app.domain.audience.words import (
    asked_mailouts,
    engagement_note,
    unknown_tags_note,
    untracked_note,
)
from app.errors import (
    DatabaseError,
    InvalidRequest,
    SegmentExists,
    SegmentInUse,
    SegmentNotFound,
    SegmentRefused,
)
from app.store import Store
from app.store.audience import Rule


@contextmanager
def known_segments() -> Iterator[None]:
    """For calls that read a rule. Raises InvalidRequest when it names a segment that there isn't,
    or is too long with its segments written out."""
    try:
        yield
    except DatabaseError as exc:
        if exc.sqlstate == "P0002":
            raise InvalidRequest(
                "audience: it names a segment that there isn't (any more). Choose another."
            ) from exc
        if exc.sqlstate == "23514":
            raise InvalidRequest(
                "audience: with its segments written out it is too long or leads back to itself."
            ) from exc
        raise


async def asked_in_vain(store: Store, rule: Rule, unknown_tags: Sequence[str]) -> list[str]:
    """What a rule without segments asks that nobody fits, in sentences."""
    mailouts = asked_mailouts(rule)
    untracked = await store.untracked_mailouts(mailouts) if mailouts else []
    return [*unknown_tags_note(unknown_tags), *untracked_note(untracked)]


QUICK = 5_000
"""People that are looked at while somebody waits for a first number: hundredths of a second."""


@dataclass(frozen=True)
class Segments:
    """by: who asks, for the audit log."""

    store: Store

    async def count(self, rule: Rule, *, sample: int = 5, quick: bool = False) -> dict[str, Any]:
        """Whom a rule would reach now: `count` (`estimated`: of a very long list, then also
        `between` which two numbers, where that is known), a `sample` of masked addresses, who is
        `excluded` by reason (a status, `no_address`, or `rule`), `notes` in words. quick: of a list
        of more than QUICK people an estimate. Raises InvalidRequest."""
        rule = await self.resolved(rule)
        found = await (
            self.store.preview_audience(rule, sample, QUICK)
            if quick
            else self.store.preview_audience(rule, sample)
        )
        tags = found.pop("unknown_tags")
        return found | {
            "sample": [mask_address(address) for address in found["sample"]],
            "notes": [*await asked_in_vain(self.store, rule, tags), *engagement_note(rule)],
        }

    async def resolved(self, rule: Rule) -> Rule:
        """With its segments written out. Raises InvalidRequest."""
        if not segments_in(rule):
            return rule
        with known_segments():
            return await self.store.resolved_audience(rule)

    async def show(self, segment_id: UUID) -> dict[str, Any]:
        """Raises SegmentNotFound."""
        found = await self.store.show_segment(segment_id)
        if found is None:
            raise _no(segment_id)
        tags = found.pop("unknown_tags")
        rule = await self.resolved(found["audience"])
        return found | {
            "notes": [*await asked_in_vain(self.store, rule, tags), *engagement_note(rule)]
        }

    async def create(self, name: str, rule: Rule, *, by: str) -> dict[str, Any]:
        """Raises SegmentExists, SegmentRefused."""
        return _saved(None, await self.store.save_segment(None, name, rule or {}, by))

    async def change(
        self, segment_id: UUID, name: str | None, rule: Rule, *, by: str
    ) -> dict[str, Any]:
        """None: as it is. Raises SegmentNotFound, SegmentExists, SegmentRefused."""
        return _saved(segment_id, await self.store.save_segment(segment_id, name, rule, by))

    async def delete(self, segment_id: UUID, *, by: str) -> None:
        """Raises SegmentNotFound; SegmentInUse, which names the users."""
        done = await self.store.delete_segment(segment_id, by)
        if done["outcome"] == "not_found":
            raise _no(segment_id)
        if done["outcome"] == "in_use":
            users = done["used_by"]
            names = [
                *(f"the segment “{user['name']}”" for user in users["segments"]),
                *(f"the mailout “{user['name']}” ({user['status']})" for user in users["mailouts"]),
            ]
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            raise SegmentInUse(
                f"It is used by {', '.join(names[:5])}{more}. Take it out of these first.",
                used_by=users,
            )


def _saved(segment_id: UUID | None, done: dict[str, Any]) -> dict[str, Any]:
    if done["outcome"] == "not_found":
        assert segment_id is not None
        raise _no(segment_id)
    if done["outcome"] == "exists":
        raise SegmentExists("name: another segment has it. Choose another one.")
    if done["outcome"] == "refused":
        raise SegmentRefused(f"audience: {done['problem']}")
    segment: dict[str, Any] = done["segment"]
    return segment


def _no(segment_id: UUID) -> SegmentNotFound:
    return SegmentNotFound(f"There is no segment {segment_id}.")
