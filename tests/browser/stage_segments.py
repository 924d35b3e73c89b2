"""Segments as people make them: of lines, of a rule that lines can't show, and one that is used."""

from __future__ import annotations

from typing import Any

from psycopg.types.json import Jsonb

from tests.support.factories import Arrange


async def stage_segments(arrange: Arrange) -> dict[str, str]:
    """Gives their ids by what they are for."""

    async def made(name: str, rule: dict[str, Any]) -> str:
        segment = await arrange.one(
            "insert into segments (name, audience) values (%s, %s) returning id", name, Jsonb(rule)
        )
        return str(segment)

    used = await made("Readers in Vienna", {"tags": ["newsletter", "vienna"]})
    lines = await made(
        "Members who were away for a while",
        {
            "all": [
                {"segment": used},
                {"not": {"tags": ["press"]}},
                {"field": "fields.shoe size", "op": "gt", "value": 37},
                {"field": "created_at", "op": "before", "value": "2030-05-31"},
                {"field": "timezone", "op": "exists", "value": False},
                {"field": "opened", "op": "is_not", "value": "any", "days": 90},
            ]
        },
    )
    rule = await made(
        "A rule of rules",
        {"any": [{"all": [{"tags": ["gone"]}, {"segment": used}]}, {"not": {"tags": ["press"]}}]},
    )
    return {"used": used, "lines": lines, "rule": rule}
