"""Tokens, versions, capabilities, limits and faults."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.sandbox.notion.server import NotionServer
from tests.sandbox.notion.conftest import VERSION
from tests.sandbox.notion.support import refused


def asked(notion: NotionServer, **headers: str | None) -> httpx.Response:
    given = {"Authorization": f"Bearer {notion.token}", "Notion-Version": VERSION, **headers}
    return httpx.get(
        f"{notion.url}/v1/users/me",
        headers={name: value for name, value in given.items() if value is not None},
        trust_env=False,
    )


def write(notion: NotionServer, page: str) -> httpx.Response:
    return httpx.patch(
        f"{notion.url}/v1/pages/{page}",
        headers={"Authorization": f"Bearer {notion.token}", "Notion-Version": VERSION},
        json={"properties": {"Accepted": {"number": 1}}},
        trust_env=False,
    )


def test_who_may_come_in(notion: NotionServer) -> None:
    assert asked(notion).is_success
    assert asked(notion, **{"Notion-Version": None}).json()["code"] == "missing_version"
    assert asked(notion, **{"Notion-Version": "2030-01-01"}).status_code == 400
    assert asked(notion, Authorization="Bearer other").json()["code"] == "unauthorized"
    notion.revoke_token()
    error = asked(notion).json()
    assert (error["object"], error["status"], error["code"]) == ("error", 401, "unauthorized")
    assert error["request_id"]
    notion.heal()
    assert asked(notion).is_success


def test_older_versions_have_older_shapes(notion: NotionServer) -> None:
    page = notion.make_page({"Name": "June"})
    path = f"{notion.url}/v1/pages/{page}"
    said = {}
    for version in ("2022-06-28", "2025-09-03", VERSION):
        headers = {"Authorization": f"Bearer {notion.token}", "Notion-Version": version}
        said[version] = httpx.get(path, headers=headers, trust_env=False).json()
    assert said["2022-06-28"]["parent"]["type"] == "database_id"
    assert said["2025-09-03"]["parent"]["type"] == "data_source_id"
    assert ["archived" in answer for answer in said.values()] == [True, True, False]


@pytest.mark.parametrize(
    ("capability", "method", "path", "body"),
    [
        ("read_content", "GET", "pages/{page}", None),
        ("read_content", "GET", "blocks/{page}/children", None),
        ("update_content", "PATCH", "pages/{page}", {"properties": {}}),
        ("insert_content", "PATCH", "blocks/{page}/children", {"children": []}),
        ("read_comments", "GET", "comments?block_id={page}", None),
        ("insert_comments", "POST", "comments", {"parent": {"page_id": "{page}"}}),
    ],
)
def test_a_capability_that_was_taken(
    notion: NotionServer, client: Any, capability: str, method: str, path: str, body: Any
) -> None:
    page = notion.make_page({"Name": "June"})
    notion.capabilities(without=[capability])
    with refused(403, "restricted_resource", "Insufficient permissions"):
        client.request(path.format(page=page), method, body=body)


def test_the_rate_and_faults_are_told_as_notion_tells_them(notion: NotionServer) -> None:
    notion.act("rate", requests=2)
    assert [asked(notion).status_code for _ in range(3)] == [200, 200, 429]
    limited = asked(notion)
    assert int(limited.headers["retry-after"]) >= 1
    assert limited.json()["additional_data"] == {"rate_limit_reason": "integration"}
    notion.heal()

    page = notion.make_page({"Name": "June"})
    notion.fail(529, times=1, retry_after=7, path="pages", method="PATCH")
    assert asked(notion).is_success
    busy = write(notion, page)
    assert (busy.json()["code"], busy.headers["retry-after"]) == ("service_overload", "7")
    assert notion.values(page)["Accepted"] is None
    notion.fail(502, times=1, after=True)
    assert write(notion, page).status_code == 502
    assert notion.values(page)["Accepted"] == 1
    notion.fail(403, times=1, html=True)
    blocked = asked(notion)
    assert (blocked.status_code, "cf-ray" in blocked.headers) == (403, True)
    writes = notion.requests("PATCH", "pages")
    assert [one["status"] for one in writes] == [529, 502]
    assert writes[0]["body"] is None  # it was not read


def test_what_is_not_there(notion: NotionServer) -> None:
    answer = httpx.get(f"{notion.url}/v1/nothing", trust_env=False)
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request_url")
    with pytest.raises(RuntimeError, match="no act fly"):
        notion.act("fly")
    with pytest.raises(RuntimeError, match="is not a property that exists"):
        notion.set(notion.make_page({"Name": "x"}), Colour="red")
