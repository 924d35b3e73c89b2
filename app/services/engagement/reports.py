"""What came of one mailout: who opened it and followed its links, as far as it can be known."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from app.domain.engagement.reasons import words
from app.domain.engagement.report import (
    KINDS,
    added,
    by_provider,
    scaled,
    span,
    steps,
    why_no_rate,
    with_range,
)
from app.domain.engagement.rules import RULES
from app.errors import InvalidRequest, MailoutNotFound
from app.services.dashboard.answer_cache import AnswerCache
from app.services.drafts.subjects import Subjects
from app.store import Store

LINKS = 3_100
"""More than there can be: those of a document (MAX_LINKS), and a thousand that were followed beside
them."""
EARLIER = 10
SAMPLE = 50_000
"""Recipients that a breakdown looks at: of a group with a tenth of them, a share is told within a
point and a half (19 of 20 times)."""
DOMAINS, TAGS = 500, 20

T = TypeVar("T")


class EngagementReports:
    """Costly answers are kept for a while (`AnswerCache`), cheap ones are not."""

    def __init__(self, store: Store, subjects: Subjects) -> None:
        self._store = store
        self._subjects = subjects
        self._answers = AnswerCache()

    async def close(self) -> None:
        await self._answers.close()

    async def __call__(self, mailout_id: UUID, segment: UUID | None = None) -> dict[str, Any]:
        """The whole report, as `GET /mailouts/{id}/engagement` answers it (docs/engagement.md).

        segment: of those who are in it, too. Raises MailoutNotFound, InvalidRequest for a segment
        that there isn't.
        """
        report = await self.headline(mailout_id)
        chosen = await self._segment_name(segment) if segment else None
        if not report["tracking"]:
            return report | _NOTHING
        store, kept = self._store, partial(self._kept, mailout_id)
        links, reasons, series, providers, tags, earlier = await asyncio.gather(
            self.links(mailout_id),
            kept("reasons", partial(store.engagement_reasons, mailout_id)),
            kept("series", partial(store.engagement_series, mailout_id)),
            kept("domain", partial(store.engagement_groups, mailout_id, "domain", DOMAINS, SAMPLE)),
            kept("tag", partial(store.engagement_groups, mailout_id, "tag", TAGS, SAMPLE)),
            kept("earlier", partial(self._earlier, mailout_id)),
        )
        tracked = report["tracked"]
        found = None
        if segment:
            search = partial(
                store.engagement_groups, mailout_id, "segment", 1, SAMPLE, segment=segment
            )
            group = await kept(("segment", segment), search)
            row = {**added(_groups(group, tracked)), "estimated": not group["whole"]}
            found = with_range({"id": str(segment), "name": chosen, **row})
        return report | {
            "links": [{name: link[name] for name in link if name != "pattern"} for link in links],
            "over_time": series and _over_time(series),
            "providers": [*map(with_range, by_provider(_groups(providers, tracked)))],
            "tags": [
                with_range({"tag": row.pop("name"), **row})
                for row in _groups(tags, tracked)
                if row["name"]
            ],
            "segment": found,
            "estimated": not providers["whole"],
            "earlier": earlier,
            "reasons": [{**row, "words": words(row["reason"] or "")} for row in reasons],
        }

    async def headline(self, mailout_id: UUID) -> dict[str, Any]:
        """The totals alone: `mailout_id`, `tracking`, `status`, `partial` (it is being sent),
        `tracked`, `opens`, `clicks`, `readers` (did either), `range`, `no_rate` (why there is
        none), `waiting` (people who aren't judged yet) and `rules`. Raises MailoutNotFound."""
        totals = await self._kept(
            mailout_id, "totals", partial(self._store.engagement_totals, mailout_id)
        )
        if totals is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        report = with_range(
            {
                "mailout_id": str(mailout_id),
                "tracking": totals["tracking"],
                "status": totals["status"],
                "started_at": totals["started_at"],
                "partial": totals["status"] in {"sending", "paused"},
                **{name: totals[name] for name in ("tracked", *KINDS, "readers", "waiting")},
                "no_rate": why_no_rate(totals["tracked"]),
                "rules": {"version": RULES, "judged": totals["judged"]},
            }
        )
        report["range"]["readers"] = span(totals["readers"], totals["tracked"])
        return report

    async def links(self, mailout_id: UUID) -> list[dict[str, Any]]:
        """As `Store.engagement_links` gives them, LINKS at most."""
        return await self._kept(
            mailout_id, "links", partial(self._store.engagement_links, mailout_id, LINKS)
        )

    async def _earlier(self, mailout_id: UUID) -> list[dict[str, Any]]:
        found = await self._store.engagement_earlier(mailout_id, EARLIER)
        mailouts = await self._subjects.add_to([each["mailout"] for each in found])
        return [
            with_range(
                {
                    "mailout_id": mailout["id"],
                    "subject": mailout["subject_shown"],
                    "started_at": mailout["started_at"],
                    **{name: each["totals"][name] for name in ("tracked", *KINDS)},
                }
            )
            for mailout, each in zip(mailouts, found, strict=True)
        ]

    async def _segment_name(self, segment: UUID) -> str:
        found = await self._store.show_segment(segment)
        if found is None:
            raise InvalidRequest(f"segment: there is no segment {segment}; see `GET /segments`.")
        return str(found["name"])

    async def _kept(self, mailout_id: UUID, what: Hashable, find: Callable[[], Awaitable[T]]) -> T:
        answer: T = await asyncio.shield(
            self._answers.get((mailout_id, what), find, keep_seconds=0)
        )
        return answer


_NOTHING: dict[str, Any] = {
    "links": [],
    "over_time": None,
    "providers": [],
    "tags": [],
    "segment": None,
    "estimated": False,
    "earlier": [],
    "reasons": [],
}


def _groups(found: Mapping[str, Any], tracked: int) -> list[dict[str, Any]]:
    """As large as they are in the whole mailout."""
    if found["whole"] or not found["people"]:
        return [dict(row) for row in found["groups"]]
    return [scaled(row, tracked / found["people"]) for row in found["groups"]]


def _over_time(series: Mapping[str, Any]) -> dict[str, Any]:
    start = datetime.fromisoformat(series["start"])
    return {"start": series["start"], "points": [*steps(series["points"], start)]}
