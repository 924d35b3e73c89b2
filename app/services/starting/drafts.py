"""Drafts: made and released only when their content can be sent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.mailouts import MailoutContent
from app.errors import MailoutNotFound, TransitionNotAllowed
from app.services.sending.prepare import check_content
from app.settings import Settings
from app.store import Store


@dataclass(frozen=True)
class Drafts:
    store: Store
    settings: Settings

    async def create(self, mailout: dict[str, Any], *, by: str) -> UUID:
        """Store a draft; mailout: its columns. by: who asks, for the audit log.

        Raises TemplateInvalid, then nothing is stored.
        """
        await self._check(await self.store.content_of(mailout))
        return await self.store.create_mailout(mailout, by=by)

    async def release(self, mailout_id: UUID, *, by: str) -> None:
        """Make a draft ready. Raises MailoutNotFound, TransitionNotAllowed for what is no draft,
        TemplateInvalid; then nothing is changed."""
        mailout = await self.store.find_mailout(mailout_id)
        if mailout is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        if mailout.status == "draft":
            await self._check(mailout.content)
        moved = await self.store.ready_mailout(mailout_id, by=by)
        if not moved.changed:
            raise TransitionNotAllowed(f"Mailout {mailout_id} is {moved.status}, not draft.")

    async def _check(self, content: MailoutContent) -> None:
        await asyncio.to_thread(check_content, self.settings, content)
