"""Rows and what stands on them, as a person makes them and as the API answers."""

from __future__ import annotations

from typing import Any

import httpx

from app.sandbox.notion.server import NotionServer
from tests.sandbox.notion.support import refused


def text(content: str) -> list[dict[str, Any]]:
    return [{"text": {"content": content}}]


def test_what_a_person_types_is_answered(notion: NotionServer, client: Any) -> None:
    page = notion.make_page(
        {"Name": "June", "Status": "Draft", "Audience": ["spring", "new"], "Send at": "2026-06-01"}
    )
    row = client.pages.retrieve(page)
    said = row["properties"]
    assert said["Name"]["title"][0]["plain_text"] == "June"
    assert said["Status"]["select"]["name"] == "Draft"
    assert [tag["name"] for tag in said["Audience"]["multi_select"]] == ["spring", "new"]
    assert said["Send at"]["date"] == {"start": "2026-06-01", "end": None, "time_zone": None}
    assert said["Recipients"] == {"id": said["Recipients"]["id"], "type": "number", "number": None}
    assert row["parent"]["data_source_id"] == notion.data_source_id
    assert row["last_edited_by"]["id"] == notion.act("about")["person_id"]
    assert row["last_edited_time"].endswith(":00.000Z")


def test_what_the_api_writes_is_the_bots_and_a_person_reads_it(
    notion: NotionServer, client: Any
) -> None:
    page = notion.make_page({"Name": "June"})
    said = client.pages.update(
        page,
        properties={
            "Delivery": {"select": {"name": "Sent"}},
            "Recipients": {"number": 12},
            "Progress": {"rich_text": text("half")},
            "Mailout": {"url": "https://example.com/m"},
        },
    )
    assert said["last_edited_by"]["id"] == client.users.me()["id"]
    row = notion.values(page)
    assert (row["Delivery"], row["Recipients"], row["Progress"]) == ("Sent", 12, "half")
    client.pages.update(page, properties={"Recipients": {"number": None}})
    assert notion.values(page)["Recipients"] is None


def test_children_come_one_level_at_a_time_in_pages(notion: NotionServer, client: Any) -> None:
    nested = {"type": "toggle", "toggle": {"rich_text": "More", "children": ["inside"]}}
    page = notion.make_page({"Name": "Long"}, [*(f"line {n}" for n in range(100)), nested])
    first = client.blocks.children.list(page)
    assert (len(first["results"]), first["has_more"]) == (100, True)
    rest = client.blocks.children.list(page, start_cursor=first["next_cursor"])
    [toggle] = rest["results"]
    assert (toggle["has_children"], rest["has_more"], rest["next_cursor"]) == (True, False, None)
    [inside] = client.blocks.children.list(toggle["id"])["results"]
    assert inside["paragraph"]["rich_text"][0]["plain_text"] == "inside"
    with refused(400, "validation_error", "page_size should be ≤ `100`"):
        client.blocks.children.list(page, page_size=101)


def test_the_address_of_a_file_dies(notion: NotionServer, client: Any) -> None:
    picture = notion.upload("a b.png", b"pixels", "image/png")
    page = notion.make_page({"Name": "P"}, [{"type": "image", "image": picture}])
    [block] = client.blocks.children.list(page)["results"]
    address = block["image"]["file"]["url"]
    got = httpx.get(address, trust_env=False)
    assert (got.content, got.headers["content-type"]) == (b"pixels", "image/png")
    assert httpx.get(address.replace("Signature=", "Signature=0"), trust_env=False).is_error
    notion.expire_files()
    dead = httpx.get(address, trust_env=False)
    assert (dead.status_code, "AccessDenied" in dead.text) == (403, True)
    [again] = client.blocks.children.list(page)["results"]
    assert httpx.get(again["image"]["file"]["url"], trust_env=False).is_success


def test_a_person_edits_trashes_moves_locks_and_duplicates(
    notion: NotionServer, client: Any
) -> None:
    page = notion.make_page({"Name": "June", "Recipients": 5, "Status": "Send"}, ["one", "two"])
    first, _ = (block["id"] for block in notion.blocks(page))
    notion.edit_block(first, "changed")
    notion.append(page, ["between"], after=first)
    said = [b["paragraph"]["rich_text"][0]["plain_text"] for b in notion.blocks(page)]
    assert said == ["changed", "between", "two"]
    notion.delete_block(first)
    assert len(client.blocks.children.list(page)["results"]) == 2

    copy = notion.duplicate(page)
    assert notion.values(copy) == notion.values(page)
    assert len(notion.blocks(copy)) == 2

    notion.lock(page)
    assert client.pages.update(page, properties={"Recipients": {"number": 6}})["is_locked"]
    notion.trash(page)
    assert client.pages.retrieve(page)["in_trash"]
    with refused(400, "validation_error", "archived"):
        client.pages.update(page, properties={"Recipients": {"number": 7}})
    notion.restore(page)
    notion.move(page)
    with refused(400, "validation_error", "Recipients is not a property that exists"):
        client.pages.update(page, properties={"Recipients": {"number": 7}})


def test_a_page_that_is_not_shared_is_not_there(notion: NotionServer, client: Any) -> None:
    page = notion.make_page({"Name": "June"}, ["one"])
    notion.share(notion.database_id, False)
    for path in (f"pages/{page}", f"blocks/{page}/children", f"databases/{notion.database_id}"):
        with refused(404, "object_not_found", "shared with your integration"):
            client.request(path, "GET")
