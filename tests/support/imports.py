"""Imports, row by row and as a whole."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any
from uuid import UUID

from app.domain.jobs import Job
from app.services.imports.imports import Imports, Options
from app.services.imports.run_import import RunImport, import_kinds
from app.services.jobs.runner import JobRunner
from app.store import Store
from app.store.jobs import JobStore

LEASE = 60.0
COUNTS = ("added", "updated", "unchanged", "repeated", "lowered", "refused")


def counts(shown: dict[str, Any]) -> dict[str, int]:
    """Those that aren't zero; they add up to `rows`."""
    assert sum(shown[name] for name in COUNTS) == shown["rows"]
    return {name: shown[name] for name in COUNTS if shown[name]}


async def begun(store: Store, jobs: JobStore, **options: Any) -> tuple[UUID, Job]:
    """An import whose job is ours."""
    values: dict[str, Any] = {
        "by": "owner", "mode": "upsert", "dry_run": False, "tags": [], "mapping": {},
        "file_name": "people.csv",
    }  # fmt: skip
    import_id = await store.begin_import(**values | options)
    assert await store.store_import_chunk(import_id, 0, b"packed", 6)
    assert await store.start_import(import_id, by="owner")
    job = await jobs.claim_job(["import"], LEASE)
    assert job is not None
    return import_id, job


async def add(
    store: Store,
    import_id: UUID,
    job: Job,
    rows: Sequence[dict[str, Any]] = (),
    *,
    done: int = 0,
    before: int | None = None,
    repeated: Sequence[dict[str, Any]] = (),
    refused: Sequence[dict[str, Any]] = (),
) -> int | None:
    numbered = [{"line": done + n, **row} for n, row in enumerate(rows, 2)]
    return await store.import_chunk(
        import_id,
        job,
        done=done,
        before=before,
        rows=numbered,
        repeated=repeated,
        refused=refused,
        progress={},
    )


async def imported(
    store: Store,
    jobs: JobStore,
    *rows: dict[str, Any],
    repeated: Sequence[dict[str, Any]] = (),
    refused: Sequence[dict[str, Any]] = (),
    **options: Any,
) -> dict[str, Any]:
    """An import of these rows from the beginning to the end, as the API shows it."""
    import_id, job = await begun(store, jobs, **options)
    await add(store, import_id, job, rows, repeated=repeated, refused=refused)
    await store.end_import(import_id)
    await jobs.settle_job(job, "done")
    return await shown(store, import_id)


async def taken_back(
    store: Store, jobs: JobStore, import_id: str, limit: int = 2
) -> dict[str, Any]:
    """What the undo says in the end. limit: changes at once."""
    assert await store.begin_undo_import(UUID(import_id), "owner") is not None
    job = await jobs.claim_job(["undo_import"], LEASE)
    assert job is not None
    while not (done := await store.undo_import_slice(UUID(import_id), job, limit)):
        assert done is not None
    await jobs.settle_job(job, "done")
    found = await shown(store, UUID(import_id))
    assert found["state"] == "undone"
    undo: dict[str, Any] = found["undo"]
    return undo


async def shown(store: Store, import_id: UUID) -> dict[str, Any]:
    found = await store.show_import(import_id)
    assert found is not None
    return found


async def import_file(
    store: Store, jobs: JobStore, content: bytes, **options: Any
) -> dict[str, Any]:
    """A file, by the way that the command line takes; gives the import as the API shows it."""
    started = await Imports(store).upload(in_parts(content), Options(**options), by="owner")
    await run(store, jobs, started)
    return await shown(store, UUID(started["id"]))


async def run(store: Store, jobs: JobStore, started: dict[str, Any]) -> None:
    """Do the import's job."""
    assert await JobRunner(jobs, import_kinds(RunImport(store))).do(UUID(started["job_id"]))


async def in_parts(content: bytes, size: int = 65_536) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]
