"""SES's events, told to the store as the route for them does."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.store import Store
from tests.support.factories import Arrange


async def events_tell(store: Store, arrange: Arrange, mailout: UUID, *kinds: str) -> None:
    """An event of each kind, for one recipient each."""
    done = await arrange.sql.execute(
        "select id, message_id from send_logs where mailout_id = %s and status = 'sent' "
        "order by id",
        [mailout],
    )
    rows = await done.fetchall()
    assert len(rows) >= len(kinds)
    more: dict[str, dict[str, Any]] = {
        "bounce": {"bounce_type": "Permanent", "suppresses": "bounced"},
        "complaint": {"suppresses": "complained"},
    }
    events = [
        {
            "sns_message_id": f"{kind}-{row['id']}",
            "type": kind,
            "message_id": row["message_id"],
            "mailout_id": str(mailout),
            "send_log_id": row["id"],
            "attempt": None,
            "occurred_at": "2026-11-24T12:00:00+00:00",
            "payload": {},
            **more.get(kind, {}),
        }
        for kind, row in zip(kinds, rows, strict=False)
    ]
    assert (await store.apply_ses_events(events))["matched"] == len(kinds)
