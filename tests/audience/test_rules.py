"""What a rule may be: each refusal names the place and the remedy."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from app.domain.audience.rule import parse_rule, segments_in

A = {"tags": ["a"]}
ID = "7f6c4b1e-0000-4000-8000-000000000000"


def deep(levels: int) -> dict[str, Any]:
    rule: dict[str, Any] = A
    for _ in range(levels):
        rule = {"not": rule}
    return rule


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        (None, None),
        ({}, None),
        (A, A),
        ({"all": [A, {"not": {"any": [A, {"segment": ID.upper()}]}}]},
         {"all": [A, {"not": {"any": [A, {"segment": ID}]}}]}),
        ({"field": "fields.age", "op": "gt", "value": "40"},
         {"field": "fields.age", "op": "gt", "value": 40}),
        ({"field": "fields.plan", "op": "exists", "value": True},
         {"field": "fields.plan", "op": "exists"}),
        ({"field": "received", "op": "within_days", "value": 30},
         {"field": "received", "op": "is", "value": "any", "days": 30}),
        ({"field": "clicked", "op": "older_than_days", "value": "any", "days": 9},
         {"field": "clicked", "op": "is_not", "value": "any", "days": 9}),
    ],
)  # fmt: skip
def test_what_a_rule_may_be(given: Any, stored: Any) -> None:
    assert parse_rule(given) == stored


REFUSED: list[tuple[Any, str]] = [
    ([], "write one of tags, all, any, not, segment, or a condition"),
    ({"tag": ["a"]}, "write one of tags"),
    ({"tags": []}, "tags: name at least one"),
    ({"tags": "a"}, "tags: use a list"),
    ({"tags": ["a"], "all": [A]}, "all: nothing of this name can stand here"),
    ({"all": [A, {"not": {}}]}, "all.1.not: write one of"),
    ({"segment": "x"}, "segment: use the id of a segment"),
    ({"field": "name"}, "op: is missing"),
    ({"field": "shoes", "op": "is", "value": "x"}, "field: use tags, email, name"),
    ({"field": "name", "op": "like", "value": "x"}, "op: use is, is_not"),
    ({"field": "name", "op": "gt", "value": 1}, "op: of name ask is, is_not"),
    ({"field": "name", "op": "is", "value": ["x"]}, "value: use a text, a number"),
    ({"field": "name", "op": "is", "value": "x\0"}, "value: a NUL"),
    ({"field": "email", "op": "is", "value": ""}, "value: say what is looked for"),
    ({"field": "fields.a", "op": "lt", "value": "x"}, "value: use a number; for dates"),
    ({"field": "fields.a", "op": "is", "value": 1e400}, "value: this number is too large"),
    ({"field": "created_at", "op": "after", "value": "2026-02-30"}, "value: use a day such as"),
    ({"field": "created_at", "op": "within_days", "value": True}, "value: use a number of days"),
    ({"field": "name", "op": "is", "value": "x", "days": 3}, "days: only with received"),
    ({"field": "received", "op": "is", "value": "any"}, "days: use a number of days"),
    ({"field": "received", "op": "is", "value": "x"}, 'value: use a mailout\'s id, or "any"'),
    (deep(9), "8 deep"),
    ({"any": [A] * 101}, "at most 100 conditions"),
]


@pytest.mark.parametrize(("given", "said"), REFUSED)
def test_what_a_rule_may_not_be(given: Any, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as refused:
        parse_rule(given)
    assert said in str(refused.value)


def test_no_depth_is_too_much_to_refuse() -> None:
    with pytest.raises(ValueError, match="8 deep"):
        parse_rule(deep(5000))


def test_the_segments_in_a_rule() -> None:
    other = str(UUID(int=7))
    rule = parse_rule({"any": [{"segment": ID}, {"not": {"all": [{"segment": other}, A]}}]})
    assert segments_in(rule) == {ID, other}


async def test_the_database_refuses_the_same_whoever_writes(
    sql: psycopg.AsyncConnection[DictRow],
) -> None:
    """Save what only the program limits: the number of conditions, lengths, and a list of none."""
    more: list[Any] = [{"tags": []}, {"any": [A] * 101}]
    rules = [given for given, _ in REFUSED if given not in more]
    rules = [rule for rule in rules if "\\x00" not in str(rule) and "inf" not in str(rule)]
    accepted = []
    for rule in [*rules, deep(12)]:
        try:
            await sql.execute(
                "insert into mailouts (subject, audience) values ('s', %s)", [Jsonb(rule)]
            )
            accepted.append(rule)
        except psycopg.errors.CheckViolation:
            pass
    # a day that isn't in the calendar matches nobody
    assert accepted == [
        {"field": "created_at", "op": "after", "value": "2026-02-30"}, deep(9)
    ]  # fmt: skip


async def test_what_was_valid_before_stays_valid(sql: psycopg.AsyncConnection[DictRow]) -> None:
    before: list[dict[str, list[str]]] = [{}, {"tags": []}, {"tags": ["a", "b"]}]
    for rule in before:
        await sql.execute(
            "insert into mailouts (subject, audience) values ('s', %s)", [Jsonb(rule)]
        )
