"""Background jobs, over each way to the database: claimed once, held by a lease, never lost."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from app.domain.jobs import Job
from app.ports import Database
from app.store.jobs import JobStore
from tests.support.factories import Arrange

LEASE = 60.0


@pytest.fixture
def jobs(database: Database) -> JobStore:
    return JobStore(database)


async def claimed(jobs: JobStore, kind: str = "import") -> Job:
    job = await jobs.claim_job([kind], LEASE)
    assert job is not None
    return job


async def shown(jobs: JobStore, job: Job) -> dict[str, Any]:
    found = await jobs.show_job(job.id)
    assert found is not None
    return found


async def test_a_job_goes_from_waiting_to_done(jobs: JobStore) -> None:
    job_id, added = await jobs.add_job("import", {"file": "ä.csv"})
    assert added
    job = await claimed(jobs)
    assert (job.id, job.kind, job.payload, job.failures) == (job_id, "import", {"file": "ä.csv"}, 0)
    assert job.progress is None
    assert await jobs.extend_job(job, LEASE, {"rows": 3})
    running = await shown(jobs, job)
    assert (running["state"], running["progress"]) == ("running", {"rows": 3})
    assert await jobs.settle_job(job, "done", result={"added": 3})
    done = await shown(jobs, job)
    assert (done["state"], done["result"], done["error"]) == ("done", {"added": 3}, None)
    assert done["finished_at"] is not None
    assert await jobs.claim_job(["import"], LEASE) is None


async def test_of_many_claims_at_once_one_wins(jobs: JobStore) -> None:
    await jobs.add_job("import", {})
    claims = await asyncio.gather(*(jobs.claim_job(["import"], LEASE) for _ in range(5)))
    assert [claim is None for claim in claims].count(False) == 1


async def test_only_the_kinds_that_are_asked_for_are_claimed(jobs: JobStore) -> None:
    await jobs.add_job("import", {})
    assert await jobs.claim_job(["undo", "hook"], LEASE) is None
    assert await jobs.claim_job(["undo", "import"], LEASE) is not None


async def test_the_one_that_is_due_first_comes_first(jobs: JobStore, arrange: Arrange) -> None:
    later, _ = await jobs.add_job("import", {}, delay_seconds=3600)
    first, _ = await jobs.add_job("import", {})
    second, _ = await jobs.add_job("import", {})
    assert [(await claimed(jobs)).id for _ in range(2)] == [first, second]
    assert await jobs.claim_job(["import"], LEASE) is None
    await arrange.sql.execute("update jobs set due_at = now() where state = 'waiting'")
    assert (await claimed(jobs)).id == later


async def test_an_open_job_with_the_same_key_is_found_instead(jobs: JobStore) -> None:
    first, added = await jobs.add_job("page", {"n": 1}, key="page:1")
    assert added
    assert await jobs.add_job("page", {"n": 2}, key="page:1") == (first, False)
    job = await claimed(jobs, "page")
    assert await jobs.add_job("page", {"n": 3}, key="page:1") == (first, False)
    await jobs.settle_job(job, "done")
    again, added = await jobs.add_job("page", {"n": 4}, key="page:1")
    assert added
    assert again != first


async def test_a_retry_waits_and_the_last_one_fails(jobs: JobStore, arrange: Arrange) -> None:
    await jobs.add_job("import", {}, max_failures=2)
    job = await claimed(jobs)
    assert await jobs.settle_job(job, "retry", error="Broken.", delay_seconds=3600)
    waiting = await shown(jobs, job)
    assert (waiting["state"], waiting["failures"], waiting["error"]) == ("waiting", 1, "Broken.")
    assert await jobs.claim_job(["import"], LEASE) is None
    await arrange.sql.execute("update jobs set due_at = now()")
    job = await claimed(jobs)
    assert job.failures == 1
    await jobs.settle_job(job, "retry", error="Broken again.")
    failed = await shown(jobs, job)
    assert (failed["state"], failed["failures"]) == ("failed", 2)
    assert failed["error"] == "Broken again."


async def test_an_outage_is_no_failure_of_the_job(jobs: JobStore) -> None:
    await jobs.add_job("import", {}, max_failures=1)
    for _ in range(3):
        job = await claimed(jobs)
        await jobs.settle_job(job, "later", error="The database was away.")
    assert (await shown(jobs, job))["state"] == "waiting"
    assert (await shown(jobs, job))["failures"] == 0


async def test_a_holder_whose_lease_ran_out_is_replaced_and_changes_nothing_any_more(
    jobs: JobStore, arrange: Arrange
) -> None:
    await jobs.add_job("import", {})
    lost = await claimed(jobs)
    await jobs.extend_job(lost, LEASE, {"rows": 7})
    assert await jobs.claim_job(["import"], LEASE) is None
    await arrange.sql.execute("update jobs set lease_until = now() - interval '1 second'")
    other = await claimed(jobs)
    assert (other.id, other.failures, other.progress) == (lost.id, 1, {"rows": 7})
    assert not await jobs.extend_job(lost, LEASE, {"rows": 8})
    assert not await jobs.settle_job(lost, "failed", error="Too late.")
    assert (await shown(jobs, other))["state"] == "running"
    assert (await shown(jobs, other))["progress"] == {"rows": 7}


async def test_what_kills_its_process_each_time_ends(jobs: JobStore, arrange: Arrange) -> None:
    await jobs.add_job("import", {}, max_failures=3)
    for _ in range(3):
        job = await claimed(jobs)
        await arrange.sql.execute("update jobs set lease_until = now() - interval '1 second'")
    assert await jobs.claim_job(["import"], LEASE) is None
    failed = await shown(jobs, job)
    assert (failed["state"], failed["failures"]) == ("failed", 3)
    assert "ended before it was done" in failed["error"]


async def test_a_cancelled_job_is_nobody_s(jobs: JobStore) -> None:
    await jobs.add_job("import", {})
    job = await claimed(jobs)
    assert await jobs.cancel_job(job.id)
    assert not await jobs.cancel_job(job.id)
    assert not await jobs.extend_job(job, LEASE)
    assert not await jobs.settle_job(job, "done")
    assert (await shown(jobs, job))["state"] == "cancelled"


async def test_a_person_may_have_it_done_again(jobs: JobStore) -> None:
    await jobs.add_job("import", {}, key="import:1", max_failures=1)
    job = await claimed(jobs)
    assert not await jobs.retry_job(job.id)
    await jobs.settle_job(job, "retry", error="Broken.")
    assert await jobs.retry_job(job.id)
    again = await claimed(jobs)
    assert (again.id, again.failures) == (job.id, 0)
    await jobs.settle_job(again, "failed")
    await jobs.add_job("import", {}, key="import:1")
    assert not await jobs.retry_job(job.id)  # another does it already
    assert not await jobs.retry_job(uuid4())


async def test_the_list_is_newest_first_by_pages_and_states(jobs: JobStore) -> None:
    ids = [str((await jobs.add_job("import", {"secret": "x"}))[0]) for _ in range(5)]
    await claimed(jobs)
    page = await jobs.list_jobs(3)
    assert [one["id"] for one in page] == ids[:1:-1]
    last = page[-1]
    rest = await jobs.list_jobs(3, before=(last["created_at"], last["id"]))
    assert [one["id"] for one in rest] == [ids[1], ids[0]]
    assert [one["id"] for one in await jobs.list_jobs(9, state="running")] == [ids[0]]
    assert "payload" not in page[0]  # it may hold what isn't for everybody


async def test_old_ones_are_forgotten_and_open_ones_never(jobs: JobStore, arrange: Arrange) -> None:
    await jobs.add_job("import", {})
    old = await claimed(jobs)
    await jobs.settle_job(old, "done")
    await jobs.add_job("import", {})
    recent = await claimed(jobs)
    await jobs.settle_job(recent, "failed")
    waiting, _ = await jobs.add_job("import", {})
    await arrange.sql.execute(
        "update jobs set created_at = now() - interval '40 days', finished_at = case "
        "when state = 'done' then now() - interval '31 days' else finished_at end"
    )
    assert await jobs.prune_jobs() == 1
    assert {one["id"] for one in await jobs.list_jobs(9)} == {str(recent.id), str(waiting)}
