"""Tells the owner's Slack what is of no single mailout (owner_news.sql): a message each."""

from __future__ import annotations

import structlog

from app.domain.slack.message import write_news
from app.errors import SlackAway, SlackRefused
from app.ports import Slack
from app.running.loops import Loops
from app.store import Store

log = structlog.get_logger(__name__)

POLL_SECONDS = 20.0
RETRY_SECONDS = 300.0
"""While Slack is away. The database gives a notice up after a day."""


class TellSlackNews:
    def __init__(self, store: Store, slack: Slack, base_url: str) -> None:
        self._store = store
        self._slack = slack
        self._pages = f"{base_url}/dashboard"

    def start(self, loops: Loops) -> None:
        loops.start("slack_news", self.step, POLL_SECONDS, kind="slack_news", to_the_end=True)

    async def step(self) -> None:
        """Tell what is due. Raises Unavailable of the database."""
        while due := await self._store.claim_owner_news("slack"):
            outcome: str | None = "sent"
            detail = None
            try:
                page = f"{self._pages}/{due.page}"
                await self._slack.post(write_news(due.headline, due.lines, page))
            except SlackAway as exc:
                outcome, detail = None, exc.detail
            except SlackRefused as exc:
                outcome, detail = "failed", exc.detail
            if detail is not None:
                log.warning("slack_not_told", about=due.about, error=detail)
            await self._store.settle_owner_news(
                due.id, outcome, detail=detail, retry_seconds=RETRY_SECONDS
            )
            if outcome is None:
                return
