"""Subscribers."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

from app.store.calls import Calls, require, text


class SubscriberCalls(Calls):
    async def unsubscribe(
        self,
        subscriber_id: UUID,
        mailout_id: UUID | None,
        by: Literal["link", "mail client"] = "link",
    ) -> dict[str, Any] | None:
        """Gives the subscriber's `email`, `status` and `change` (for `resubscribe`; None when
        nothing changed); None when it no longer exists."""
        row: dict[str, Any] | None = await self._call(
            "leave_list", p_subscriber=str(subscriber_id), p_mailout=text(mailout_id), p_by=by
        )
        if row is not None:
            require(row, "email", "status", "change")
        return row

    async def resubscribe(self, subscriber_id: UUID, change: int) -> dict[str, Any] | None:
        """Take that change of `unsubscribe` back. Gives `email` and `restored` (False: something
        else has happened since); None when there is no such change."""
        row: dict[str, Any] | None = await self._call(
            "resubscribe", p_subscriber=str(subscriber_id), p_change=change
        )
        if row is not None:
            require(row, "email", "restored")
        return row

    async def find_subscriber(
        self, subscriber_id: UUID | None = None, *, email: str | None = None
    ) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call(
            "find_subscriber", p_subscriber=text(subscriber_id), p_email=email
        )
        return row

    async def subscriber_field_names(self) -> tuple[list[str], list[str]]:
        """Every name that occurs in a subscriber's fields, in the order of their bytes: those with
        a text, and those with any other value (one may be both)."""
        texts: set[str] = set()
        others: set[str] = set()
        after: str | None = str(UUID(int=0))
        limit = 1_000  # these have nearly all
        while after is not None:
            row = await self._call(
                "field_names_slice",
                p_after=after,
                p_limit=limit,
                p_names=list(texts),
                p_json=list(others),
            )
            limit = 20_000
            texts.update(row["names"])
            others.update(row["json"])
            after = row["last"]
        return sorted(texts, key=str.encode), sorted(others, key=str.encode)

    async def some_field_names(self, most: int = 100) -> list[str]:
        """Those of the first 2,000 subscribers, in the order of letters: for a form to offer."""
        row = await self._call("field_names_slice", p_after=str(UUID(int=0)), p_limit=2_000)
        return sorted({*row["names"], *row["json"]}, key=str.casefold)[:most]
