"""The sending path: queueing, claims, results, leases, the account, guards and canary."""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any
from uuid import UUID

from app.domain.mailouts import Work
from app.domain.sending.batches import Account, Batch, Idle, Recipient, Result
from app.domain.sending.guards import GuardLimits, Trip
from app.domain.states import MailoutStatus
from app.store.calls import Calls, guard_arguments, require, text

UUID_BYTES = 16
ABOUT_TO_START = "about to start"
"""What those who listen hear then."""


class SendingCalls(Calls):
    async def queue_recipients(self, mailout_id: UUID, limit: int) -> tuple[int, bool]:
        """Queue a slice of an audience, or of a resend; gives how many rows it looked at and
        whether queueing is done."""
        row = await self._call("queue_recipients", p_mailout=str(mailout_id), p_limit=limit)
        return row["queued"], row["done"]

    async def sender_work(self) -> Work:
        row = await self._call("sender_work")
        return Work(**{name: tuple(map(UUID, ids)) for name, ids in row.items()})

    async def work_due(self, kinds: Sequence[str], probe: str | None = None) -> dict[str, float]:
        """In how many seconds there is work of these kinds (work_due.sql); one that is left out has
        nothing ahead. probe: sent to all who listen."""
        row: dict[str, float] = await self._call("work_due", p_kinds=list(kinds), p_probe=probe)
        return row

    async def announce_start(self) -> None:
        """Tell all who listen that a mailout is about to be started."""
        await self.work_due((), ABOUT_TO_START)

    async def start_due_mailouts(self, *, start: bool = True) -> dict[str, Any]:
        """Start one mailout whose time has come, unless told not to: `started` (its id or None),
        `status`, `recipients`; and let waves begin: `held`, ids of mailouts that missed one."""
        row: dict[str, Any] = await self._call("start_due_mailouts", p_start=start)
        require(row, "started", "held")
        return row

    async def heartbeat(
        self,
        executor_id: UUID,
        *,
        region: str,
        label: str,
        lease_seconds: float,
        rate_limit: float | None,
        routes: Mapping[str, float | None] | None = None,
    ) -> dict[str, Any]:
        """region: the home route. routes: by which this sender sends, and the recipients per second
        that it was told for each (None: the account's); None: home alone, with `rate_limit`.

        Gives `rate` (recipients/s, None: not known), `account`, `account_age_seconds`,
        `executors` (how many live)."""
        row: dict[str, Any] = await self._call(
            "heartbeat",
            p_executor=str(executor_id),
            p_region=region,
            p_label=label,
            p_lease_seconds=lease_seconds,
            p_rate_limit=rate_limit,
            p_routes=None if routes is None else dict(routes),
        )
        return row

    async def leave(self, executor_id: UUID) -> None:
        await self._call("leave", p_executor=str(executor_id))

    async def tell_executor_state(
        self, executor_id: UUID, service_id: UUID, state: Mapping[str, Any]
    ) -> bool:
        """Whether the executor is known; it isn't before its first heartbeat."""
        done = await self._call(
            "tell_executor_state",
            p_executor=str(executor_id),
            p_service=str(service_id),
            p_state=dict(state),
        )
        return bool(done)

    async def executor_state(self, service_id: UUID | None, region: str) -> dict[str, Any]:
        """A service's latest `executor` (`alive`, `silent_seconds`, `state`) and what is known of
        the `account`, with its age; each None when there is none."""
        row: dict[str, Any] = await self._call(
            "executor_state", p_service=text(service_id), p_region=region
        )
        require(row, "executor", "account", "account_age_seconds")
        return row

    async def region_states(self, regions: Sequence[str]) -> list[dict[str, Any]]:
        """Of each: `region`, `rate` (recipients/s), `account` and its age, `used` (recipients of
        the daily quota) and `breaker`; None where nothing is known."""
        found: list[dict[str, Any]] = await self._call("region_states", p_regions=list(regions))
        return found

    async def note_waiting(self, reason: str | None, *, kept_to: str | None = None) -> None:
        """Set the reason that each running mailout shows for waiting; None: none waits any more.
        kept_to: only those that are kept to this route; None: only those that may take any."""
        await self._call("note_waiting", p_reason=reason, p_region=kept_to)

    async def note_silence(
        self, reason: str, *, routes: Sequence[str], silent: Sequence[str]
    ) -> None:
        """Set the reason on each running mailout that may take any route, where none can send it,
        and take it away where one can. routes: of this process; silent: those that do not
        answer."""
        await self._call(
            "note_silence", p_reason=reason, p_routes=list(routes), p_silent=list(silent)
        )

    async def quota_frees_at(self, region: str) -> datetime | None:
        """When the first place in the daily quota that this database's mailouts used is free again
        (SES counts 24 hours); None: they used none."""
        at: str | None = await self._call("quota_frees_at", p_region=region)
        return None if at is None else datetime.fromisoformat(at)

    async def note_quota(self, reason: str) -> None:
        """Show on every mailout that waits for the quota until when it waits."""
        await self._call("note_quota", p_reason=reason)

    async def count_executors(self) -> int:
        """How many senders live now."""
        return int(await self._call("count_executors"))

    async def release_batches(self, attempts: Sequence[UUID]) -> set[UUID]:
        """Give back claims that were never sent; gives the ids of those that were open."""
        given_back = await self._call("release_batches", p_attempts=[str(i) for i in attempts])
        return {UUID(attempt) for attempt in given_back}

    async def keep_house(self) -> bool:
        """Do a slice of the work that nobody waits for; gives whether more is left to do."""
        more: bool = await self._call("keep_house")
        return more

    async def recover_lost(self, executor_id: UUID) -> int:
        """Declare rows of senders without a heartbeat `unknown`; gives those recipients."""
        row = await self._call("recover_lost", p_executor=str(executor_id))
        return int(row["recipients"])

    async def record_account(self, region: str, account: Account) -> float | None:
        """Gives the rate that now holds, in recipients per second."""
        rate = await self._call(
            "record_account",
            p_region=region,
            p_account={
                "max_send_rate": account.max_send_rate,
                "max_24h_send": account.max_24h_send,
                "sent_last_24h": account.sent_last_24h,
                "sending_enabled": account.sending_enabled,
                "enforcement_status": account.enforcement_status,
                "production_access": account.production_access,
            },
        )
        return None if rate is None else float(rate)

    async def claim_batches(
        self,
        mailout_id: UUID,
        executor_id: UUID,
        *,
        attempts: Sequence[UUID],
        region: str,
        limit: int,
        test: bool = False,
        guards: GuardLimits | None = None,
        after: int = 0,
        kept_only: bool = False,
    ) -> tuple[Batch, ...] | Idle:
        """At most one batch of `limit` recipients per attempt: as many as tokens are due for.

        kept_only: only of a mailout that is kept to this route.

        attempts: new ids that the caller made, so that it can give a claim back whose answer it
        never got.
        after: a row id; only those beyond it are looked at (claim_batches.sql).
        """
        claim = await self._call(
            "claim_recipients",
            p_mailout=str(mailout_id),
            p_executor=str(executor_id),
            p_region=region,
            p_limit=limit,
            p_attempts=[str(attempt) for attempt in attempts],
            p_test=test,
            p_after=after,
            p_kept_only=kept_only,
            **guard_arguments(guards),
        )
        if "reason" in claim:
            return Idle(claim["reason"], float(claim.get("seconds", 0)), claim.get("kept"))
        people = [uuid_bytes(each) if each else None for each in claim["subscribers"]]
        fields = [each or {} for each in claim["fields"]]
        columns = claim["ids"], claim["emails"], claim["tries"], people, claim["names"], fields
        recipients = iter([Recipient._make(row) for row in zip(*columns, strict=True)])
        return tuple(
            Batch(
                attempt_id=UUID(attempt),
                mailout_id=mailout_id,
                recipients=tuple(islice(recipients, size)),
                delay=float(delay),
                is_test=test,
                rate=float(claim["rate"]),
            )
            for attempt, size, delay in zip(
                claim["attempts"], claim["sizes"], claim["delays"], strict=True
            )
        )

    async def record_batches(
        self, batches: Sequence[tuple[UUID, Sequence[Result]]]
    ) -> dict[UUID, MailoutStatus]:
        """Settle these attempts, all or none of them; gives the status of each of their mailouts
        afterwards."""
        answer = await self._call(
            "record_batches", p_batches=[_batch_row(attempt, told) for attempt, told in batches]
        )
        require(answer, "recorded")
        return {UUID(mailout): status for mailout, status in answer["statuses"].items()}

    async def record_results(
        self, attempt_id: UUID, results: Sequence[Result]
    ) -> MailoutStatus | None:
        """Settle an attempt; gives the mailout's status afterwards."""
        statuses = await self.record_batches([(attempt_id, results)])
        return next(iter(statuses.values()), None)

    async def guard_trip(self, mailout_id: UUID, guards: GuardLimits) -> Trip | None:
        """Why the guards stop this mailout now."""
        row = await self._call("guard_trip", p_mailout=str(mailout_id), **guard_arguments(guards))
        return None if row is None else Trip(**row)

    async def advance_canary(self, mailout_id: UUID, guards: GuardLimits | None = None) -> bool:
        """The canary's next step, if it is due; gives whether the mailout still waits."""
        waits: bool = await self._call(
            "advance_canary", p_mailout=str(mailout_id), **guard_arguments(guards)
        )
        return waits


def uuid_bytes(text: str) -> bytes:
    """Of a UUID as the database writes it: 0.15 µs, and 1.1 by way of a UUID. Raises ValueError."""
    found = unhexlify(text.replace("-", ""))
    if len(found) != UUID_BYTES:
        raise ValueError("no UUID")
    return found


def _batch_row(attempt_id: UUID, results: Sequence[Result]) -> dict[str, Any]:
    """Those whom SES accepted in two columns, since they are nearly all: an object for each would
    take the database 3 of the 14 µs that recording it costs."""
    accepted: list[Result] = []
    rest: list[Result] = []
    for result in results:
        has_no_more = result.message_id and not (result.code or result.message)
        (accepted if result.outcome == "sent" and has_no_more else rest).append(result)
    return {
        "attempt": str(attempt_id),
        "ids": [result.send_log_id for result in accepted],
        "message_ids": [result.message_id for result in accepted],
        "rest": [result.to_row() for result in rest],
    }
