"""Many people at once, by a filter: counted, and changed as the caller expects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from app.domain.people import Change, Filter
from app.errors import CountDiffers
from app.services.jobs.runner import Running
from app.store import Store
from app.store.people import Place

AT_ONCE = 5_000
"""So many are changed within a request, in one transaction; more are a job."""
COUNT_REACH, IDS_REACH, CHANGE_REACH = 50_000, 5_000, 2_000
"""Rows that one call looks at."""


@dataclass(frozen=True)
class Bulk:
    """filter: whom. by: who asks for it. reason, asked, force: as for one person."""

    filter: Filter
    change: Change
    by: str
    reason: str | None = None
    asked: bool = False
    force: bool = False

    @property
    def audit(self) -> dict[str, Any]:
        said = {"filter": self.filter, "reason": self.reason, "force": self.force or None}
        return dict(self.change) | {key: value for key, value in said.items() if value is not None}


class ManyPeople:
    def __init__(self, store: Store, wake_jobs: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake_jobs

    async def count(self, wanted: Filter) -> int:
        total, _, place = await self._store.count_people(wanted, COUNT_REACH)
        while place is not None:
            part, _, place = await self._store.count_people(wanted, COUNT_REACH, place)
            total += part
        return total

    async def change(self, bulk: Bulk, expected: int) -> dict[str, Any]:
        """Change exactly the `expected` people that fit, or nobody. Gives how many were `changed`,
        and not, for want of `asked` or `force`; or the `job_id` that does it.

        Raises CountDiffers.
        """
        if expected > AT_ONCE:
            found = await self.count(bulk.filter)
            if found == expected:
                return await self._later(bulk, expected)
        else:
            ids = await self._ids(bulk.filter, expected + 1)
            if len(ids) == expected:
                return dict(await _change(self._store, bulk, ids, bulk.audit))
            found = len(ids) if len(ids) < expected else await self.count(bulk.filter)
        raise CountDiffers(
            f"{found:,} people fit now, not {expected:,}: nothing was changed. Look again, and "
            f"pass `expected`: {found}.",
            count=found,
        )

    async def _later(self, bulk: Bulk, expected: int) -> dict[str, Any]:
        work = asdict(bulk) | {"total": expected}
        job = await self._store.queue_change_people(work, bulk.by, bulk.audit)
        self._wake()
        return {"job_id": str(job), "expected": expected}

    async def _ids(self, wanted: Filter, most: int) -> list[str]:
        ids: list[str] = []
        place: Place | None = None
        while True:
            _, more, place = await self._store.count_people(wanted, IDS_REACH, place, ids=True)
            ids += more
            if place is None or len(ids) >= most:
                return ids[:most]


class ChangeMany:
    """The job: slice by slice; what is changed already is changed to the same once more."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def as_job(self, running: Running) -> dict[str, Any]:
        work = dict(running.job.payload)
        total = work.pop("total")
        bulk = Bulk(**work)
        saved = running.job.progress or {}
        done, place = saved.get("done", 0), saved.get("place")
        sums: Counter[str] = Counter(saved.get("sums", {}))
        while True:
            _, ids, place = await self._store.count_people(
                bulk.filter, CHANGE_REACH, place, ids=True
            )
            sums.update(await _change(self._store, bulk, ids))
            done += len(ids)
            if place is None:
                return dict(sums)
            await running.save(
                {"done": min(done, total), "total": total, "place": place, "sums": dict(sums)}
            )


async def _change(
    store: Store, bulk: Bulk, ids: list[str], audit: dict[str, Any] | None = None
) -> dict[str, int]:
    return await store.change_people(
        ids,
        bulk.change,
        bulk.by,
        reason=bulk.reason,
        asked=bulk.asked,
        force=bulk.force,
        audit=audit,
    )


def job_id(answer: dict[str, Any]) -> UUID | None:
    """Of an answer of ManyPeople.change: the job, if it is one."""
    return UUID(answer["job_id"]) if "job_id" in answer else None
