"""The runner of background jobs: every job ends once, whatever happens to its process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.errors import DatabaseUnavailable, InvalidRequest
from app.running.loops import Loops
from app.services.jobs import runner
from app.services.jobs.runner import Handler, JobFailed, JobRunner, Kind, Running
from app.store.jobs import JobStore
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.waiting import eventually


@pytest.fixture
def jobs(postgres_database: PostgresDatabase) -> JobStore:
    return JobStore(postgres_database)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is tried again, is at once."""
    monkeypatch.setattr(runner, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(runner, "AWAY_SECONDS", 0.0)
    monkeypatch.setattr(runner, "POLL_SECONDS", 0.05)


@asynccontextmanager
async def working(
    jobs: JobStore, *kinds: Kind, lease_seconds: float = 60.0
) -> AsyncIterator[JobRunner]:
    worker = JobRunner(jobs, kinds, lease_seconds)
    async with Loops() as loops:
        worker.start(loops)
        yield worker
    await worker.close()


async def ended(jobs: JobStore, job_id: UUID) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        found = await jobs.show_job(job_id)
        assert found is not None
        return found

    return await eventually(look, until=lambda job: job["state"] in {"done", "failed", "cancelled"})


class Handled:
    """A handler that notes its runs and does what it is told in each."""

    def __init__(self, *ways: Exception | dict[str, Any] | None) -> None:
        self.ways = list(ways)
        self.runs: list[Running] = []

    async def __call__(self, running: Running) -> dict[str, Any] | None:
        self.runs.append(running)
        way = self.ways.pop(0) if len(self.ways) > 1 else self.ways[0]
        if isinstance(way, Exception):
            raise way
        return way


async def test_its_result_is_kept(jobs: JobStore) -> None:
    handler = Handled({"added": 3})
    async with working(jobs, Kind("import", handler)) as worker:
        job_id, _ = await jobs.add_job("import", {"n": 1})
        worker.wake()
        done = await ended(jobs, job_id)
    assert (done["state"], done["result"]) == ("done", {"added": 3})
    assert [each.job.payload for each in handler.runs] == [{"n": 1}]


async def test_a_fault_is_tried_again_and_told_without_its_details(jobs: JobStore) -> None:
    handler = Handled(RuntimeError("secret"), {"ok": True})
    async with working(jobs, Kind("import", handler)):
        job_id, _ = await jobs.add_job("import", {})
        done = await ended(jobs, job_id)
    assert (done["state"], done["failures"], done["error"]) == ("done", 1, None)

    broken = Handled(RuntimeError("secret"))
    async with working(jobs, Kind("import", broken)):
        job_id, _ = await jobs.add_job("import", {}, max_failures=3)
        failed = await ended(jobs, job_id)
    assert (failed["state"], len(broken.runs)) == ("failed", 3)
    assert "secret" not in failed["error"]


@pytest.mark.parametrize(
    "refusal", [JobFailed("The page is gone."), InvalidRequest("The page is gone.")]
)
async def test_what_would_be_the_same_again_fails_at_once(
    jobs: JobStore, refusal: Exception
) -> None:
    handler = Handled(refusal)
    async with working(jobs, Kind("import", handler)):
        job_id, _ = await jobs.add_job("import", {})
        failed = await ended(jobs, job_id)
    assert (failed["state"], failed["error"]) == ("failed", "The page is gone.")
    assert len(handler.runs) == 1


async def test_an_outage_of_what_it_needs_is_waited_for(jobs: JobStore) -> None:
    away = DatabaseUnavailable("Away.")
    handler = Handled(*[away] * 7, {"ok": True})
    async with working(jobs, Kind("import", handler)):
        job_id, _ = await jobs.add_job("import", {}, max_failures=1)
        done = await ended(jobs, job_id)
    assert (done["state"], done["failures"]) == ("done", 0)


async def test_a_stopped_process_gives_its_jobs_back(jobs: JobStore) -> None:
    """Progress is kept, and the stop isn't counted against it."""
    begun = asyncio.Event()

    async def long(running: Running) -> None:
        await running.save({"rows": 5})
        begun.set()
        await asyncio.sleep(3600)

    async with working(jobs, Kind("import", long)):
        job_id, _ = await jobs.add_job("import", {}, max_failures=1)
        await begun.wait()
    handler = Handled({"ok": True})
    async with working(jobs, Kind("import", handler)):
        done = await ended(jobs, job_id)
    assert (done["state"], done["failures"]) == ("done", 0)
    assert handler.runs[0].job.progress == {"rows": 5}


async def test_a_cancelled_job_is_interrupted(jobs: JobStore) -> None:
    begun, interrupted = asyncio.Event(), asyncio.Event()

    async def long(running: Running) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            interrupted.set()
            raise

    async with working(jobs, Kind("import", long), lease_seconds=0.3):
        job_id, _ = await jobs.add_job("import", {})
        await begun.wait()
        await jobs.cancel_job(job_id)
        await asyncio.wait_for(interrupted.wait(), 20)
    assert (await ended(jobs, job_id))["state"] == "cancelled"


async def test_a_long_job_keeps_its_lease(jobs: JobStore, arrange: Arrange) -> None:
    """Without a word of the handler itself, over several leases: nobody else begins it."""
    release, runs = asyncio.Event(), 0

    async def long(running: Running) -> None:
        nonlocal runs
        runs += 1
        await release.wait()

    async def held_until() -> Any:
        return await arrange.one("select lease_until from jobs")

    kind = Kind("import", long)
    async with working(jobs, kind, lease_seconds=3), working(jobs, kind, lease_seconds=3):
        job_id, _ = await jobs.add_job("import", {})
        first = await eventually(held_until, until=lambda at: at is not None)
        await eventually(held_until, until=lambda at: (at - first).total_seconds() > 4)
        release.set()
        assert (await ended(jobs, job_id))["state"] == "done"
    assert runs == 1


async def test_a_long_kind_leaves_room_for_others(jobs: JobStore) -> None:
    release = asyncio.Event()

    async def long(running: Running) -> None:
        await release.wait()

    async with working(jobs, Kind("import", long), Kind("hook", Handled({}))):
        imports = [(await jobs.add_job("import", {}))[0] for _ in range(6)]
        hook, _ = await jobs.add_job("hook", {})
        assert (await ended(jobs, hook))["state"] == "done"
        listed = await jobs.list_jobs(9, state="running")
        assert [one["kind"] for one in listed] == ["import"]
        release.set()
        for job_id in imports:
            assert (await ended(jobs, job_id))["state"] == "done"


async def test_several_processes_do_each_job_once(jobs: JobStore) -> None:
    done: list[str] = []

    async def note(running: Running) -> None:
        done.append(str(running.job.id))

    kind = Kind("import", note, at_once=4)
    ids = [str((await jobs.add_job("import", {}))[0]) for _ in range(40)]
    async with working(jobs, kind), working(jobs, kind), working(jobs, kind):
        for job_id in ids:
            await ended(jobs, UUID(job_id))
    assert sorted(done) == sorted(ids)


async def test_a_result_outlives_an_outage_of_the_database(
    jobs: JobStore, postgres_server: DatabaseServer
) -> None:
    """The handler is not run a second time because its end couldn't be recorded at once."""
    runs = 0

    async def cut(running: Running) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        await asyncio.to_thread(postgres_server.restart)
        return {"ok": True}

    handler: Handler = cut
    async with working(jobs, Kind("import", handler)):
        job_id, _ = await jobs.add_job("import", {})
        await eventually(_runs(lambda: runs), until=lambda n: n == 1)

        async def look() -> Any:
            try:
                return await jobs.show_job(job_id)
            except DatabaseUnavailable:
                return None

        done = await eventually(look, until=lambda job: job and job["state"] == "done")
    assert (done["result"], runs) == ({"ok": True}, 1)


def _runs(read: Any) -> Any:
    async def look() -> int:
        return int(read())

    return look
