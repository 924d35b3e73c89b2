"""Templates for the pages to show."""

from __future__ import annotations

from uuid import UUID

from psycopg.types.json import Jsonb

from app.services.templates.starters import starters
from tests.support.factories import Arrange


async def stage_templates(arrange: Arrange) -> UUID:
    """The three to begin with, a small one, and one with a fault; gives one with versions."""
    made = {}
    rows = [
        {"name": one.name, "subject": one.subject, "body_html": one.body_html} for one in starters()
    ]
    rows += [
        {"name": "signature", "body_markdown": "*Maria Lindqvist*\nHarbour Workshop"},
        {"name": "With a fault", "body_html": "<p>Dear {{ nmae }}</p>{{ content }}"},
    ]
    for row in rows:
        done = await arrange.one("select create_template(%s, 'dashboard')", Jsonb(row))
        made[row["name"]] = UUID(done["template"]["id"])
    await arrange.one(
        "select change_template(%s, null, %s, 'key Zapier')",
        made["Letter"],
        Jsonb({"subject": "A letter from the pier"}),
    )
    return made["Letter"]
