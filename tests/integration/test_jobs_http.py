"""Background jobs by API and on the dashboard."""

from __future__ import annotations

from uuid import UUID, uuid4

import httpx

from app.domain.jobs import Job
from app.store.jobs import JobStore
from tests.support.dashboard import Visitor
from tests.support.service import BEARER, Service


async def failed_job(jobs: JobStore) -> Job:
    await jobs.add_job("some_import", {"secret": "s3cr3t"})
    job = await jobs.claim_job(["some_import"], 60)
    assert job is not None
    await jobs.settle_job(job, "failed", error="Line 3 of ann@example.com is damaged.")
    return job


async def get(service: Service, path: str) -> httpx.Response:
    return await service.http.get(path, headers=BEARER)


async def post(service: Service, path: str) -> httpx.Response:
    return await service.http.post(path, headers=BEARER)


async def test_jobs_are_listed_by_pages_and_shown(service: Service) -> None:
    jobs = service.services.jobs
    failed = await failed_job(jobs)
    others = [(await jobs.add_job("some_undo", {}))[0] for _ in range(2)]
    first = (await get(service, "/jobs?limit=2")).json()
    assert [UUID(one["id"]) for one in first["items"]] == others[::-1]
    second = (await get(service, f"/jobs?limit=2&cursor={first['next_cursor']}")).json()
    assert ([one["state"] for one in second["items"]], second["next_cursor"]) == (["failed"], None)
    assert [
        one["state"] for one in (await get(service, "/jobs?state=waiting")).json()["items"]
    ] == [
        "waiting",
        "waiting",
    ]
    shown = await get(service, f"/jobs/{failed.id}")
    assert shown.json()["error"] == "Line 3 of ann@example.com is damaged."
    assert "s3cr3t" not in shown.text
    assert (await get(service, f"/jobs/{uuid4()}")).json()["code"] == "job_not_found"
    assert (await get(service, "/jobs?state=odd")).status_code == 422
    assert (await service.http.get("/jobs")).status_code == 401


async def test_jobs_are_cancelled_and_done_again(service: Service) -> None:
    failed = await failed_job(service.services.jobs)
    again = await post(service, f"/jobs/{failed.id}/retry")
    assert (again.status_code, again.json()["state"]) == (200, "waiting")
    assert (await post(service, f"/jobs/{failed.id}/retry")).status_code == 409
    cancelled = await post(service, f"/jobs/{failed.id}/cancel")
    assert (cancelled.status_code, cancelled.json()["state"]) == (200, "cancelled")
    late = await post(service, f"/jobs/{failed.id}/cancel")
    assert (late.status_code, late.json()["job_state"]) == (409, "cancelled")
    assert (await post(service, f"/jobs/{uuid4()}/cancel")).status_code == 404


async def test_the_page_shows_and_steers_them(service: Service) -> None:
    failed = await failed_job(service.services.jobs)
    visitor = Visitor(service)
    await visitor.sign_in()
    page = (await visitor.get("/jobs")).text
    assert "Some import" in page
    assert "Line 3 of" in page
    assert "ann@example.com" not in page
    assert "s3cr3t" not in page
    assert "No job is running" in (await visitor.get("/jobs?state=running")).text
    done = await visitor.post(f"/jobs/{failed.id}/retry")
    assert (done.status_code, done.headers["location"]) == (303, "/dashboard/jobs?notice=retry")
    late = await visitor.post(f"/jobs/{failed.id}/retry")
    assert late.headers["location"] == "/dashboard/jobs?notice=late"
    assert (await visitor.post(f"/jobs/{failed.id}/explode")).status_code == 404
    await visitor.post(f"/jobs/{failed.id}/cancel")
    assert "Do it again" in (await visitor.get("/jobs?state=cancelled")).text
