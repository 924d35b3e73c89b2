"""What a person should know of a mailout's audience before it is sent."""

from __future__ import annotations

from uuid import UUID

from app.domain.reports.findings import Finding
from app.services.audience.changes import audience_diff
from app.services.audience.segments import asked_in_vain
from app.store import Store


async def check_audience(store: Store, mailout_id: UUID) -> list[Finding]:
    """What its rule asks in vain, and how it differs from the last mailout with this audience."""
    rule = (await store.show_mailout(mailout_id))["audience"]
    notes: list[str] = []
    if rule:
        rule = await store.resolved_audience(rule)
        notes = await asked_in_vain(store, rule, await store.unknown_tags(rule))
    changes = await audience_diff(store, mailout_id)
    return [
        *(Finding("warn", note, "correct the audience, if that isn't meant.") for note in notes),
        *([changes.finding] if changes else []),
    ]
