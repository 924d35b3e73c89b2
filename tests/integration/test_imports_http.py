"""Imports by API: files of any size, answers, reports, and requests that are refused."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.api.imports.form import FileForm
from app.errors import InvalidRequest
from tests.support.dashboard import Visitor, form_token
from tests.support.factories import Arrange
from tests.support.imports import counts
from tests.support.service import BEARER, Service
from tests.support.waiting import eventually

CSV = {"Content-Type": "text/csv"}
QUESTION = b"email,Newsletter\nann@example.com,no\n"


async def post(service: Service, path: str, **options: Any) -> httpx.Response:
    headers = {**BEARER, **options.pop("headers", {})}
    return await service.http.post(path, headers=headers, **options)


async def get(service: Service, path: str) -> httpx.Response:
    return await service.http.get(path, headers=BEARER)


async def over(service: Service, import_id: str) -> dict[str, Any]:
    """The import when nothing goes on with it any more."""

    async def look() -> dict[str, Any]:
        found: dict[str, Any] = (await get(service, f"/imports/{import_id}")).json()
        return found

    return await eventually(look, until=lambda found: found["state"] not in {"running", "undoing"})


async def test_a_file_is_uploaded_done_and_taken_back(service: Service) -> None:
    content = b"E-Mail;Name;Score\nann@example.com;Ann;=1+1\nnobody;=cmd();\n"
    accepted = await post(
        service,
        "/subscribers/import?tag=new&tag=June&map=Score:fields.points&mode=insert",
        content=content,
        headers=CSV,
    )
    assert accepted.status_code == 202, accepted.text
    import_id = accepted.json()["id"]
    assert accepted.headers["location"] == f"/imports/{import_id}"
    done = await over(service, import_id)
    assert (done["state"], done["delimiter"], done["by"]) == ("done", ";", "owner")
    assert counts(done) == {"added": 1, "refused": 1}
    ann = (await get(service, "/subscribers/ann@example.com")).json()
    assert (ann["name"], ann["tags"], ann["fields"]) == ("Ann", ["new", "June"], {"points": "=1+1"})

    rejected = await get(service, f"/imports/{import_id}/rejected.csv")
    assert rejected.headers["content-type"].startswith("text/csv")
    [head, row] = csv.reader(rejected.text.splitlines())
    assert head == ["line", "reason", "E-Mail", "Name", "Score"]
    assert (row[0], row[2:]) == ("3", ["nobody", "'=cmd()", ""])

    undo = await post(service, f"/imports/{import_id}/undo")
    assert (undo.status_code, undo.json()["state"]) == (202, "undoing")
    undone = await over(service, import_id)
    assert (undone["state"], undone["undo"]["deleted"]) == ("undone", 1)
    assert (await get(service, "/subscribers/ann@example.com")).status_code == 404
    again = await post(service, f"/imports/{import_id}/undo")
    assert (again.status_code, again.json()["import_state"]) == (409, "undone")


async def test_a_form_with_a_file_a_question_and_its_answer(service: Service) -> None:
    asked = await post(
        service,
        "/subscribers/import?dry_run=true",
        data={"before": "x"},
        files={"file": ("a/b\\people ü.csv", QUESTION, "text/csv")},
    )
    found = await over(service, asked.json()["id"])
    assert (found["state"], found["file_name"]) == ("question", "people ü.csv")
    assert found["question"][0]["column"] == "Newsletter"
    path = f"/imports/{found['id']}/answer"
    assert (await post(service, f"{path}?map=Newsletter:opted_in")).status_code == 202
    tried = await over(service, found["id"])
    assert (tried["state"], tried["dry_run"], counts(tried)) == ("done", True, {"added": 1})
    assert (tried["preview"][0]["email"], tried["preview"][0]["status"]) == (
        "ann@example.com", "unsubscribed",
    )  # fmt: skip
    assert (await get(service, "/subscribers/ann@example.com")).status_code == 404
    undo = await post(service, f"/imports/{found['id']}/undo")
    assert (undo.status_code, "dry run" in undo.json()["detail"]) == (409, True)
    assert (await post(service, f"{path}?dry_run=false&tag=t")).status_code == 202
    done = await over(service, found["id"])
    assert (done["state"], done["dry_run"], done["tags"]) == ("done", False, ["t"])
    assert (await post(service, path)).status_code == 409
    listed = (await get(service, "/imports?limit=1")).json()
    assert [one["id"] for one in listed["items"]] == [found["id"]]
    audit = await service.services.store._call("list_jobs", p_limit=9)
    assert [job["kind"] for job in audit] == ["import"] * 3


async def test_a_file_beyond_the_limit_of_other_bodies_arrives_whole(service: Service) -> None:
    """In parts of odd sizes, in more than one piece."""
    rows = b"".join(b"reader%d@example.com,%s\n" % (n, b"x" * 1_000) for n in range(2_500))
    content = b"email,note\n" + rows

    async def parts() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 77_777):
            yield content[at : at + 77_777]

    accepted = await post(service, "/subscribers/import", content=parts(), headers=CSV)
    done = await over(service, accepted.json()["id"])
    assert (counts(done), done["size"]) == ({"added": 2_500}, len(content))


async def test_what_is_refused_before_anything_is_stored(
    quiet: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "/subscribers/import"
    assert (await quiet.http.post(path, content=b"x", headers=CSV)).status_code == 401
    for query, words in [
        ("mode=replace", "mode"), ("map=Score", "map"), ("tags=x", "tags"),
        ("dry_run=2", "dry_run"), (f"tag={'x' * 101}", "tag"), ("tag=a%00b", "tag"),
    ]:  # fmt: skip
        refused = await post(quiet, f"{path}?{query}", content=b"email\n", headers=CSV)
        assert (refused.status_code, words in refused.json()["detail"]) == (422, True), query
    assert (await post(quiet, path, content=b"", headers=CSV)).status_code == 422
    assert (await post(quiet, path, json={"email": "x"})).status_code == 415
    assert (await post(quiet, path, data={"email": "x"})).status_code == 415
    no_file = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (
        b"",
        b"--x--\r\n",
        b"--x\r\nContent-Disposition: form-data; name=file\r\n\r\nemail",
    ):
        assert (await post(quiet, path, content=body, headers=no_file)).status_code == 422
    monkeypatch.setattr("app.api.http.body_limit.MAX_FILE_BYTES", 1_000)
    large = await post(quiet, path, content=b"x" * 1_001, headers=CSV)
    assert (large.status_code, large.json()["code"]) == (413, "payload_too_large")
    assert (await get(quiet, "/imports")).json()["items"] == []
    for method, rest in [
        ("GET", ""),
        ("GET", "/rejected.csv"),
        ("POST", "/undo"),
        ("POST", "/answer"),
    ]:
        missing = await quiet.http.request(method, f"/imports/{uuid4()}{rest}", headers=BEARER)
        assert (missing.status_code, missing.json()["code"]) == (404, "import_not_found")


async def test_a_file_that_comes_too_slowly_is_given_up(
    quiet: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.api.http.body_limit.FILE_SECONDS", 0.05)

    async def slow() -> AsyncIterator[bytes]:
        yield b"email\n"
        await asyncio.Event().wait()

    refused = await post(quiet, "/subscribers/import", content=slow(), headers=CSV)
    assert (refused.status_code, refused.json()["code"]) == (408, "body_too_slow")
    assert await arrange.one("select count(*) from imports") == 0


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_a_form_is_read_in_parts_of_any_size(size: int) -> None:
    content = b"a\r\n--x\r\n--xy-\r\n\r\n--x"
    body = (
        b'preamble\r\n--xyz\r\nContent-Disposition: form-data; name="one"\r\n\r\nyes\r\n--xyz\r\n'
        b'\r\n\r\n--xyz\r\nContent-Disposition: form-data; name="one"\r\n\r\n\r\n--xyz\r\n'
        b'content-disposition: form-data; name="file"; filename=""\r\n'
        b"Content-Type: text/csv\r\n\r\n" + content + b"\r\n--xyz--\r\nepilogue"
    )

    async def parts(until: int) -> AsyncIterator[bytes]:
        for at in range(0, until, size):
            yield body[at : min(at + size, until)]

    form = FileForm("multipart/form-data; boundary=xyz", parts(len(body)))
    await form.read_fields()
    assert (form.fields["one"], form.file_name) == (["yes", ""], "")
    assert b"".join([part async for part in form.file()]) == content
    cut = FileForm('multipart/form-data; boundary="xyz"', parts(len(body) - 20))
    await cut.read_fields()
    with pytest.raises(InvalidRequest):
        [part async for part in cut.file()]


async def test_the_pages_lead_from_the_file_to_the_report_and_back(service: Service) -> None:
    visitor = Visitor(service)
    await visitor.sign_in()
    assert "Nothing was imported yet" in (await visitor.get("/imports")).text
    token = form_token((await visitor.get("/subscribers/import")).text)

    async def sent(token: str, content: bytes = QUESTION) -> httpx.Response:
        return await visitor.http.post(
            "/dashboard/subscribers/import",
            data={"form_token": token, "mode": "upsert", "tags": " new, June,"},
            files={"file": ("people.csv", content)},
        )

    assert (await sent("another")).status_code == 403
    empty = await sent(token, b"")
    assert (empty.status_code, "This file is empty" in empty.text) == (422, True)
    assert 'value=" new, June,"' in empty.text  # what was typed is still there
    uploaded = await sent(token)
    assert uploaded.status_code == 303
    path = uploaded.headers["location"].removeprefix("/dashboard")
    import_id = path.removeprefix("/imports/")
    await over(service, import_id)
    page = (await visitor.get(path)).text
    assert "One question before anybody is imported" in page
    assert "people.csv" in (await visitor.get("/imports")).text
    await visitor.post(f"{path}/answer", question0="Newsletter=opted_in")
    tried = await over(service, import_id)
    assert (tried["dry_run"], tried["map"], tried["tags"]) == (
        True, {"Newsletter": "opted_in"}, ["new", "June"],
    )  # fmt: skip
    page = (await visitor.get(path)).text
    assert "Import 1 person" in page
    assert "ann@example.com" in page
    # Other meanings, tags and mode: what is sent as it was shown changes nothing.
    await visitor.post(
        f"{path}/answer", column0="email", column1="field", tags="June", mode="insert"
    )
    again = await over(service, import_id)
    assert (again["map"], again["tags"], again["mode"]) == (
        {"Newsletter": "field"}, ["June"], "insert",
    )  # fmt: skip
    await visitor.post(f"{path}/answer", **{"import": "yes"})
    done = await over(service, import_id)
    assert (done["dry_run"], counts(done), done["map"]) == (False, {"added": 1}, again["map"])
    assert "What it did, for 1 row" in (await visitor.get(path)).text
    late = await visitor.post(f"{path}/answer", **{"import": "yes"})
    assert late.headers["location"].endswith("?notice=late")
    assert "Take the import back?" in (await visitor.get(f"{path}/undo")).text
    await visitor.post(f"{path}/undo")
    assert (await over(service, import_id))["state"] == "undone"
    assert "It was taken back" in (await visitor.get(path)).text
    failed = await sent(token, b"PK\x03\x04")
    failed_path = failed.headers["location"].removeprefix("/dashboard")
    await over(service, failed_path.removeprefix("/imports/"))
    assert "Excel workbook" in (await visitor.get(failed_path)).text
    assert (
        (await visitor.get(f"{path}/rejected.csv")).headers["content-type"].startswith("text/csv")
    )
    for missing in (f"/imports/{uuid4()}", f"/imports/{uuid4()}/undo", "/imports/x"):
        assert (await visitor.get(missing)).status_code == 404
    await visitor.http.aclose()
