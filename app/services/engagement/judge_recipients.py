"""Judges what recipients did, a slice at a time, for as long as the work process runs.

Two of these don't disturb each other: a claim is a lease, and verdicts are written only where
nothing came since. Who is killed in between leaves recipients that are due again.
"""

from __future__ import annotations

import asyncio
import time

import structlog

from app.domain.engagement.recipients import Found, ToJudge, judged
from app.domain.engagement.rules import RULES
from app.errors import TemplateInvalid
from app.running.loops import Loops
from app.services.rendering import tasks
from app.services.rendering.renderer import RENDERER, Renderer
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

SECONDS = 1.0
"""Between two looks where nothing is due."""
LINKS_SECONDS = 5.0
"""Between two looks for documents whose links aren't known, where nobody did anything."""
SLICE = 500
LEASE_SECONDS = 60.0
REST = 0.5
"""Of the time that a full slice took, before the next: so that a million clicks at once leave the
database to those who send."""


class JudgeRecipients:
    def __init__(self, store: Store, settings: Settings, renderer: Renderer = RENDERER) -> None:
        self._store = store
        self._settings = settings
        self._renderer = renderer
        self._more = asyncio.Event()
        self._links_at = 0.0

    def start(self, loops: Loops) -> None:
        loops.start("engagement", self.step, SECONDS, kind="engagement", news=self._more)

    async def step(self) -> None:
        """A slice; the next one comes soon after a full one."""
        began = time.monotonic()
        if began >= self._links_at:
            await self.read_links()
            self._links_at = began + LINKS_SECONDS
        count = await self.judge_slice()
        if count:
            self._links_at = 0.0  # a mailout may have begun since
        if count == SLICE:
            await asyncio.sleep(REST * (time.monotonic() - began))
            self._more.set()

    async def judge_slice(self) -> int:
        """Judge those who are due, at most SLICE; gives how many there were."""
        claimed = await self._store.claim_engagement(SLICE, LEASE_SECONDS)
        if claimed:
            found = await asyncio.to_thread(_all_judged, claimed)
            await self._store.settle_engagement(RULES, found)
        return len(claimed)

    async def read_links(self) -> None:
        """Note the links of a document that was begun to be sent, so that clicks have a place."""
        unread = await self._store.unread_links()
        if unread is None:
            return
        mailout_id, content, content_hash = unread
        try:
            links = await self._renderer(tasks.links_tracked, self._settings, content)
        except TemplateInvalid as exc:
            log.warning("links_not_read", mailout_id=str(mailout_id), error=exc.detail)
            links = []
        await self._store.read_mailout_links(mailout_id, content_hash, links)


def _all_judged(recipients: list[ToJudge]) -> list[Found]:
    """Without those that a fault of ours keeps from being judged: they are due again when the lease
    ends, and hold up nobody."""
    found: list[Found] = []
    for recipient in recipients:
        try:
            found.append(judged(recipient))
        except Exception:
            log.exception("not_judged", send_log_id=recipient.id)
    return found
