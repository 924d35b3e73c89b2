"""docs/personal-data.md names each table of the database: what is in it of people, and how long."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.factories import Arrange

DOCUMENT = Path(__file__).parents[2] / "docs" / "personal-data.md"


async def test_each_table_is_in_the_document_with_all_that_is_to_be_said(arrange: Arrange) -> None:
    there = await arrange.one(
        "select array_agg(relname::text) from pg_class "
        "where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'f', 'm')"
    )
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text[text.index("## What is kept") : text.index("## Who sees")]
    rows = [
        line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")
    ]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row[0])]
    assert sorted(named) == sorted(there)
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in rows)
