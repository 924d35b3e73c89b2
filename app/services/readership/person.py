"""What one person opened and clicked, with words for people."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.domain.engagement import reasons
from app.domain.engagement.report import with_range
from app.store import Store


async def person_engagement(store: Store, subscriber_id: UUID, mails: int) -> dict[str, Any]:
    """The facts of person_engagement.sql; for each open and click `because`; `range`: of their
    tracked mails, from those that a person opened for certain to those that one may have."""
    found = await store.person_engagement(subscriber_id, mails)
    return {
        **with_range(found),
        "items": [
            mail
            | {
                "signals": [
                    one | {"because": reasons.words(one["reason"]) if one["reason"] else None}
                    for one in mail["signals"]
                ]
            }
            for mail in found["items"]
        ],
    }
