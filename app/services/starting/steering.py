"""What a person does to a mailout that is started. by: who asks, for the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.mailouts import Transition
from app.errors import TransitionNotAllowed
from app.store import Store


@dataclass(frozen=True)
class Steering:
    """Each raises MailoutNotFound, and TransitionNotAllowed when its state doesn't allow it."""

    store: Store

    async def pause(self, mailout_id: UUID, *, by: str) -> dict[str, Any]:
        """sending → paused: no new batch from now on; calls in flight are recorded."""
        moved = await self.store.pause_mailout(mailout_id, "person", "Paused by a person.", by=by)
        return _moved(mailout_id, moved, "paused")

    async def resume(self, mailout_id: UUID, *, by: str) -> dict[str, Any]:
        """paused → sending."""
        return _moved(mailout_id, await self.store.resume_mailout(mailout_id, by=by), "resumed")

    async def cancel(self, mailout_id: UUID, *, by: str) -> dict[str, Any]:
        """ready, scheduled, sending or paused → cancelled: who was not mailed yet never is."""
        return _moved(mailout_id, await self.store.cancel_mailout(mailout_id, by=by), "cancelled")

    async def resend(
        self, mailout_id: UUID, statuses: Sequence[str], *, force: bool, by: str
    ) -> dict[str, Any]:
        """sent or failed → sending, for those who were missed."""
        done = await self.store.resend_mailout(mailout_id, statuses, force=force, by=by)
        if not done.get("allowed"):
            raise TransitionNotAllowed(
                f"Mailout {mailout_id} is {done['status']}; a resend starts from sent or failed.",
                mailout_status=done["status"],
            )
        return {
            "mailout_id": str(mailout_id),
            "status": done["status"],
            "requeued": done["requeued"],
            "too_young": done["too_young"],
            "remaining": done["remaining"],
        }


def _moved(mailout_id: UUID, moved: Transition, what: str) -> dict[str, Any]:
    if not moved.changed:
        raise TransitionNotAllowed(
            f"Mailout {mailout_id} is {moved.status}: it can't be {what} now.",
            mailout_status=moved.status,
        )
    return {"mailout_id": str(mailout_id), "status": moved.status}
