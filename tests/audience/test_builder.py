"""The audience builder's form, without a browser."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.api.dashboard.audience.builder import Builder
from app.domain.audience.rule import parse_rule
from app.domain.audience.words import in_words
from app.errors import InvalidRequest

ID = "7f6c4b1e-0000-4000-8000-000000000000"
NEWS = {"tags": ["news", "old news"]}


def form(*lines: tuple[str, str, str], **more: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for n, (field, op, value) in enumerate(lines):
        given = {"field": field, "was": field, "op": op, "value": value}
        found |= {f"audience-{name}-{n}": [text] for name, text in given.items() if text}
    return found | {f"audience-{name}": [given] for name, given in more.items()}


SHOWN: list[Any] = [
    None,
    NEWS,
    {"not": NEWS},
    {"any": [{"segment": ID}, {"not": {"segment": ID}}]},
    {"all": [
        {"field": "email", "op": "contains", "value": "@example"},
        {"field": "name", "op": "exists"},
        {"field": "fields.Größe", "op": "exists", "value": False},
        {"field": "fields.age", "op": "gt", "value": 3.5},
        {"field": "fields.plan", "op": "is_not", "value": "10"},
        {"field": "created_at", "op": "within_days", "value": 30},
        {"field": "created_at", "op": "before", "value": "2026-05-31"},
        {"field": "received", "op": "is_not", "value": "any", "days": 7},
        {"field": "received", "op": "is", "value": ID},
    ]},
]  # fmt: skip


@pytest.mark.parametrize("rule", SHOWN)
def test_a_rule_survives_the_form(rule: Any) -> None:
    shown = Builder.of_rule(rule)
    assert not shown.raw
    sent = form(*((line.field, line.op, line.value) for line in shown.lines), match=shown.match)
    assert Builder.of_form(sent).rule() == parse_rule(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"all": [NEWS, {"any": [NEWS, {"segment": ID}]}]},
        {"tags": ["a, b"]},
        {"field": "fields.n", "op": "is", "value": 10},
        {"not": {"field": "name", "op": "is", "value": "x"}},
        {"any": [NEWS] * 21},
    ],
)
def test_what_lines_cannot_show_stays_as_it_is(rule: Any) -> None:
    shown = Builder.of_rule(rule)
    assert Builder.of_form({"audience-raw": [shown.raw]}).rule() == rule
    assert Builder.of_form({"audience-raw": [shown.raw], "audience-do": ["lines"]}).rule() is None


def test_the_buttons_of_the_builder() -> None:
    lines = [("tag", "is", "a"), ("name", "is", "x"), ("tag", "is", "b")]
    more = Builder.of_form(form(*lines, do="add", match="any"))
    assert (more.pressed, more.match, len(more.lines)) == ("add", "any", 4)
    less = Builder.of_form(form(*lines, do="remove-1"))
    assert [line.value for line in less.lines] == ["a", "b"]
    odd = Builder.of_form(form(*lines, do="remove-9"))
    assert len(odd.lines) == 3
    changed = form(("created_at", "is", "x"), do="count") | {"audience-was-0": ["tag"]}
    [line] = Builder.of_form(changed).lines
    assert (line.op, line.value, line.widget) == ("before", "", "date")


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (form(("tag", "is", "")), "Line 1: choose a tag."),
        (form(("tag", "is", "a"), ("segment", "is", "")), "Line 2: choose a segment."),
        (form(("name", "gt", "3")), "Line 1: choose what is asked of it."),
        (form(("fields.n", "gt", "x")), "Line 1: use a number."),
        (form(("fields.n", "gt", "inf")), "Line 1: this number is too large."),
        (form(("created_at", "before", "x")), "Line 1: use a day such as"),
        (form(("received", "is", "x")), "Line 1: use a mailout's id"),
        (form(raw="{"), "The rule: it isn't JSON."),
        (form(raw='{"tags": []}'), "The rule: tags: name at least one."),
        (form(raw="[" * 9000), "The rule: "),
    ],
)
def test_what_is_wrong_is_said_by_line(sent: dict[str, list[str]], said: str) -> None:
    with pytest.raises(InvalidRequest, match=re.escape(said)):
        Builder.of_form(sent).rule()


def test_a_rule_in_words() -> None:
    rule = {"all": [
        {"any": [{"tags": ["a", "b"]}, {"segment": ID}]},
        {"not": {"field": "name", "op": "starts_with", "value": "x"}},
        {"field": "opened", "op": "is_not", "value": "any", "days": 9},
        {"field": "fields.paid", "op": "is", "value": True},
    ]}  # fmt: skip
    assert in_words(rule, {ID: "Members"}) == (
        "(tag “a” or “b” or in the segment “Members”) and not (name begins with “x”) and "
        "not opened a mailout within the last 9 days and paid is true"
    )
    assert in_words(None) == "everybody"
