"""Calls the functions of `migrations/functions/` by name; method, function and file share it.

Rows become dataclasses here; nothing above knows how they travelled.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from app.domain.batches import Account, Batch, Idle, Recipient, Result
from app.domain.guards import GuardLimits, Trip
from app.domain.states import MailoutStatus, PauseCode
from app.errors import MailoutNotFound, UnreadableAnswer
from app.ports import Database

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class MailoutContent:
    """What decides what is sent; addresses and configuration set may be None (settings hold)."""

    subject: str
    preheader: str | None
    body_html: str | None
    body_markdown: str | None
    body_text: str | None
    from_email: str | None
    from_name: str | None
    reply_to: str | None
    configuration_set: str | None


@dataclass(frozen=True)
class Mailout:
    id: UUID
    status: MailoutStatus
    status_reason: str | None
    content: MailoutContent
    content_hash: str
    tested_hash: str | None
    """Of the content that the latest test mails showed."""

    @property
    def is_tested(self) -> bool | None:
        """Whether they showed what would be sent now; None: there were none."""
        return None if self.tested_hash is None else self.tested_hash == self.content_hash


@dataclass(frozen=True)
class SendRequestRecord:
    """An accepted request to start a mailout: the hash of its body, and what it was answered."""

    body_hash: str
    response: dict[str, Any]


@dataclass(frozen=True)
class Claim:
    """Of a mailout, or of its test. outcome: claimed, queued, repeat, key_reused, changed,
    audience_empty, not_ready or not_found."""

    outcome: str
    response: dict[str, Any] | None = None
    status: MailoutStatus | None = None


@dataclass(frozen=True)
class Work:
    sending: tuple[UUID, ...]
    queueing: tuple[UUID, ...]
    cancelling: tuple[UUID, ...]
    testing: tuple[UUID, ...]


@dataclass(frozen=True)
class Transition:
    """changed: whether this call moved the mailout; status: the state it is in now."""

    changed: bool
    status: MailoutStatus
    status_reason: str | None


def _all_readable(store: type[Store]) -> type[Store]:
    for name, method in list(vars(store).items()):
        if inspect.iscoroutinefunction(method):
            setattr(store, name, _readable(method))
    return store


def _readable(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """`method`, which raises UnreadableAnswer where it can't make sense of what came: rows of
    another shape, such as a proxy's own JSON."""

    @functools.wraps(method)
    async def reading(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            log.exception("answer_unreadable", function=method.__name__)
            raise UnreadableAnswer(
                f"The database's answer to {method.__name__} can't be read"
            ) from exc

    return reading


@_all_readable
class Store:
    """Any method raises DatabaseUnavailable, DatabaseError, and UnreadableAnswer; then what it was
    to do may have been done all the same."""

    def __init__(self, database: Database) -> None:
        self._call = database.call

    async def find_mailout(
        self, mailout_id: UUID | None = None, *, notion_page: str | None = None
    ) -> Mailout | None:
        """notion_page: 32 hex digits without dashes."""
        row = await self._call(
            "find_mailout", p_mailout=_text(mailout_id), p_notion_page=notion_page
        )
        if row is None:
            return None
        return Mailout(
            id=UUID(row["id"]),
            status=row["status"],
            status_reason=row["status_reason"],
            content=MailoutContent(**row["content"]),
            content_hash=row["content_hash"],
            tested_hash=row["tested_hash"],
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
        region: str | None = None,
        rate_limit: float | None = None,
        warnings: Sequence[str] = (),
    ) -> Claim:
        """region, rate_limit: of this process, to tell quota and duration. warnings: for the
        answer."""
        row = await self._call(
            "claim_mailout",
            p_mailout=str(mailout_id),
            p_content_hash=content_hash,
            p_request_key=request_key,
            p_request_hash=request_hash,
            p_region=region,
            p_rate_limit=rate_limit,
            p_warnings=list(warnings),
        )
        return Claim(row["outcome"], row.get("response"), row.get("status"))

    async def queue_recipients(self, mailout_id: UUID, limit: int) -> tuple[int, bool]:
        """Queue a slice of an audience, or of a resend; gives how many rows it looked at and
        whether queueing is done."""
        row = await self._call("queue_recipients", p_mailout=str(mailout_id), p_limit=limit)
        return row["queued"], row["done"]

    async def sender_work(self) -> Work:
        row = await self._call("sender_work")
        return Work(**{name: tuple(map(UUID, ids)) for name, ids in row.items()})

    async def heartbeat(
        self,
        executor_id: UUID,
        *,
        region: str,
        label: str,
        lease_seconds: float,
        rate_limit: float | None,
    ) -> dict[str, Any]:
        """Gives `rate` (recipients/s, None: not known), `account`, `account_age_seconds`,
        `executors` (how many live)."""
        row: dict[str, Any] = await self._call(
            "heartbeat",
            p_executor=str(executor_id),
            p_region=region,
            p_label=label,
            p_lease_seconds=lease_seconds,
            p_rate_limit=rate_limit,
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
            "executor_state", p_service=_text(service_id), p_region=region
        )
        _require(row, "executor", "account", "account_age_seconds")
        return row

    async def note_waiting(self, reason: str | None) -> None:
        """Say on every running mailout why it waits; None: it no longer does."""
        await self._call("note_waiting", p_reason=reason)

    async def quota_frees_at(self, region: str) -> datetime | None:
        """When the first place in the daily quota that was used from here frees (SES counts 24
        hours); None: none was."""
        at: str | None = await self._call("quota_frees_at", p_region=region)
        return None if at is None else datetime.fromisoformat(at)

    async def note_quota(self, reason: str) -> None:
        """Say on every mailout that waits for the quota until when."""
        await self._call("note_quota", p_reason=reason)

    async def count_executors(self) -> int:
        """How many senders live now."""
        return int(await self._call("count_executors"))

    async def metrics_snapshot(self) -> dict[str, Any]:
        """Gives `queued`, `unknown` and `senders`, `mailouts` and `paused` as counts, `regions`."""
        row: dict[str, Any] = await self._call("metrics_snapshot")
        return row

    async def release_batches(self, attempts: Sequence[UUID]) -> set[UUID]:
        """Give claims back that were never sent; which of them were open."""
        given_back = await self._call("release_batches", p_attempts=[str(i) for i in attempts])
        return {UUID(attempt) for attempt in given_back}

    async def apply_parked_events(self) -> int:
        """Events whose row could only be told later; gives how many were applied."""
        return int(await self._call("apply_parked_events"))

    async def keep_house(self) -> bool:
        """Tidy up a slice of what nobody waits for; gives whether there is more to do at once."""
        more: bool = await self._call("keep_house")
        return more

    async def recover_lost(self, executor_id: UUID) -> int:
        """Recipients that became `unknown` because their sender's heartbeat is gone."""
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
    ) -> tuple[Batch, ...] | Idle:
        """At most one batch of `limit` recipients per attempt: as many as tokens are due for.

        attempts: new ids, the caller's, to give claims back whose answer it never gets.
        after: a row id; only those beyond it are looked at (claim_batches.sql).
        """
        row = await self._call(
            "claim_batches",
            p_mailout=str(mailout_id),
            p_executor=str(executor_id),
            p_region=region,
            p_limit=limit,
            p_attempts=[str(attempt) for attempt in attempts],
            p_test=test,
            p_after=after,
            **_limits(guards),
        )
        if "reason" in row:
            return Idle(row["reason"], float(row.get("seconds", 0)))
        return tuple(
            Batch(
                attempt_id=UUID(batch["attempt_id"]),
                mailout_id=mailout_id,
                recipients=tuple(
                    Recipient(
                        send_log_id=r["id"],
                        email=r["email"],
                        attempts=r["attempts"],
                        subscriber_id=UUID(r["subscriber_id"]) if r["subscriber_id"] else None,
                        name=r["name"],
                        fields=r["fields"] or {},
                    )
                    for r in batch["rows"]
                ),
                delay=float(batch["delay"]),
                is_test=test,
            )
            for batch in row["batches"]
        )

    async def record_results(
        self, attempt_id: UUID, results: Sequence[Result]
    ) -> MailoutStatus | None:
        """Settle an attempt; gives the mailout's status afterwards."""
        row = await self._call(
            "record_results",
            p_attempt=str(attempt_id),
            p_results=[result.to_row() for result in results],
        )
        _require(row, "recorded")
        status: MailoutStatus | None = row.get("mailout_status")
        return status

    async def finish_mailout(self, mailout_id: UUID) -> MailoutStatus | None:
        status: MailoutStatus | None = await self._call("finish_mailout", p_mailout=str(mailout_id))
        return status

    async def ready_mailout(self, mailout_id: UUID) -> Transition:
        return await self._transition("ready_mailout", mailout_id)

    async def pause_mailout(self, mailout_id: UUID, code: PauseCode, reason: str) -> Transition:
        return await self._transition("pause_mailout", mailout_id, p_code=code, p_reason=reason)

    async def resume_mailout(self, mailout_id: UUID) -> Transition:
        return await self._transition("resume_mailout", mailout_id)

    async def cancel_mailout(self, mailout_id: UUID) -> Transition:
        return await self._transition("cancel_mailout", mailout_id)

    async def _transition(self, function: str, mailout_id: UUID, **arguments: Any) -> Transition:
        row = await self._call(function, p_mailout=str(mailout_id), **arguments)
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return Transition(row["changed"], row["status"], row["status_reason"])

    async def resume_waiting_mailouts(self) -> list[UUID]:
        """Mailouts that waited for the account and now go on."""
        return [UUID(i) for i in await self._call("resume_waiting_mailouts")]

    async def cancel_recipients(self, mailout_id: UUID, limit: int) -> int:
        return int(await self._call("cancel_recipients", p_mailout=str(mailout_id), p_limit=limit))

    async def resend_mailout(
        self, mailout_id: UUID, statuses: Sequence[str], *, force: bool
    ) -> dict[str, Any]:
        """Gives `allowed`, `status`, `requeued` and `too_young` so far, and how many are
        `remaining`: the senders go on with those. Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call(
            "resend_mailout",
            p_mailout=str(mailout_id),
            p_statuses=list(statuses),
            p_force=force,
        )
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def apply_ses_events(
        self, rows: Sequence[dict[str, Any]], guards: GuardLimits | None = None
    ) -> dict[str, Any]:
        """Gives how many of the events were `new`, and how many of those `matched` a row; and
        `copies`, the SNS ids of those that were there already; and `tripped`, the ids of mailouts
        that the guards stop from now on."""
        counts: dict[str, Any] = await self._call(
            "apply_ses_events", p_events=list(rows), **_limits(guards)
        )
        _require(counts, "new", "matched", "copies", "tripped")
        return counts

    async def guard_trip(self, mailout_id: UUID, guards: GuardLimits) -> Trip | None:
        """Why the guards stop this mailout now."""
        row = await self._call("guard_trip", p_mailout=str(mailout_id), **_limits(guards))
        return None if row is None else Trip(**row)

    async def pause_tripped(self, mailout_id: UUID, reason: str, guards: GuardLimits) -> Transition:
        """Pause what the guards stop, if they still do and somebody is left to send to."""
        return await self._transition(
            "pause_tripped", mailout_id, p_reason=reason, **_limits(guards)
        )

    async def advance_canary(self, mailout_id: UUID, guards: GuardLimits | None = None) -> bool:
        """The canary's next step, if it is due; gives whether the mailout still waits."""
        waits: bool = await self._call(
            "advance_canary", p_mailout=str(mailout_id), **_limits(guards)
        )
        return waits

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
        """What the owner is to be told next; whoever gets it is the one to tell it."""
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

    async def unsubscribe(
        self, subscriber_id: UUID, mailout_id: UUID | None
    ) -> dict[str, Any] | None:
        """Gives the subscriber's `email` and `status`; None when it no longer exists."""
        row: dict[str, Any] | None = await self._call(
            "unsubscribe", p_subscriber=str(subscriber_id), p_mailout=_text(mailout_id)
        )
        if row is not None:
            _require(row, "email", "status")
        return row

    async def find_subscriber(
        self, subscriber_id: UUID | None = None, *, email: str | None = None
    ) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call(
            "find_subscriber", p_subscriber=_text(subscriber_id), p_email=email
        )
        return row

    async def queue_test(
        self,
        mailout_id: UUID,
        emails: Sequence[str],
        content_hash: str | None = None,
        *,
        request_key: str | None = None,
        request_hash: str | None = None,
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
        )
        return Claim(row["outcome"], row.get("response"))

    async def tested_content(self, mailout_id: UUID) -> tuple[MailoutContent, str]:
        """What test mails show, and its hash. Raises MailoutNotFound."""
        row = await self._call("tested_content", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"Mailout {mailout_id} was never tested.")
        return MailoutContent(**row["content"]), row["content_hash"]

    async def sample_subscriber(self, mailout_id: UUID) -> dict[str, Any] | None:
        row: dict[str, Any] | None = await self._call(
            "sample_subscriber", p_mailout=str(mailout_id)
        )
        return row

    async def count_audience(self, mailout_id: UUID) -> int:
        count: int = await self._call("count_audience", p_mailout=str(mailout_id))
        return count

    async def send_outlook(
        self, region: str | None, rate_limit: float | None, recipients: int
    ) -> dict[str, Any]:
        """What is known of sending to `recipients`: `quota_left` and `daily_quota`
        (recipients), `rate` (recipients/s), `seconds` and `days`; what isn't known is left out."""
        row: dict[str, Any] = await self._call(
            "send_outlook", p_region=region, p_rate_limit=rate_limit, p_recipients=recipients
        )
        return row

    async def audience_page(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> list[dict[str, Any]]:
        """Subscribers of the audience, whatever their status, in the order of their ids."""
        rows: list[dict[str, Any]] = await self._call(
            "audience_page", p_mailout=str(mailout_id), p_after=str(after), p_limit=limit
        )
        return rows

    async def first_recipients(self, mailout_id: UUID, limit: int) -> list[dict[str, Any]]:
        """Some who would get it: id, email, name and fields. None may be found in a small part of a
        large list."""
        rows: list[dict[str, Any]] = await self._call(
            "first_recipients", p_mailout=str(mailout_id), p_limit=limit
        )
        return rows

    async def begin_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        """Take the place of the mailout's latest run, wherever that runs."""
        await self._call(
            "begin_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )

    async def queue_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> None:
        """The same, with the job that does it."""
        await self._call(
            "queue_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )

    async def save_dry_run(self, mailout_id: UUID, run: UUID, report: dict[str, Any]) -> bool:
        """Progress or outcome; False when another run has taken this one's place."""
        ours: bool = await self._call(
            "save_dry_run", p_mailout=str(mailout_id), p_run=str(run), p_report=report
        )
        return ours

    async def show_dry_run(self, mailout_id: UUID) -> dict[str, Any] | None:
        report: dict[str, Any] | None = await self._call("show_dry_run", p_mailout=str(mailout_id))
        return report

    async def create_mailout(self, mailout: dict[str, Any]) -> UUID:
        return UUID(await self._call("create_mailout", p_mailout=mailout))

    async def show_mailout(self, mailout_id: UUID) -> dict[str, Any]:
        """Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call("show_mailout", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def list_mailouts(
        self, limit: int, *, status: str | None = None, before: tuple[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Newest first; before: (created_at, id) of the last row of the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "list_mailouts",
            p_limit=limit,
            p_status=status,
            p_before=before[0] if before else None,
            p_before_id=before[1] if before else None,
        )
        return rows

    async def list_recipients(
        self, mailout_id: UUID, after: UUID, limit: int
    ) -> list[dict[str, Any]]:
        """A page of the ledger, in the order of subscriber ids, after subscriber `after`."""
        rows: list[dict[str, Any]] = await self._call(
            "list_recipients", p_mailout=str(mailout_id), p_after=str(after), p_limit=limit
        )
        return rows

    # The dashboard

    async def mailout_headline(self, mailout_id: UUID) -> dict[str, Any]:
        """A mailout as in the list. Raises MailoutNotFound."""
        row: dict[str, Any] | None = await self._call("mailout_headline", p_mailout=str(mailout_id))
        if row is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return row

    async def mailout_outcomes(self, mailout_id: UUID) -> dict[str, Any]:
        """Gives `counts` per status, `unsubscribed`, `rates` (`outcomes`, `bounces`, `complaints`;
        None before the first event), and `groups` of rows that went alike: each `status`,
        `error_code`, `bounce_type`, `bounce_subtype`, `n` and one `message`."""
        row: dict[str, Any] = await self._call("mailout_outcomes", p_mailout=str(mailout_id))
        return row

    async def mailout_series(self, mailout_id: UUID) -> dict[str, Any] | None:
        """Gives `start`, `step` (seconds), `steps` and `points` (`kind`, `step`, `n`); None when
        the mailout was never started."""
        row: dict[str, Any] | None = await self._call("mailout_series", p_mailout=str(mailout_id))
        return row

    async def sending_pace(self, mailout_id: UUID | None = None) -> float:
        """Recipients per second that SES accepted of late; None: of all mailouts."""
        return float(await self._call("sending_pace", p_mailout=_text(mailout_id)))

    async def account_overview(self, region: str) -> dict[str, Any]:
        """Gives `account`, its age, `rate`, `pace`, `executors`, and the rates of `day` and
        `month`."""
        row: dict[str, Any] = await self._call("account_overview", p_region=region)
        return row

    async def end_session(self, session: str, expires_at: datetime) -> None:
        await self._call("end_session", p_session=session, p_expires_at=expires_at.isoformat())

    async def session_ended(self, session: str) -> bool:
        ended: bool = await self._call("session_ended", p_session=session)
        return ended

    async def examine_database(self) -> dict[str, Any]:
        """Gives `synchronous_commit` (its `setting` and `source`) and `unusable_addresses`."""
        row: dict[str, Any] = await self._call("examine_database")
        return row

    async def import_subscribers(self, rows: Sequence[dict[str, Any]]) -> dict[str, int]:
        """Gives how many were `added`, `updated` and `unchanged`."""
        counts: dict[str, int] = await self._call("import_subscribers", p_rows=list(rows))
        return counts

    async def list_subscribers(
        self, limit: int, *, status: str | None = None, after: str | None = None
    ) -> list[dict[str, Any]]:
        """In the order of their addresses; after: the last address of the page before."""
        rows: list[dict[str, Any]] = await self._call(
            "list_subscribers", p_limit=limit, p_status=status, p_after=after
        )
        return rows

    async def subscriber_field_names(self) -> list[str]:
        """Every name that occurs in a subscriber's fields, sorted."""
        names: list[str] = await self._call("subscriber_field_names")
        return names


def _require(row: Any, *names: str) -> None:
    """Raises TypeError, KeyError for an answer that isn't one of the function's: what it was to do
    must not pass for done."""
    for name in names:
        row[name]


def _limits(guards: GuardLimits | None) -> dict[str, float | None]:
    return {
        "p_bounce_rate": guards.bounce_rate if guards else None,
        "p_complaint_rate": guards.complaint_rate if guards else None,
    }


def _text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
