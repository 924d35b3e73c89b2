"""What `notion check` says of a database whose properties aren't as they were made."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from app.domain.notion.database import making, sample
from app.domain.notion.database.drift import drift
from app.domain.notion.properties import PROPERTIES
from app.domain.notion.schema import Schema
from app.domain.reports.findings import Finding

PARENT = UUID("1f0d0000-0000-4000-8000-00000000abcd")
NAMES = {each.name: each.name for each in PROPERTIES}


def made() -> dict[str, Any]:
    """The properties of a database as `notion init` makes it, as the API shows them."""
    request = making.database(PARENT, NAMES, "Europe/Berlin")
    asked: dict[str, Any] = request["initial_data_source"]["properties"]
    return {
        name: {"id": f"id{number}", "name": name, "type": next(iter(content)), **content}
        for number, (name, content) in enumerate(asked.items())
    }


def findings(properties: dict[str, Any], **names: str) -> list[Finding]:
    schema = Schema.from_api({"properties": properties}, {**NAMES, **names})
    return list(drift(schema))


def bad(properties: dict[str, Any], **names: str) -> list[tuple[str, str]]:
    found = findings(properties, **names)
    return [(each.level, each.sentences) for each in found if each.level != "ok"]


def renamed(old: str, new: str) -> dict[str, Any]:
    return {(new if name == old else name): value for name, value in made().items()}


def test_a_fresh_database_is_as_it_must_be() -> None:
    assert [each.level for each in findings(made())] == ["ok"]


@pytest.mark.parametrize(
    ("old", "level"), [("Name", "fail"), ("Status", "fail"), ("Delivered", "warn")]
)
def test_a_renamed_property_is_found_by_its_type(old: str, level: str) -> None:
    [(found, words)] = bad(renamed(old, "Stage"))
    assert found == level
    assert f"“{old}” is missing" in words
    assert "“Stage”" in words
    assert "rename it back" in words
    assert f"NOTION_PROPERTY_{old.upper()}=Stage" in words


def test_a_mapped_name_is_taken() -> None:
    assert bad(renamed("Status", "Stage"), Status="Stage") == []


def test_a_missing_status_without_one_like_it_is_to_be_added() -> None:
    properties = {"Title": {"id": "title", "type": "title", "title": {}}}
    [status] = [text for level, text in bad(properties, Name="Title") if level == "fail"]
    assert "“Status” is missing" in status
    assert "Add a property “Status” of type select" in status


def test_name_and_status_are_enough() -> None:
    kept = {name: value for name, value in made().items() if name in ("Name", "Status")}
    assert [level for level, _ in bad(kept)] == ["warn", "warn"]  # Delivery and Problem
    assert any("no Preheader, Audience" in each.what for each in findings(kept))


def test_notions_own_status_will_do() -> None:
    properties = made()
    options = properties["Status"]["select"]["options"]
    properties["Status"] = {"id": "s", "type": "status", "status": {"options": options}}
    found = findings(properties)
    assert [each.level for each in found] == ["ok", "ok"]
    assert "Notion's own type Status" in found[1].what


@pytest.mark.parametrize(
    ("name", "type_", "level"),
    [
        ("Status", "multi_select", "fail"),
        ("Send at", "rich_text", "warn"),
        ("Delivered", "rich_text", "warn"),
        ("Delivery", "status", "warn"),  # which a program can't always write
    ],
)
def test_a_wrong_type_is_named(name: str, type_: str, level: str) -> None:
    properties = made()
    properties[name] = {"id": "x", "type": type_, type_: {}}
    [(found, words)] = bad(properties)
    assert found == level
    assert f"“{name}” is of type" in words
    assert "Edit property" in words


@pytest.mark.parametrize(
    ("name", "option", "level"),
    [("Status", "Send", "fail"), ("Status", "Pause", "warn"), ("Delivery", "Sent", "warn")],
)
def test_a_missing_option_is_named(name: str, option: str, level: str) -> None:
    properties = made()
    options = properties[name]["select"]["options"]
    properties[name]["select"]["options"] = [one for one in options if one["name"] != option]
    [(found, words)] = bad(properties)
    assert found == level
    assert f"“{name}” lacks the option “{option}”" in words


def test_an_option_in_other_letters_is_not_the_same() -> None:
    properties = made()
    options = properties["Status"]["select"]["options"]
    properties["Status"]["select"]["options"] = [
        {"name": "send" if one["name"] == "Send" else one["name"]} for one in options
    ]
    [(_, words)] = bad(properties)
    assert "“send” is not the same" in words


def test_two_settings_must_not_name_one_property() -> None:
    [(level, words), *_] = bad(made(), Accepted="Delivered")
    assert level == "fail"
    assert "NOTION_PROPERTY_ACCEPTED and NOTION_PROPERTY_DELIVERED" in words


def test_views_show_properties_that_are_there() -> None:
    schema = Schema.from_api({"properties": made()}, NAMES)
    ids = {column.id for column in schema.columns.values()}
    views = list(making.views(PARENT, PARENT, schema))
    assert [view["type"] for view in views] == ["table", "board", "calendar", "table"]
    for view in views:
        shown = view["configuration"]["properties"]
        assert {each["property_id"] for each in shown} == ids


def test_the_sample_says_each_status_and_fits_into_one_request() -> None:
    blocks = sample.blocks()
    assert len(blocks) <= 100
    text = str(blocks)
    for each in PROPERTIES:
        if each.name == "Status":
            assert all(option in text for option in each.options)
