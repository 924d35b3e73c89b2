"""SES's events, the figures the watchdog judges, and notices to the owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.sending.guards import GuardLimits
from app.store.calls import Calls, guard_arguments, require


class EventCalls(Calls):
    async def apply_parked_events(self) -> int:
        """Apply events that came before their row had a message id; gives how many."""
        return int(await self._call("apply_parked_events"))

    async def apply_ses_events(
        self, rows: Sequence[dict[str, Any]], guards: GuardLimits | None = None
    ) -> dict[str, Any]:
        """Gives how many of the events were `new`, and how many of those `matched` a row; and
        `copies`, the SNS ids of those that were there already; and `tripped`, the ids of mailouts
        that the guards stop from now on."""
        counts: dict[str, Any] = await self._call(
            "apply_ses_events", p_events=list(rows), **guard_arguments(guards)
        )
        require(counts, "new", "matched", "copies", "tripped")
        return counts

    async def is_event_known(self, sns_message_id: str) -> bool:
        """Whether an SNS message with this id was taken before."""
        known: bool = await self._call("is_event_known", p_sns_message_id=sns_message_id)
        return known

    async def use_webhook_token(self, token: str, event: str) -> bool:
        """Whether a webhook's token may stand for this event: it is new, or came with it before."""
        usable: bool = await self._call("use_webhook_token", p_token=token, p_event=event)
        return usable

    async def watchdog_figures(self, patience_seconds: float) -> dict[str, Any]:
        """Gives `silent`, `unmatched`, `refused` per reason, and `suppression` per region."""
        row: dict[str, Any] = await self._call("watchdog_figures", p_patience=patience_seconds)
        return row

    async def record_refused_messages(self, counts: Mapping[str, int]) -> None:
        await self._call("record_refused_messages", p_counts=dict(counts))

    async def begin_suppression_check(self, region: str) -> bool:
        """Whether the caller is to compare with SES's suppression list now."""
        begun: bool = await self._call("begin_suppression_check", p_region=region)
        return begun

    async def compare_suppressed(self, emails: Sequence[str]) -> dict[str, int]:
        """How many of these are `active` here, and how many have `left` (bounced, complained)."""
        counts: dict[str, int] = await self._call("compare_suppressed", p_emails=list(emails))
        return counts

    async def end_suppression_check(
        self, region: str, *, listed: int, active: int, left: int
    ) -> None:
        await self._call(
            "end_suppression_check", p_region=region, p_listed=listed, p_active=active, p_left=left
        )

    async def claim_owner_notice(self, region: str) -> dict[str, Any] | None:
        """The next notice to the owner; no other process gets it, so the caller is to mail it."""
        row: dict[str, Any] | None = await self._call("claim_owner_notice", p_region=region)
        return row

    async def settle_owner_notice(
        self, notice_id: int, outcome: str | None, *, detail: str | None, retry_seconds: float = 0
    ) -> None:
        """outcome: sent, failed, unknown; None: certainly not accepted, to be tried again."""
        await self._call(
            "settle_owner_notice",
            p_notice=notice_id,
            p_outcome=outcome,
            p_detail=detail,
            p_retry_seconds=retry_seconds,
        )
