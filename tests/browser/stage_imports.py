"""Imports in every state with realistic figures, put straight into the database."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb

from tests.support.factories import Arrange

HEADER = ["Email Address", "First Name", "Last Name", "MEMBER_RATING", "OPTIN_TIME", "TAGS", "City"]
MEANINGS = ["email", "first_name", "last_name", "field", "created_at", "tags", "field"]
FOUND = {
    "preset": "Mailchimp",
    "encoding": "UTF-8",
    "delimiter": ",",
    "header": HEADER,
    "columns": [
        {"title": title, "meaning": meaning, "name": title}
        for title, meaning in zip(HEADER, MEANINGS, strict=True)
    ],
    "warnings": ["3 rows have a date that can't be read; they are imported without one."],
}
QUESTIONS = [
    {
        "column": "Newsletter",
        "text": "The column 'Newsletter' may say who is not to be mailed (values: 'yes', 'no'). "
        "What does it mean?",
        "samples": ["yes", "no"],
        "answers": [
            {"column": "Newsletter", "meaning": meaning, "words": words}
            for meaning, words in [
                ("opted_in", "yes: gets mail; no or blank: has left"),
                ("opted_out", "yes: has left; no or blank: gets mail"),
                ("field", "it says nothing about who gets mail: keep it as a field"),
            ]
        ],
    }
]
COUNTS = {
    "added": 11_873, "updated": 412, "unchanged": 96, "repeated": 37, "lowered": 214, "refused": 18,
}  # fmt: skip
PREVIEW = [
    {
        "line": n + 2,
        "kind": kind,
        "email": f"{name.lower()}.reader@example.com",
        "name": f"{name} Reader",
        "status": status,
        "tags": tags,
        "fields": {"City": "Lisbon", "MEMBER_RATING": str(n + 1)},
        "timezone": None,
    }
    for n, (name, kind, status, tags) in enumerate(
        [
            ("Ann", "added", "active", ["VIP", "customers"]),
            ("Bo", "updated", "active", ["customers"]),
            ("Chandrashekhar", "lowered", "unsubscribed", ["customers"]),
            ("Dora", "unchanged", "active", ["customers"]),
        ]
    )
]
LEFT = {
    "by": "dashboard",
    "deleted": 11_860,
    "restored": 605,
    "left": {"mailed": 2, "left": 1},
    "people": [
        {"email": "ann.reader@example.com", "why": "mailed"},
        {"email": "bo@example.com", "why": "left"},
    ],
}


async def stage_imports(arrange: Arrange) -> dict[str, UUID]:
    """Ids by state; `trial` is a dry run that is done."""
    await arrange.sql.execute(
        "insert into jobs (id, kind, state, lease_until, progress) values "
        "('00000000-0000-4000-8000-0000000000aa', 'import', 'running', now() + interval '1 day',"
        """ '{"done": 7300, "total": 12650}')"""
    )
    return {
        "running": await _import(
            arrange, "running", file_name="substack.csv", added=7_300,
            job_id=UUID("00000000-0000-4000-8000-0000000000aa"),
        ),
        "question": await _import(
            arrange, "question", file_name="crm-contacts.csv", question=Jsonb(QUESTIONS)
        ),
        "failed": await _import(
            arrange, "failed", file_name="book.xlsx.csv", found=Jsonb({}),
            error="The file is an Excel workbook or another zip archive, not CSV: open it in the "
            "program it comes from and save it as CSV (UTF-8).",
        ),
        "trial": await _import(
            arrange, "done", dry_run=True, preview=Jsonb(PREVIEW), tags=["customers"], **COUNTS
        ),
        "done": await _import(arrange, "done", tags=["customers"], **COUNTS),
        "undone": await _import(arrange, "undone", undo=Jsonb(LEFT), **COUNTS),
    }  # fmt: skip


async def _import(arrange: Arrange, state: str, **columns: Any) -> UUID:
    row = {
        "by": "dashboard", "state": state, "found": Jsonb(FOUND), "size": 1_400_000,
        "file_name": "subscribed_members_export_8f2c.csv", **columns,
    }  # fmt: skip
    import_id = await arrange._insert("imports", row)
    if columns.get("dry_run"):
        await arrange.sql.execute("insert into import_chunks values (%s, 0, 'x')", [import_id])
    return import_id
