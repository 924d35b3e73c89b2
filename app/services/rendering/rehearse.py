"""Rendering a part of the audience to see what would come of it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain.reports.rehearsal import Rehearsal
from app.domain.sending.batches import Batch, Recipient, Result
from app.services.sending.prepare import MailBuilder, Prepared


def rehearse(
    rehearsal: Rehearsal, builder: MailBuilder, prepared: Prepared, rows: list[dict[str, Any]]
) -> None:
    """Render a page of the audience (rows of `audience_slice`) and add up what comes of it."""
    build = builder.of(prepared, Batch(UUID(int=0), prepared.mailout_id, (), 0.0))
    for number, row in enumerate(rows):
        if row["status"] != "active":
            rehearsal.skip(row["status"])
            continue
        if row["address"] is None:
            rehearsal.skip("invalid_address")
            rehearsal.problem(row["email"], "The address can't be mailed.", "invalid_address")
            continue
        gaps: set[str] = set()
        recipient = Recipient(
            number, row["email"], 1, UUID(row["id"]).bytes, row["name"], row["fields"]
        )
        built = build(recipient, gaps)
        if isinstance(built, Result):
            code = built.code or "failed"
            rehearsal.skip(code)
            rehearsal.problem(row["email"], built.message or code, code)
        else:
            rehearsal.mail(row["email"], prepared.compiled, built.values, gaps)
