"""How people and the list respond: why somebody was mailed, what they opened, who came and went."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from app.store.calls import Calls, require, text


class ReadershipCalls(Calls):
    async def why_mailed(
        self, mailout_id: UUID, *, email: str | None = None, subscriber_id: UUID | None = None
    ) -> dict[str, Any] | None:
        """All facts of one person and one mailout, as why_mailed.sql says; None: there is no such
        mailout."""
        row: dict[str, Any] | None = await self._call(
            "why_mailed",
            p_mailout=str(mailout_id),
            p_email=email,
            p_subscriber=text(subscriber_id),
        )
        if row is not None:
            require(row, "found", "mailout", "audience", "mails")
        return row
