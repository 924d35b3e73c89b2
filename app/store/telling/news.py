"""Calls the functions of `migrations/functions/reports/owner_news.sql` by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.store.calls import Calls

Way = Literal["mail", "slack"]


@dataclass(frozen=True)
class OwnerNews:
    """What the owner is to be told. about: whose it is. page: of the dashboard."""

    id: int
    about: str
    page: str
    headline: str
    lines: tuple[str, ...]


class NewsCalls(Calls):
    async def claim_owner_news(self, way: Way, region: str | None = None) -> OwnerNews | None:
        """None: nothing is due. region: of the rate that a mail takes a token of."""
        row = await self._call("claim_owner_news", p_way=way, p_region=region)
        if row is None:
            return None
        told = row["notice"]
        return OwnerNews(
            row["id"], row["about"], row["page"], told["headline"], tuple(told["lines"])
        )

    async def settle_owner_news(
        self, news_id: int, outcome: str | None, *, detail: str | None, retry_seconds: float
    ) -> None:
        """outcome: None: certainly not taken, to be tried again in `retry_seconds`."""
        await self._call(
            "settle_owner_news",
            p_news=news_id,
            p_outcome=outcome,
            p_detail=detail,
            p_retry_seconds=retry_seconds,
        )
