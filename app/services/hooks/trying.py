"""What somebody needs who sets up a webhook: examples, and a try whose answer they see."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from uuid import UUID

import structlog

from app.domain.access import Caller
from app.domain.hooks.events import EVENTS
from app.domain.hooks.examples import examples
from app.domain.untrusted import plain
from app.errors import HookEventNotFound, HookNotActive
from app.services.hooks.hooks import Hooks
from app.store import Store

log = structlog.get_logger(__name__)

ANSWER_SECONDS = 10.0
"""How long the answer is waited for; the delivery itself has its own time."""
LOOK_SECONDS = 0.2
MAX_SHOWN_CHARS = 100
"""Of an event's name, in the answer that refuses it."""


async def samples(store: Store, event: str) -> list[dict[str, Any]]:
    """Examples of what is delivered, newest first. Raises HookEventNotFound."""
    if event not in EVENTS:
        raise HookEventNotFound(
            f"There is no event {plain(event, MAX_SHOWN_CHARS)!r}. There are: {', '.join(EVENTS)}."
        )
    return examples(event, await store.hook_sample_facts())


async def try_hook(
    hooks: Hooks, hook_id: UUID, caller: Caller, event: str | None = None
) -> dict[str, Any]:
    """Send an example and wait for the answer; gives the delivery as it then is listed. Raises
    HookNotFound, HookRefused, HookNotActive."""
    hook = await hooks.show(hook_id)
    if hook["state"] != "active":
        raise HookNotActive(
            f"The hook is {hook['state']}: switch it on first.", state=hook["state"]
        )
    sent = await hooks.send_test(hook_id, event)
    log.info("hook_tried", hook_id=str(hook_id), by=caller.by)
    until = time.monotonic() + ANSWER_SECONDS
    while True:
        found = await delivery(hooks, hook_id, sent)
        if found is None:
            raise HookNotActive("The hook was deleted meanwhile.", state="deleted")
        if found["attempts"] or time.monotonic() > until:
            return found
        await asyncio.sleep(LOOK_SECONDS)


async def delivery(hooks: Hooks, hook_id: UUID, delivery_id: int) -> dict[str, Any] | None:
    """One of this hook, as it is listed; None: there is none. Raises HookNotFound."""
    found = await hooks.deliveries(hook_id, limit=1, before=delivery_id + 1)
    return found[0] if found and found[0]["id"] == delivery_id else None
