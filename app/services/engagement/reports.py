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
    Sample,
    added,
    by_provider,
    margin,
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
SLICE = 5_000
"""Of these at a time: 13 to 23 ms of PostgreSQL's processor, so that nobody else waits for it."""
SAMPLE_KEPT_SECONDS = 15.0
"""So that who asks again meanwhile, a page without script after five of them, finds it."""
DOMAINS, TAGS = 500, 20
FIRST = UUID(int=0)

T = TypeVar("T")


class EngagementReports:
    """Costly answers are kept for a while (`AnswerCache`), cheap ones are not."""

    def __init__(self, store: Store, subjects: Subjects) -> None:
        self._store = store
        self._subjects = subjects
        self._answers = AnswerCache()

    async def close(self) -> None:
        await self._answers.close()

    async def __call__(
        self, mailout_id: UUID, segment: UUID | None = None, *, quick: bool = False
    ) -> dict[str, Any]:
        """The whole report, as `GET /mailouts/{id}/engagement` answers it (docs/engagement.md).

        segment: of those who are in it, too. quick: the breakdowns are of the first SLICE, unless
        more were looked at of late; then there is `more`: the others of the sample are being
        counted, for who asks again. Raises MailoutNotFound, InvalidRequest for a segment that
        there isn't.
        """
        report = await self.headline(mailout_id)
        chosen = await self._segment_name(segment) if segment else None
        if not report["tracking"]:
            return report | _NOTHING | ({"more": False} if quick else {})
        store, kept = self._store, partial(self._kept, mailout_id)
        links, reasons, series, providers, tags, earlier = await asyncio.gather(
            self.links(mailout_id),
            kept("reasons", partial(store.engagement_reasons, mailout_id)),
            kept("series", partial(store.engagement_series, mailout_id)),
            self._groups(mailout_id, "domain", DOMAINS, quick=quick),
            self._groups(mailout_id, "tag", TAGS, quick=quick),
            kept("earlier", partial(self._earlier, mailout_id)),
        )
        tracked = report["tracked"]
        found = None
        parts = [providers, tags]
        if segment:
            group = await self._groups(mailout_id, "segment", 1, segment=segment, quick=quick)
            parts.append(group)
            row = {**added(_groups(group, tracked)), **_accuracy(group, tracked)}
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
            **_accuracy(providers, tracked),
            "earlier": earlier,
            "reasons": [{**row, "words": words(row["reason"] or "")} for row in reasons],
            **({"more": any(part.get("more") for part in parts)} if quick else {}),
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

    async def _groups(
        self,
        mailout_id: UUID,
        by: str,
        limit: int,
        *,
        segment: UUID | None = None,
        quick: bool = False,
    ) -> dict[str, Any]:
        """Those who got it, in groups, as `Sample.told` has them; of a long ledger a sample."""
        take = partial(self._store.engagement_groups_slice, mailout_id, by, segment=segment)
        first = partial(self._kept, mailout_id, (by, segment), partial(take, FIRST, SLICE))
        key = (mailout_id, ("sample", by, segment))
        beginning = None
        if not self._answers.is_kept(key):
            found = await first()
            if "kept" in found:
                return dict(found["kept"])
            beginning = Sample()
            beginning.add(found)
            if found["last"] is None:
                return beginning.told(limit, whole=True)
        sample = self._answers.get(
            key,
            partial(self._sampled, first, take, limit),
            keep_seconds=SAMPLE_KEPT_SECONDS,
            in_slices=True,
        )
        if quick and beginning and not sample.done():
            return beginning.told(limit, whole=False) | {"more": True}
        answer: dict[str, Any] = await asyncio.shield(sample)
        return answer

    async def _sampled(
        self,
        first: Callable[[], Awaitable[Mapping[str, Any]]],
        take: Callable[[UUID, int], Awaitable[Mapping[str, Any]]],
        limit: int,
    ) -> dict[str, Any]:
        sample, rows = Sample(), SLICE
        found = await first()
        while "kept" not in found:
            sample.add(found)
            if found["last"] is None or rows >= SAMPLE:
                return sample.told(limit, whole=found["last"] is None)
            async with self._answers.turns:
                found = await take(UUID(found["last"]), SLICE)
            rows += SLICE
        return dict(found["kept"])  # its details were dropped meanwhile

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
    "looked_at": 0,
    "within": None,
    "earlier": [],
    "reasons": [],
}


def _groups(found: Mapping[str, Any], tracked: int) -> list[dict[str, Any]]:
    """As large as they are in the whole mailout."""
    if found["whole"] or not found["people"]:
        return [dict(row) for row in found["groups"]]
    return [scaled(row, tracked / found["people"]) for row in found["groups"]]


def _accuracy(found: Mapping[str, Any], tracked: int) -> dict[str, Any]:
    people, whole = found["people"], found["whole"]
    return {
        "estimated": not whole,
        "looked_at": people,
        "within": None if whole else margin(people, tracked),
    }


def _over_time(series: Mapping[str, Any]) -> dict[str, Any]:
    start = datetime.fromisoformat(series["start"])
    return {"start": series["start"], "points": [*steps(series["points"], start)]}
