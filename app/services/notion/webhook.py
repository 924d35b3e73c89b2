"""What Notion posts to /notion-events, once it is known to come from Notion."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cached_property
from uuid import UUID

import structlog

from app.domain.notion.events import (
    is_signed,
    read_body,
    read_event,
    verification_token,
)
from app.domain.notion.pages import NotAPage, database_id
from app.errors import NotionNotConfigured, NotionSignatureWrong, NotionWebhookSet
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Events that are stored at one time in a process: many at once leave the database to others."""


class NotionWebhook:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, body: bytes, signatures: Sequence[str]) -> str:
        """Take one request, and say what came of it: `verification`, `ignored` (nothing depends on
        this type of event), or as Store.take_notion_event. It is committed by then.

        signatures: what its `X-Notion-Signature` says. Raises MalformedNotionEvent,
        NotionNotConfigured, NotionSignatureWrong, NotionWebhookSet, DatabaseUnavailable; then
        nothing was changed.
        """
        token = self._settings.notion_webhook_verification_token
        if token is None:
            return await self._before_it_is_set(body)
        if not signatures:
            self._refuse_unsigned(body)
        if len(signatures) != 1 or not is_signed(token.get_secret_value(), body, signatures[0]):
            log.info("notion_event_refused", remedy=_WRONG_SIGNATURE)
            raise NotionSignatureWrong(
                "X-Notion-Signature doesn't fit the body and NOTION_WEBHOOK_VERIFICATION_TOKEN."
            )
        if missing := self._missing():
            raise NotionNotConfigured(f"Set {', '.join(missing)} and restart.", missing=missing)
        content = read_body(body)
        if verification_token(content) is not None:
            return "ignored"  # Notion asks again for what we have
        event = read_event(content)
        if event is None:
            return "ignored"
        async with self._room:
            return await self._store.take_notion_event(event, self._database)

    async def _before_it_is_set(self, body: bytes) -> str:
        """Where Notion isn't used at all, a stranger's token isn't kept."""
        token = verification_token(read_body(body))
        if token is None or self._settings.notion_api_token is None:
            missing = ["NOTION_WEBHOOK_VERIFICATION_TOKEN", *self._missing()]
            raise NotionNotConfigured(f"Set {', '.join(missing)} and restart.", missing=missing)
        async with self._room:
            await self._store.keep_notion_verification(token)
        log.info("notion_verification_received", remedy=_HOW_TO_READ)
        return "verification"

    def _refuse_unsigned(self, body: bytes) -> None:
        """Say it plainly to who sets up a webhook while another one is in use."""
        if verification_token(read_body(body)) is not None:
            log.warning("notion_verification_refused", remedy=_SET_ALREADY)
            raise NotionWebhookSet(_SET_ALREADY)

    def _missing(self) -> list[str]:
        needed = {
            "NOTION_API_TOKEN": self._settings.notion_api_token,
            "NOTION_DATABASE_ID": self._settings.notion_database_id,
        }
        return [name for name, value in needed.items() if not value]

    @cached_property
    def _database(self) -> UUID | None:
        try:
            return database_id(self._settings.notion_database_id or "")
        except NotAPage:
            return None


_HOW_TO_READ = "within the hour, open /dashboard/notion or run `amazonsender notion webhook`"
_SET_ALREADY = (
    "NOTION_WEBHOOK_VERIFICATION_TOKEN is set already. For a new webhook, take it out, restart, "
    "and have Notion send its token again."
)
_WRONG_SIGNATURE = (
    "if it is Notion's, NOTION_WEBHOOK_VERIFICATION_TOKEN is another webhook's token: set up the "
    "webhook again (docs/notion-events.md); else a stranger posts, or a proxy changes the body"
)
