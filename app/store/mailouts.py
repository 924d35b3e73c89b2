"""Mailouts: their content, their states, requests to start them, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from app.domain.mailouts import Claim, Mailout, MailoutContent, SendRequestRecord, Transition
from app.domain.reports.lists import MailoutFilter
from app.domain.sending.guards import GuardLimits
from app.domain.states import MailoutStatus, PauseCode
from app.errors import MailoutNotFound
from app.store.calls import Calls, guard_arguments, text


class MailoutCalls(Calls):
    async def find_mailout(
        self, mailout_id: UUID | None = None, *, notion_page: str | None = None
    ) -> Mailout | None:
        """notion_page: 32 hex digits without dashes."""
        row = await self._call(
            "find_mailout", p_mailout=text(mailout_id), p_notion_page=notion_page
        )
        if row is None:
            return None
        return Mailout(
            id=UUID(row["id"]),
            status=row["status"],
            version=row["version"],
            status_reason=row["status_reason"],
            content=MailoutContent(**row["content"]),
            content_hash=row["content_hash"],
            tested_hash=row["tested_hash"],
            region=row["region"],
        )

    async def snapshot_content(self, mailout_id: UUID) -> tuple[MailoutContent, str]:
        """The content frozen at the start, and its hash. Raises MailoutNotFound."""
        row = await self._call("snapshot_content", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"Mailout {mailout_id} was never started.")
        return MailoutContent(**row["content"]), row["content_hash"]

    async def find_send_request(self, key: str) -> SendRequestRecord | None:
        row = await self._call("find_send_request", p_key=key)
        return None if row is None else SendRequestRecord(**row)

    async def claim_mailout(
        self,
        mailout_id: UUID,
        content_hash: str,
        *,
        request_key: str | None,
        request_hash: str | None,
        regions: Sequence[str] = (),
        rate_limit: float | None = None,
        warnings: Sequence[str] = (),
        by: str | None = None,
    ) -> Claim:
        """Start a mailout. regions, rate_limit: of this process, to estimate quota and duration.
        warnings: put into the answer. by: here and below, who asks, for the audit log."""
        row = await self._call(
            "claim_mailout",
            p_mailout=str(mailout_id),
            p_content_hash=content_hash,
            p_request_key=request_key,
            p_request_hash=request_hash,
            p_region=None,
            p_regions=list(regions),
            p_rate_limit=rate_limit,
            p_warnings=list(warnings),
            p_by=by,
        )
        return Claim(row["outcome"], row.get("response"), row.get("status"))

    async def schedule_mailout(
        self,
        mailout_id: UUID,
        content_hash: str,
        *,
        schedule: dict[str, str],
        at: datetime,
        zones: dict[str, dict[str, Any]] | None,
        recipients: int,
        by: str | None = None,
    ) -> Claim:
        """ready → scheduled. at: when somebody is mailed first; zones: `at`, `next_at` and
        `recipients` of each, where each recipient has a time of their own. outcome: scheduled,
        repeat, changed, audience_empty, not_ready or not_found."""
        row = await self._call(
            "schedule_mailout",
            p_mailout=str(mailout_id),
            p_content_hash=content_hash,
            p_schedule=schedule,
            p_at=at.isoformat(),
            p_zones=zones,
            p_recipients=recipients,
            p_by=by,
        )
        return Claim(row["outcome"], None, row.get("status"))

    async def unschedule_mailout(self, mailout_id: UUID, *, by: str | None = None) -> Transition:
        return await self._transition("unschedule_mailout", mailout_id, p_by=by)

    async def audience_zones(self, mailout_id: UUID) -> dict[str, int]:
        """How many of the audience live in each zone, by its name in small letters."""
        row = await self._call("audience_zones", p_mailout=str(mailout_id))
        return {zone: int(count) for zone, count in row.items()}

    async def mailout_waves(self, mailout_id: UUID) -> list[dict[str, Any]] | None:
        """`at`, `zones` (in small letters), `recipients`, `unknown` and `done` of each wave; None:
        it has no schedule."""
        rows: list[dict[str, Any]] | None = await self._call(
            "mailout_waves", p_mailout=str(mailout_id)
        )
        return rows

    async def finish_mailout(self, mailout_id: UUID) -> MailoutStatus | None:
        status: MailoutStatus | None = await self._call("finish_mailout", p_mailout=str(mailout_id))
        return status

    async def pause_mailout(
        self, mailout_id: UUID, code: PauseCode, reason: str, *, by: str | None = None
    ) -> Transition:
        return await self._transition(
            "pause_mailout", mailout_id, p_code=code, p_reason=reason, p_by=by
        )

    async def resume_mailout(self, mailout_id: UUID, *, by: str | None = None) -> Transition:
        return await self._transition("resume_mailout", mailout_id, p_by=by)

    async def cancel_mailout(self, mailout_id: UUID, *, by: str | None = None) -> Transition:
        return await self._transition("cancel_mailout", mailout_id, p_by=by)

    async def _transition(self, function: str, mailout_id: UUID, **arguments: Any) -> Transition:
        row = await self._call(function, p_mailout=str(mailout_id), **arguments)
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return Transition(row["changed"], row["status"], row["status_reason"])

    async def block_route(
        self, mailout_id: UUID, region: str, code: PauseCode, reason: str, *, routes: Sequence[str]
    ) -> Transition:
        """This route can't send this mailout for now; it is paused when none of `routes` can."""
        return await self._transition(
            "block_route",
            mailout_id,
            p_region=region,
            p_code=code,
            p_reason=reason,
            p_routes=list(routes),
        )

    async def hold_without_route(self, mailout_id: UUID, reason: str) -> Transition:
        """Hold a mailout that is kept to a route which no living sender has."""
        return await self._transition("hold_without_route", mailout_id, p_reason=reason)

    async def resume_waiting_mailouts(self, region: str | None = None) -> list[UUID]:
        """Resume the mailouts that waited for the account; gives them. region: whose account;
        None: whichever."""
        return [UUID(i) for i in await self._call("resume_waiting_mailouts", p_region=region)]

    async def cancel_recipients(self, mailout_id: UUID, limit: int) -> int:
        return int(await self._call("cancel_recipients", p_mailout=str(mailout_id), p_limit=limit))

    async def resend_mailout(
        self, mailout_id: UUID, statuses: Sequence[str], *, force: bool, by: str | None = None
    ) -> dict[str, Any]:
        """Gives `allowed`, `status`, `requeued` and `too_young` so far, and how many are
        `remaining`: the senders go on with those. Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call(
            "resend_mailout",
            p_mailout=str(mailout_id),
            p_statuses=list(statuses),
            p_force=force,
            p_by=by,
        )
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def pause_tripped(self, mailout_id: UUID, reason: str, guards: GuardLimits) -> Transition:
        """Pause a mailout if the guards still stop it and somebody is left to send to."""
        return await self._transition(
            "pause_tripped", mailout_id, p_reason=reason, **guard_arguments(guards)
        )

    async def queue_test(
        self,
        mailout_id: UUID,
        emails: Sequence[str],
        content_hash: str | None = None,
        *,
        request_key: str | None = None,
        request_hash: str | None = None,
        by: str | None = None,
    ) -> Claim:
        """outcome: queued, repeat, key_reused, or changed: the content isn't (any more)
        `content_hash`."""
        row = await self._call(
            "queue_test",
            p_mailout=str(mailout_id),
            p_emails=list(emails),
            p_content_hash=content_hash,
            p_request_key=request_key,
            p_request_hash=request_hash,
            p_by=by,
        )
        return Claim(row["outcome"], row.get("response"))

    async def tested_content(self, mailout_id: UUID) -> tuple[MailoutContent, str]:
        """What test mails show, and its hash. Raises MailoutNotFound."""
        row = await self._call("tested_content", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"Mailout {mailout_id} was never tested.")
        return MailoutContent(**row["content"]), row["content_hash"]

    async def awkward_reader(self, mailout_id: UUID, shown: Sequence[str]) -> dict[str, Any] | None:
        """Who of the first of the audience lacks most of `shown` (`name`, `fields.NAME`), then who
        has the longest name; None: there is nobody."""
        row: dict[str, Any] | None = await self._call(
            "awkward_reader", p_mailout=str(mailout_id), p_shown=list(shown)
        )
        return row

    async def sample_subscriber(self, mailout_id: UUID) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call(
            "sample_subscriber", p_mailout=str(mailout_id)
        )
        return row

    async def count_audience(self, mailout_id: UUID) -> int:
        count: int = await self._call("count_audience", p_mailout=str(mailout_id))
        return count

    async def send_outlook(
        self, regions: Sequence[str], rate_limit: float | None, recipients: int
    ) -> dict[str, Any]:
        """What is known of sending to `recipients` from these regions together: `quota_left` and
        `daily_quota` (recipients), `rate` (recipients/s), `seconds` and `days`; what isn't known is
        left out."""
        row: dict[str, Any] = await self._call(
            "send_outlook",
            p_region=None,
            p_rate_limit=rate_limit,
            p_recipients=recipients,
            p_regions=list(regions),
        )
        return row

    async def show_mailout(self, mailout_id: UUID) -> dict[str, Any]:
        """Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call("show_mailout", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def list_mailouts(
        self,
        limit: int,
        *,
        status: str | None = None,
        wanted: MailoutFilter | None = None,
        before: tuple[str, str] | None = None,
    ) -> list[dict[str, Any]]:
        """Newest first; before: (created_at, id) of the last row of the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "mailouts_page",
            p_limit=limit,
            p_filter={**(wanted or {}), **({"statuses": [status]} if status else {})},
            p_before=before[0] if before else None,
            p_before_id=before[1] if before else None,
        )
        return rows

    async def sample_reader(self) -> dict[str, Any] | None:
        """`name` and `fields` of somebody; None: nobody is active."""
        row: dict[str, Any] | None = await self._call("sample_reader")
        return row

    async def list_recipients(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> list[dict[str, Any]]:
        """A page of the ledger, in the order of subscriber ids, after subscriber `after`."""
        rows: list[dict[str, Any]] = await self._call(
            "list_recipients", p_mailout=str(mailout_id), p_after=str(after), p_limit=limit
        )
        return rows

    async def recipients_page(
        self,
        mailout_id: UUID,
        limit: int,
        *,
        reach: int,
        statuses: Sequence[str] | None = None,
        q: str | None = None,
        after: UUID | None = None,
    ) -> tuple[list[dict[str, Any]], UUID | None]:
        """Recipients, and after whom the next page begins; None: there is none. At most `reach`
        are looked at, so a page may be shorter than `limit`, even empty. q: an address or a part
        of one."""
        row = await self._call(
            "recipients_page",
            p_mailout=str(mailout_id),
            p_limit=limit,
            p_reach=reach,
            p_statuses=list(statuses) if statuses else None,
            p_q=q,
            p_after=str(after or UUID(int=0)),
        )
        return row["rows"], UUID(row["next"]) if row["next"] else None
