"""Which rows a look through the database asks for."""

from __future__ import annotations

from typing import Any

from app.domain.notion.polls import poll_filter
from app.domain.notion.properties import PROPERTIES
from app.domain.notion.row import ASKS
from app.domain.notion.schema import Schema

NAMES = {each.name: each.name for each in PROPERTIES}


def asked_for(kind: str, options: list[str]) -> set[str]:
    """The names of Status in the query, for a database whose Status has these options."""
    said = {"id": "s", "type": kind, kind: {"options": [{"name": name} for name in options]}}
    where = poll_filter(Schema.from_api({"properties": {"Status": said}}, NAMES))
    return set() if where is None else {name for each in where["or"] for name in _names(each)}


def _names(condition: dict[str, Any]) -> list[str]:
    return [
        part[kind]["equals"]
        for part in condition["and"]
        for kind in ("select", "status")
        if kind in part
    ]


def test_a_select_is_asked_for_each_request_whatever_options_are_told() -> None:
    assert asked_for("select", ["Draft", "Send"]) == set(ASKS)
    assert asked_for("select", []) == set(ASKS)


def test_a_status_of_notions_own_type_is_asked_for_the_options_that_it_has() -> None:
    assert asked_for("status", ["Draft", "Send"]) == {"Send"}
    assert asked_for("status", ["To do"]) == set()
