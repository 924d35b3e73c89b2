"""Making, changing and watching outgoing webhooks. What they are sent: deliver.py."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import httpx
import structlog

from app.domain.access import Caller
from app.domain.hooks.addresses import AddressRefused, address_problem, check_address
from app.domain.hooks.events import EVENTS
from app.domain.hooks.examples import examples
from app.domain.hooks.signing import new_secret
from app.domain.hooks.words import source_of
from app.errors import HookNotActive, HookNotFound, HookRefused
from app.outbound.pinned import resolve_name
from app.services.checks.web import Resolve
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

KEEP_SECONDS = 24 * 3600.0
"""How long the old secret signs beside a new one."""
REPLAY_LIMIT = 10_000
"""Deliveries that one call has sent again."""
RESOLVE_SECONDS = 2.0
SWITCHED_OFF = "Switched off."
"""By a person."""


@dataclass(frozen=True)
class Hooks:
    store: Store
    settings: Settings
    resolve: Resolve = resolve_name

    async def create(
        self,
        url: str,
        events: Sequence[str],
        caller: Caller,
        *,
        description: str = "",
        source: str | None = None,
        rate_per_second: float | None = None,
    ) -> dict[str, Any]:
        """Make a hook, or give the one that has the same address and events a new secret; `secret`
        is in this answer and nowhere else. source: `zapier`, `make`, `n8n`; None: as its address
        tells. rate_per_second: deliveries; None: 20. Raises HookRefused, which names the field."""
        events = check_events(events)
        await self._check_url(url)
        secret = new_secret()
        made = await self.store.subscribe_hook(
            url,
            events,
            secret=secret,
            description=description,
            source=source or source_of(httpx.URL(url).host),
            rate_per_second=rate_per_second,
            keep_seconds=KEEP_SECONDS,
            by=caller.by,
        )
        log.info("hook_created", hook_id=made["id"], events=made["events"])
        return made | {"secret": secret}

    async def list_all(self) -> list[dict[str, Any]]:
        """Newest first, without secrets."""
        return await self.store.list_hooks()

    async def show(self, hook_id: UUID) -> dict[str, Any]:
        """Raises HookNotFound."""
        return _found(await self.store.show_hook(hook_id), hook_id)

    async def change(
        self, hook_id: UUID, changes: dict[str, Any], caller: Caller
    ) -> dict[str, Any]:
        """changes: any of `url`, `events`, `description`, `rate_per_second`. What waits goes to the
        new address. Raises HookNotFound, HookRefused."""
        if "url" in changes:
            await self._check_url(changes["url"])
        if "events" in changes:
            changes = changes | {"events": check_events(changes["events"])}
        return _found(await self.store.change_hook(hook_id, changes, by=caller.by), hook_id)

    async def delete(self, hook_id: UUID, caller: Caller) -> None:
        """What waits isn't delivered any more. Raises HookNotFound."""
        if not await self.store.delete_hook(hook_id, by=caller.by):
            raise _not_found(hook_id)
        log.info("hook_deleted", hook_id=str(hook_id))

    async def rotate(self, hook_id: UUID, caller: Caller) -> dict[str, Any]:
        """A new `secret`, which is in this answer and nowhere else; the old one signs, too, until
        `old_secret_until`. Raises HookNotFound."""
        secret = new_secret()
        row = await self.store.rotate_hook(hook_id, secret, keep_seconds=KEEP_SECONDS, by=caller.by)
        log.info("hook_secret_rotated", hook_id=str(hook_id))
        return _found(row, hook_id) | {"secret": secret}

    async def disable(
        self, hook_id: UUID, caller: Caller, reason: str = SWITCHED_OFF
    ) -> dict[str, Any]:
        """Nothing more is written for it; what waits, waits on. Raises HookNotFound."""
        row = await self.store.switch_hook(hook_id, "disabled", reason, by=caller.by)
        return _found(row, hook_id)

    async def enable(self, hook_id: UUID, caller: Caller) -> dict[str, Any]:
        """Try it again at once, with what waits. Raises HookNotFound."""
        row = await self.store.switch_hook(hook_id, "active", None, by=caller.by)
        return _found(row, hook_id)

    async def deliveries(
        self, hook_id: UUID, *, state: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[dict[str, Any]]:
        """Newest first. Raises HookNotFound."""
        await self.show(hook_id)
        return await self.store.list_hook_deliveries(hook_id, limit, state=state, before=before)

    async def replay(
        self,
        hook_id: UUID,
        caller: Caller,
        ids: Sequence[int] | None = None,
        since: datetime | None = None,
    ) -> int:
        """Have these deliveries sent again, or whatever was told since then, or the dead ones,
        REPLAY_LIMIT at most; gives how many. Raises HookNotFound, HookNotActive."""
        hook = await self.show(hook_id)
        if hook["state"] != "active":
            raise HookNotActive(
                f"The hook is {hook['state']}: switch it on first.", state=hook["state"]
            )
        if since is not None:
            count = await self.store.replay_hook_since(hook_id, since, REPLAY_LIMIT, by=caller.by)
        else:
            count = await self.store.replay_hook_deliveries(
                hook_id, ids, REPLAY_LIMIT, by=caller.by
            )
        if count is None:
            raise _not_found(hook_id)
        return count

    async def send_test(self, hook_id: UUID, event: str | None = None) -> int:
        """Send this hook an example of an event (None: the first that it wants), with `test: true`
        in its data; gives the delivery's id. Raises HookNotFound, HookRefused."""
        hook = await self.show(hook_id)
        event = event or hook["events"][0]
        check_events([event])
        example = examples(event, await self.store.hook_sample_facts())[0]
        delivery = await self.store.test_hook(hook_id, event, example["data"] | {"test": True})
        if delivery is None:
            raise _not_found(hook_id)
        return delivery

    async def _check_url(self, url: str) -> None:
        """Refuse what would never be delivered to. A name without an address isn't refused: it may
        be there tomorrow. Each delivery checks anew. Raises HookRefused."""
        allow = self.settings.hooks_allow_private
        try:
            target = check_address(url, allow_private=allow)
            host = target.raw_host.decode("ascii")
            async with asyncio.timeout(RESOLVE_SECONDS):
                addresses = await self.resolve(host, target.port or 443)
        except AddressRefused as exc:
            raise HookRefused(f"url: {exc}", field="url") from None
        except (OSError, ValueError, TimeoutError):
            return
        for address in addresses:
            if problem := address_problem(
                address, allow_private=allow, encrypted=target.scheme == "https"
            ):
                raise HookRefused(f"url: {problem}", field="url")


def check_events(events: Sequence[str]) -> list[str]:
    """Each once, in the order of EVENTS. Raises HookRefused."""
    unknown = sorted(set(events) - set(EVENTS))
    if unknown or not events:
        problem = f"there is no event {unknown[0]!r}" if unknown else "name at least one"
        raise HookRefused(f"events: {problem}. There are: {', '.join(EVENTS)}.", field="events")
    return [event for event in EVENTS if event in events]


def _found(row: dict[str, Any] | None, hook_id: UUID) -> dict[str, Any]:
    if row is None:
        raise _not_found(hook_id)
    return row


def _not_found(hook_id: UUID) -> HookNotFound:
    return HookNotFound(f"There is no hook {hook_id}, or it was deleted.")
