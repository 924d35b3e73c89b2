"""Filters, sorts, and how a query ends."""

from __future__ import annotations

from typing import Any

import pytest

from app.sandbox.notion.model import query
from app.sandbox.notion.server import NotionServer
from tests.sandbox.notion.support import refused


@pytest.fixture
def rows(notion: NotionServer) -> NotionServer:
    notion.make_page({"Name": "April", "Status": "Draft", "Accepted": 1, "Audience": ["a"]})
    notion.make_page({"Name": "May", "Status": "Send", "Accepted": 3, "Send at": "2026-05-01"})
    notion.make_page({"Name": "June", "Accepted": 2, "Send at": "2026-06-01T09:00:00+02:00"})
    return notion


def titles(notion: NotionServer, client: Any, **body: Any) -> list[str]:
    path = f"data_sources/{notion.data_source_id}/query"
    found = client.request(path, "POST", body=body)["results"]
    return [row["properties"]["Name"]["title"][0]["plain_text"] for row in found]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ({"property": "Status", "select": {"equals": ["Send", "Draft"]}}, ["May", "April"]),
        ({"property": "Status", "select": {"equals": "Send"}}, ["May"]),
        ({"property": "Status", "select": {"is_empty": True}}, ["June"]),
        ({"property": "Accepted", "number": {"greater_than": 1}}, ["June", "May"]),
        ({"property": "Name", "title": {"contains": "ay"}}, ["May"]),
        ({"property": "Audience", "multi_select": {"contains": "a"}}, ["April"]),
        ({"property": "Send at", "date": {"after": "2026-05-15"}}, ["June"]),
        ({"timestamp": "last_edited_time", "last_edited_time": {"before": "2026-01-01"}}, []),
        (
            {
                "or": [
                    {"property": "Name", "rich_text": {"equals": "May"}},
                    {
                        "and": [
                            {"property": "Accepted", "number": {"equals": 1}},
                            {"property": "Status", "select": {"does_not_equal": "Send"}},
                        ]
                    },
                ]
            },
            ["May", "April"],
        ),
    ],
)
def test_filters(rows: NotionServer, client: Any, condition: Any, found: list[str]) -> None:
    assert titles(rows, client, filter=condition) == found


def test_sorts_and_pages(rows: NotionServer, client: Any) -> None:
    up = {"property": "Accepted", "direction": "ascending"}
    assert titles(rows, client, sorts=[up]) == ["April", "June", "May"]
    late = {"property": "Send at", "direction": "descending"}
    assert titles(rows, client, sorts=[late]) == ["June", "May", "April"]  # empty: the last
    path = f"data_sources/{rows.data_source_id}/query"
    first = client.request(path, "POST", body={"page_size": 2})
    rest = client.request(path, "POST", body={"start_cursor": first["next_cursor"]})
    assert (len(first["results"]), first["has_more"], len(rest["results"])) == (2, True, 1)


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ({"property": "State", "select": {"equals": "x"}}, "Could not find property"),
        ({"property": "Status", "select": {"equals": "Gone"}}, 'option "Gone" not found'),
        ({"property": "Status", "number": {"equals": 1}}, "does not match filter number"),
        ({"property": "Accepted", "number": {"contains": 1}}, "body.filter.number"),
    ],
)
def test_a_filter_that_is_none(rows: NotionServer, client: Any, condition: Any, words: str) -> None:
    with refused(400, "validation_error", words):
        titles(rows, client, filter=condition)


def test_a_query_ends_without_a_word(
    rows: NotionServer, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"data_sources/{rows.data_source_id}/query"
    whole = client.request(path, "POST", body={})
    assert whole["request_status"] == {"type": "complete"}
    monkeypatch.setattr(query, "MAX_ROWS", 2)
    cut = client.request(path, "POST", body={})
    assert (len(cut["results"]), cut["has_more"]) == (2, False)
    assert cut["request_status"] == {
        "type": "incomplete",
        "incomplete_reason": "query_result_limit_reached",
    }
