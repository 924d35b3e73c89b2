"""What Notion refuses, and in which words."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from app.sandbox.notion.server import NotionServer
from tests.sandbox.notion.support import refused

Properties = dict[str, Any]


def text(content: str, **more: Any) -> list[Properties]:
    return [{"text": {"content": content, **more}}]


WRONG: list[tuple[str, Properties, str]] = [
    ("unknown", {"Colour": {"number": 1}}, "Colour is not a property that exists."),
    ("type", {"Recipients": {"rich_text": []}}, "Recipients is expected to be number."),
    ("shape", {"Recipients": {"number": "1"}}, "Recipients.number should be a number"),
    ("long", {"Progress": {"rich_text": text("x" * 2001)}}, "length should be ≤ `2000`"),
    # Two units each, as JavaScript counts.
    ("emoji", {"Progress": {"rich_text": text("🎈" * 1001)}}, "instead was `2002`"),
    ("many", {"Progress": {"rich_text": text("x") * 101}}, "rich_text.length should be ≤ `100`"),
    (
        "link",
        {"Progress": {"rich_text": text("x", link={"url": "https://e.org/" + "x" * 2000})}},
        "url.length should be ≤ `2000`",
    ),
    ("comma", {"Delivery": {"select": {"name": "a, b"}}}, "commas not allowed"),
    ("empty url", {"Mailout": {"url": ""}}, "Mailout.url"),
    ("no date", {"Send at": {"date": {"start": "tomorrow"}}}, "valid ISO 8601"),
    (
        "zone and offset",
        {"Send at": {"date": {"start": "2026-01-01T09:00:00Z", "time_zone": "Europe/Berlin"}}},
        "offset",
    ),
    ("nothing", {"Progress": {}}, "Progress.rich_text should be defined"),
]


@pytest.mark.parametrize(("properties", "words"), [w[1:] for w in WRONG], ids=[w[0] for w in WRONG])
def test_a_wrong_value_changes_nothing(
    notion: NotionServer, client: Any, properties: Properties, words: str
) -> None:
    page = notion.make_page({"Name": "June"})
    before = notion.values(page)
    with refused(400, "validation_error", words):
        client.pages.update(page, properties={"Accepted": {"number": 9}, **properties})
    assert notion.values(page) == before


def test_a_new_option_of_a_select_is_made_and_a_status_must_exist(
    notion: NotionServer, client: Any
) -> None:
    made = notion.make_database(
        {
            "Name": {"title": {}},
            "Kind": {"select": {"options": [{"name": "Old"}]}},
            "State": {"status": {"options": [{"name": "Waiting"}]}},
        }
    )
    notion.person("make_option", prop_name="State", option="Busy", source=made["data_source_id"])
    page = notion.make_page({"Name": "Row"}, parent=made["data_source_id"])
    client.pages.update(page, properties={"Kind": {"select": {"name": "New"}}})
    source = client.request(f"data_sources/{made['data_source_id']}", "GET")
    options = source["properties"]["Kind"]["select"]["options"]
    assert [option["name"] for option in options] == ["Old", "New"]
    client.pages.update(page, properties={"State": {"status": {"name": "Waiting"}}})
    for name in ("Gone", "Busy"):  # the latter is in progress
        with refused(400, "validation_error", "Invalid status option"):
            client.pages.update(page, properties={"State": {"status": {"name": name}}})
    notion.set(page, State="Busy")
    assert notion.values(page)["State"] == "Busy"


@pytest.mark.parametrize(
    ("written", "answered"),
    [
        ({"start": "2026-07-01"}, "2026-07-01"),
        ({"start": "2026-07-01T09:00:00+02:00"}, "2026-07-01T09:00:00.000+02:00"),
        (
            {"start": "2026-07-01T09:00:00", "time_zone": "Europe/Berlin"},
            "2026-07-01T09:00:00.000+02:00",
        ),
    ],
)
def test_a_date_is_answered_with_its_offset_and_never_a_zone(
    notion: NotionServer, client: Any, written: Properties, answered: str
) -> None:
    page = notion.make_page({"Name": "June"})
    said = client.pages.update(page, properties={"Send at": {"date": written}})
    assert said["properties"]["Send at"]["date"] == {
        "start": answered,
        "end": None,
        "time_zone": None,
    }


def paragraph(content: str = "x", **more: Any) -> Properties:
    return {"type": "paragraph", "paragraph": {"rich_text": text(content), **more}}


def deep(levels: int) -> Properties:
    return paragraph(children=[deep(levels - 1)]) if levels else paragraph()


def test_limits_of_blocks(notion: NotionServer, client: Any) -> None:
    page = notion.make_page({"Name": "June"})
    append = client.blocks.children.append
    append(page, children=[paragraph(str(n)) for n in range(100)])
    assert len(notion.blocks(page)) == 100
    with refused(400, "validation_error", "children.length should be ≤ `100`, instead was `101`"):
        append(page, children=[paragraph()] * 101)
    append(page, children=[deep(2)])
    with refused(400, "validation_error", "should be not present"):
        append(page, children=[deep(3)])
    many = [paragraph(children=[paragraph()] * 10)] * 100
    with refused(400, "validation_error", "at most 1000 blocks"):
        append(page, children=many)
    with refused(400, "validation_error", "too large"):
        append(page, children=[{"paragraph": {"rich_text": text("x" * 600_000)}}])
    for kind in ("unsupported", "link_preview", "child_page"):
        with refused(400, "validation_error", f"{kind} should be defined"):
            append(page, children=[{"type": kind, kind: {}}])
    assert len(notion.blocks(page)) == 101


def test_a_block_stands_where_it_is_put(notion: NotionServer, client: Any) -> None:
    page = notion.make_page({"Name": "June"}, ["a", "c"])
    first = notion.blocks(page)[0]["id"]
    for content, position in (
        ("b", {"type": "after_block", "after_block": {"id": first}}),
        ("start", {"type": "start"}),
        ("end", None),
    ):
        client.blocks.children.append(
            page, children=[paragraph(content)], **({"position": position} if position else {})
        )
    said = [block["paragraph"]["rich_text"][0]["plain_text"] for block in notion.blocks(page)]
    assert said == ["start", "a", "b", "c", "end"]
    with refused(400, "validation_error", "body.after should be not present"):
        client.request(
            f"blocks/{page}/children", "PATCH", body={"children": [paragraph()], "after": first}
        )


def test_every_type_of_block_is_answered(notion: NotionServer, client: Any) -> None:
    written: list[Properties] = [
        {"heading_4": {"rich_text": "four"}},
        {"numbered_list_item": {"rich_text": "n", "list_start_index": 3, "list_format": "roman"}},
        {"table": {"table_width": 1, "children": [{"table_row": {"cells": ["c"]}}]}},
        {"column_list": {"children": [{"column": {"children": ["l"]}}, {"column": {}}]}},
        {"callout": {"rich_text": "!", "icon": "💡", "color": "red_background"}},
        {"meeting_notes": {"title": "m"}},
        {"unsupported": {"block_type": "button"}},
        {"image": {}},
    ]
    page = notion.make_page({"Name": "All"}, written)
    said = client.blocks.children.list(page)["results"]
    assert [block["type"] for block in said] == [next(iter(block)) for block in written]
    assert said[4]["callout"]["icon"] == {"type": "emoji", "emoji": "💡"}
    assert said[6]["unsupported"] == {"block_type": "button"}
    origin = notion.append(page, [{"synced_block": {"synced_from": None, "children": ["once"]}}])
    link = {"type": "block_id", "block_id": origin[0]}
    [copy] = notion.append(page, [{"synced_block": {"synced_from": link}}])
    assert len(client.blocks.children.list(copy)["results"]) == 1
    notion.act("synced_copies", show=False)
    assert client.blocks.children.list(copy)["results"] == []


def test_uploads_are_sent_once_and_attached(notion: NotionServer, client: Any) -> None:
    page = notion.make_page({"Name": "June"})
    made = client.file_uploads.create(
        mode="single_part", filename="all.csv", content_type="text/csv"
    )
    attach = {"Statement": {"files": [{"type": "file_upload", "file_upload": {"id": made["id"]}}]}}
    with refused(400, "validation_error", "`pending`"):
        client.pages.update(page, properties=attach)
    with refused(400, "validation_error", "does not match"):
        client.file_uploads.send(made["id"], file=("all.csv", b"a", "image/png"))
    sent = client.file_uploads.send(made["id"], file=("all.csv", b"a,b\r\n", "text/csv"))
    assert (sent["status"], sent["content_length"]) == ("uploaded", 5)
    with refused(400, "validation_error", "`uploaded`"):
        client.file_uploads.send(made["id"], file=("all.csv", b"a", "text/csv"))
    said = client.pages.update(page, properties=attach)
    [file] = said["properties"]["Statement"]["files"]
    assert file["name"] == "all.csv"
    assert httpx.get(file["file"]["url"], trust_env=False).content == b"a,b\r\n"
    with refused(400, "validation_error", "filename.length"):
        client.file_uploads.create(mode="single_part", filename="ü" * 451 + ".csv")


def test_comments_and_their_threads(notion: NotionServer, client: Any) -> None:
    page = notion.make_page({"Name": "June"})
    asked = notion.comment(page, "/status")
    answer = client.comments.create(discussion_id=asked["discussion_id"], rich_text=text("42"))
    assert answer["discussion_id"] == asked["discussion_id"]
    said = client.comments.list(block_id=page)["results"]
    assert [one["rich_text"][0]["plain_text"] for one in said] == ["/status", "42"]
    assert [one["display_name"]["type"] for one in said] == ["user", "integration"]
    with refused(400, "validation_error", "Exactly one of"):
        client.comments.create(rich_text=text("nowhere"))


def test_a_database_is_made_and_its_schema_changed(notion: NotionServer, client: Any) -> None:
    home = notion.act("about")["home_page_id"]
    with refused(400, "validation_error", "Title is not provided"):
        client.databases.create(
            parent={"type": "page_id", "page_id": home},
            initial_data_source={"properties": {"N": {"number": {}}}},
        )
    made = client.databases.create(
        parent={"type": "page_id", "page_id": home},
        title=text("Mine"),
        initial_data_source={"properties": {"T": {"title": {}}, "N": {"number": {}}}},
    )
    [source] = made["data_sources"]
    client.request(
        f"data_sources/{source['id']}", "PATCH", body={"properties": {"N": {"name": "Count"}}}
    )
    said = client.request(f"data_sources/{source['id']}", "GET")
    assert set(said["properties"]) == {"T", "Count"}
    assert said["properties"]["T"]["id"] == "title"
    view: Properties = {
        "data_source_id": source["id"],
        "database_id": made["id"],
        "name": "By n",
        "type": "board",
    }
    with refused(400, "validation_error", "configuration should be defined"):
        client.request("views", "POST", body=view)
    assert client.request("views", "POST", body=view | {"type": "table"})["type"] == "table"
