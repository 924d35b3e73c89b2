"""Notion beside SES in one sandbox, and its pages in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from app.sandbox.config import SandboxConfig
from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.remote import NotionRemote
from app.sandbox.server import SandboxServer


@pytest.fixture(scope="module")
def both() -> Iterator[tuple[SandboxServer, NotionRemote]]:
    with SandboxServer(SandboxConfig(notion=NotionConfig())) as server:
        notion = NotionRemote()
        notion.connect(server.url)
        yield server, notion
        notion.control.close()


def test_a_person_writes_a_row_and_sets_its_status(
    both: tuple[SandboxServer, NotionRemote],
) -> None:
    server, notion = both
    with httpx.Client(base_url=server.url, trust_env=False, follow_redirects=True) as browser:
        assert 'href="/notion"' in browser.get("/").text
        assert "notion init --parent" in browser.get("/notion").text
        notion.make_newsletters()
        row = browser.post(f"/notion/{notion.database_id}/row", data={"value": "June <b>"})
        assert "June &lt;b&gt;" in row.text
        [page] = notion.rows()
        browser.post(f"/notion/{page}/status", data={"value": "Send test"})
        assert notion.values(page)["Status"] == "Send test"
        browser.post(f"/notion/{page}/comment", data={"value": "/status"})
        assert len(notion.comments(page)) == 1
        foreign = {"sec-fetch-site": "cross-site"}
        refused = browser.post(f"/notion/{page}/status", data={"value": "Send"}, headers=foreign)
        assert refused.status_code == 403
        assert notion.values(page)["Status"] == "Send test"
        assert browser.get("/notion/nothing").status_code == 404
        shown = browser.get("/notion").text
        assert f"/notion/{page}" in shown


def test_without_notion_the_sandbox_has_none() -> None:
    with SandboxServer() as server:
        assert "/notion" not in server.control.get("/").text
        assert server.control.get("/v1/users/me").status_code == 404


def test_a_sandbox_in_a_process_of_its_own_has_it_too() -> None:
    config = SandboxConfig(notion=NotionConfig(rate=5, retry_delay=(0.0, 1.0)))
    assert SandboxConfig.from_json(config.to_json()) == config
