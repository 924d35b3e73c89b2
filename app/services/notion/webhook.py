"""What Notion posts to /notion-events, once it is known to come from Notion."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any
from uuid import UUID

import structlog

from app.domain.notion.events import (
    asked_to_verify,
    is_signed,
    read_body,
    read_event,
)
from app.domain.notion.pages import NotAPage, database_id
from app.errors import NotionNotConfigured, NotionSignatureWrong
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Events that are stored at one time in a process: many at once leave the database to others."""


def unused_tokens(webhook: Mapping[str, Any], settings: Settings) -> list[dict[str, Any]]:
    """Those that came in the last hour, the newest first; where one of them is set by now, those
    after it. webhook: as Store.notion_webhook gives it."""
    token = settings.notion_webhook_verification_token
    in_use = token.get_secret_value() if token else None
    return list(takewhile(lambda each: each["token"] != in_use, webhook["tokens"]))


class NotionWebhook:
    def __init__(self, store: Store, settings: Settings) -> None:
        self._store, self._settings = store, settings
        self._room = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, body: bytes, signatures: Sequence[str]) -> str:
        """Take one request, and say what came of it: `verification`, `ignored` (nothing depends on
        this type of event), or as Store.take_notion_event. It is committed by then.

        signatures: what its `X-Notion-Signature` says. Raises MalformedNotionEvent,
        NotionNotConfigured, NotionSignatureWrong, DatabaseUnavailable; then nothing was changed.
        """
        token = self._settings.notion_webhook_verification_token
        if (asking := asked_to_verify(body)) and self._settings.notion_api_token:
            return await self._keep(asking, token.get_secret_value() if token else None)
        if token is None:
            raise self._not_configured("NOTION_WEBHOOK_VERIFICATION_TOKEN", *self._missing())
        if len(signatures) != 1 or not is_signed(token.get_secret_value(), body, signatures[0]):
            log.info("notion_event_refused", remedy=_WRONG_SIGNATURE)
            raise NotionSignatureWrong(
                "X-Notion-Signature doesn't fit the body and NOTION_WEBHOOK_VERIFICATION_TOKEN."
            )
        if missing := self._missing():
            raise self._not_configured(*missing)
        event = read_event(read_body(body))
        if event is None:
            return "ignored"
        async with self._room:
            return await self._store.take_notion_event(event, self._database)

    async def _keep(self, asking: str, in_use: str | None) -> str:
        """Show a webhook's token to the owner, also while another webhook is in use: nothing but
        the owner's setting makes it count. Where Notion isn't used at all, none is kept."""
        if asking != in_use:
            async with self._room:
                await self._store.keep_notion_verification(asking)
            log.info("notion_verification_received", remedy=_HOW_TO_READ)
        return "verification"

    def _not_configured(self, *missing: str) -> NotionNotConfigured:
        return NotionNotConfigured(f"Set {', '.join(missing)} and restart.", missing=list(missing))

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


_HOW_TO_READ = (
    "if you are setting up a webhook: within the hour, open /dashboard/notion or run "
    "`amazonsender notion webhook`"
)
_WRONG_SIGNATURE = (
    "if it is Notion's, NOTION_WEBHOOK_VERIFICATION_TOKEN is another webhook's token: set up the "
    "webhook again (docs/notion-events.md); else a stranger posts, or a proxy changes the body"
)
