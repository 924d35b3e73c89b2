"""Mailouts in every state with realistic figures, put straight into the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from tests.support.factories import Arrange

BATCH = 50


@dataclass(frozen=True)
class Group:
    """Recipients that went alike."""

    status: str
    count: int
    columns: Mapping[str, Any]

    def __init__(self, status: str, count: int, **columns: Any) -> None:
        object.__setattr__(self, "status", status)
        object.__setattr__(self, "count", count)
        object.__setattr__(self, "columns", columns)


async def staged_mailout(
    arrange: Arrange,
    subject: str,
    status: str,
    *groups: Group,
    minutes: float,
    ago: timedelta = timedelta(0),
    reason: str | None = None,
    unsubscribed: int = 0,
    pause_code: str | None = None,
) -> UUID:
    """minutes: how long it was under way, until `ago`. Batches and events are spread over them."""
    now = datetime.now(UTC) - ago
    start = now - timedelta(minutes=minutes)
    total = sum(group.count for group in groups)
    mailout = await arrange.mailout(
        status,
        subject=subject,
        recipients=total,
        status_reason=reason,
        pause_code=pause_code,
        created_at=start - timedelta(minutes=20),
        started_at=start,
        sent_at=now if status in {"sent", "failed"} else None,
    )
    for group in groups:
        await _ledger(arrange, mailout, group)
    await arrange.sql.execute(
        "update send_logs set unsubscribed_at = now() where id in (select id from send_logs "
        "where mailout_id = %s and status = 'delivered' limit %s)",
        [mailout, unsubscribed],
    )
    accepted = sum(
        group.count
        for group in groups
        if group.status in {"sent", "delivered", "bounced", "complained"}
    )
    await _batches(arrange, mailout, accepted, start, now)
    await arrange.sql.execute(
        "insert into route_counts values (%(mailout)s, 'us-east-1', 0, %(rest)s), "
        "(%(mailout)s, 'sendgrid', 0, %(some)s)",
        {"mailout": mailout, "rest": accepted - accepted // 4, "some": accepted // 4},
    )
    for kind, count in _events(groups, unsubscribed).items():
        await _spread(arrange, mailout, kind, count, start, now)
    await _judge(arrange, mailout, groups)
    return mailout


async def stage_jobs(arrange: Arrange) -> None:
    """Background jobs in every state."""
    await arrange.sql.execute(
        "insert into jobs (kind, state, lease_until, progress, error, failures, started_at,"
        " finished_at) values"
        """ ('dry_run', 'running', now() + interval '1 day', '{"done": 5200, "total": 12000}',"""
        " null, 0, now(), null),"
        " ('dry_run', 'waiting', null, null, 'The database can''t be reached.', 1, now(), null),"
        " ('dry_run', 'done', null, null, null, 0, now(), now()),"
        " ('dry_run', 'failed', null, null, 'The process that ran it ended before it was done.',"
        " 5, now(), now()),"
        " ('dry_run', 'cancelled', null, null, null, 0, now(), now())"
    )


async def stage_access(arrange: Arrange, mailout: UUID) -> None:
    """API keys, and what was done with them and otherwise."""
    await arrange.sql.execute(
        "insert into api_keys (name, scopes, hash, hint, created_by, last_used_at) "
        "select name, string_to_array(scopes, ' '), repeat(md5(name), 2), hint, 'dashboard', used "
        "from (values ('Notion automation', 'send', 'as_x9Kd…3fQa', now()), "
        "('Reports of the board, with a name that is longer than most', 'send read manage', "
        "'as_Tr4w…_-8c', null)) as k (name, scopes, hint, used)"
    )
    await arrange.sql.execute(
        "select record_audit('key Notion automation', 'mailout.start', %(mailout)s, "
        """ '{"status": "ready"}', '{"status": "sending", "recipients": 12000}'),"""
        " record_audit('cli', 'mailout.create', %(mailout)s, null, "
        """ '{"status": "draft", "subject": "A subject of many words, as editors write them", """
        """ "audience": {"tags": ["vienna", "members"]}, "content_hash": "d41d8cd98f00"}'),"""
        " record_audit('owner', 'subscriber.erase', 'ann', null, null),"
        " record_audit('dashboard', 'key.create', 'Notion automation', null, "
        """ '{"scopes": ["send"], "hint": "as_x9Kd…3fQa"}'),"""
        """ note_refused_sign_ins('{"203.0.113.7": 3}')""",
        {"mailout": str(mailout)},
    )


async def _ledger(arrange: Arrange, mailout: UUID, group: Group) -> None:
    columns = {"mailout_id": mailout, "status": group.status, **group.columns}
    names = ", ".join(columns)
    await arrange.sql.execute(
        f"insert into send_logs (subscriber_id, email, {names}) "
        f"select gen_random_uuid(), 'reader' || n || '@example.com', "
        f"{', '.join(['%s'] * len(columns))} from generate_series(1, %s) n".encode(),
        [*columns.values(), group.count],
    )


async def _batches(
    arrange: Arrange, mailout: UUID, accepted: int, start: datetime, end: datetime
) -> None:
    """At an even pace; the last one was recorded just now."""
    count = max(1, accepted // BATCH)
    await arrange.sql.execute(
        "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
        "token_at, claimed_at, recorded_at, accepted) "
        "select gen_random_uuid(), %(mailout)s, %(executor)s, 'us-east-1', '{}', at, at, at, "
        "%(accepted)s from (select %(start)s::timestamptz + n "
        "* (%(end)s - %(start)s::timestamptz) / %(count)s as at "
        "from generate_series(1, %(count)s) n) times",
        {
            "mailout": mailout,
            "executor": uuid4(),
            "start": start,
            "end": end,
            "count": count,
            "accepted": round(accepted / count),
        },
    )


def _events(groups: tuple[Group, ...], unsubscribed: int) -> dict[str, int]:
    counts = {"unsubscribe": unsubscribed}
    for group in groups:
        bounce = group.columns.get("bounce_type")
        kind = {
            "delivered": "delivery",
            "complained": "complaint",
            "bounced": "bounce" if bounce == "Permanent" else "soft_bounce",
        }.get(group.status)
        if kind:
            counts[kind] = counts.get(kind, 0) + group.count
    return {kind: count for kind, count in counts.items() if count}


async def _spread(
    arrange: Arrange, mailout: UUID, kind: str, count: int, start: datetime, end: datetime
) -> None:
    """More at first than at last."""
    slots = max(1, int((end - start).total_seconds() // 10))
    await arrange.sql.execute(
        "insert into event_counts (mailout_id, kind, slot, events) "
        "select * from (select %(mailout)s::uuid, %(kind)s, date_bin('10 seconds', "
        "%(start)s::timestamptz + n * interval '10 seconds', 'epoch'), "
        "floor(%(count)s * power((n + 1)::float / %(slots)s, 0.8)) "
        "- floor(%(count)s * power(n::float / %(slots)s, 0.8)) as events "
        "from generate_series(0, %(slots)s - 1) n) spread where events > 0",
        {
            "mailout": mailout,
            "kind": kind,
            "start": start,
            "count": count,
            "slots": slots,
        },
    )


async def _judge(arrange: Arrange, mailout: UUID, groups: tuple[Group, ...]) -> None:
    def among(**wanted: str) -> int:
        return sum(
            group.count
            for group in groups
            if all({"status": group.status, **group.columns}.get(k) == v for k, v in wanted.items())
        )

    outcomes = sum(among(status=one) for one in ("delivered", "bounced", "complained"))
    bounces = among(status="bounced", bounce_type="Permanent", bounce_subtype="General")
    complaints = among(status="complained")
    await arrange.sql.execute(
        "insert into guard_figures (mailout_id, outcomes, bounces, complaints) "
        "values (%s, %s, %s, %s)",
        [mailout, outcomes, bounces, complaints],
    )
    await arrange.sql.execute(
        "insert into guard_hours as h (hour, outcomes, bounces, complaints) "
        "values (date_trunc('hour', now()), %s, %s, %s) on conflict (hour, forgiven) do update set "
        "outcomes = h.outcomes + excluded.outcomes, bounces = h.bounces + excluded.bounces, "
        "complaints = h.complaints + excluded.complaints",
        [outcomes, bounces, complaints],
    )


HARD = {
    "bounce_type": "Permanent",
    "bounce_subtype": "General",
    "error_code": "Permanent",
    "error_message": "smtp; 550 5.1.1 <reader17@example.com>: user unknown",
}
FULL = {
    "bounce_type": "Transient",
    "bounce_subtype": "MailboxFull",
    "error_code": "Transient",
    "error_message": "smtp; 452 4.2.2 mailbox full",
}
REFUSED = {
    "error_code": "MessageRejected",
    "error_message": "Email address is not verified. The following identities failed the check in "
    "region US-EAST-1: reader99@example.com",
}
LOST = {
    "error_code": "sender_lost",
    "error_message": "The sending process stopped before the answer was recorded.",
}


async def stage_every_state(arrange: Arrange) -> dict[str, UUID]:
    """A mailout per state, by the state's name."""
    return {
        "draft": await arrange.mailout("draft", subject="Winter letter (first sketch)"),
        "ready": await arrange.mailout("ready", subject="An invitation to the open house"),
        "cancelled": await staged_mailout(
            arrange,
            "Programme of the summer, wrong date",
            "cancelled",
            Group("delivered", 700),
            Group("cancelled", 5_300),
            minutes=1,
            ago=timedelta(days=9),
            reason="Cancelled by a person.",
        ),
        "failed": await staged_mailout(
            arrange,
            "Test of the new sender",
            "failed",
            Group("failed", 120, **REFUSED),
            minutes=0.2,
            ago=timedelta(days=6),
            reason="120 of 120 recipients were refused: Email address is not verified.",
        ),
        "sent": await staged_mailout(
            arrange,
            "The autumn letter: two dates, a thank-you, and what we learnt from a long summer",
            "sent",
            Group("delivered", 11_420),
            Group("sent", 36),
            Group("bounced", 131, **HARD),
            Group("bounced", 44, **FULL),
            Group("complained", 6, error_code="abuse"),
            Group("failed", 12, **REFUSED),
            Group("unknown", 50, **LOST),
            Group("skipped", 9, error_code="unsubscribed"),
            minutes=14,
            ago=timedelta(days=3),
            reason="50 of 11,708 recipients: it is unknown whether the mail was accepted. "
            "Events settle this; a person may resend.",
            unsubscribed=58,
        ),
        "paused": await staged_mailout(
            arrange,
            "News for June",
            "paused",
            Group("delivered", 1_830),
            Group("bounced", 118, **HARD),
            Group("complained", 1, error_code="abuse"),
            Group("queued", 8_051),
            minutes=3,
            ago=timedelta(minutes=12),
            reason="Paused: 118 of 1,949 mails with an outcome bounced (6.1 %, limit 5 %). Clean "
            "the list, then resume.",
            pause_code="guard",
            unsubscribed=4,
        ),
        "sending": await staged_mailout(
            arrange,
            "Advent: what happens in December",
            "sending",
            Group("delivered", 4_890),
            Group("sent", 412),
            Group("bounced", 39, **HARD),
            Group("complained", 1, error_code="abuse"),
            Group("sending", 50),
            Group("queued", 6_620),
            minutes=7,
            unsubscribed=9,
        ),
    }


async def stage_fallback(arrange: Arrange) -> None:
    """Another provider sent in SES's place, and does no more."""
    await arrange.sql.execute(
        "insert into fallback_changes (at, provider, by, reason) values"
        " (now() - interval '3 hours', 'sendgrid', null,"
        "  'SES can''t send: it does not answer in us-east-1.'),"
        " (now() - interval '2 hours', 'mailgun', null,"
        "  'SES can''t send, and nor can SendGrid: SendGrid refuses the configuration; set it "
        "right and the mailout goes on by itself. SendGrid says: The provided authorization grant "
        "is invalid, expired, or revoked'),"
        " (now() - interval '1 hour', null, 'dashboard', 'Closed by a person.')"
    )


async def stage_senders(arrange: Arrange) -> None:
    """One that lives and one that was killed."""
    for number, limit, silent in ((1, None, 0), (2, 14.0, 700)):
        await arrange.sql.execute(
            "insert into executors (id, region, label, rate_limit, lease_seconds, started_at, "
            "heartbeat_at) values (gen_random_uuid(), 'us-east-1', %s, %s, 600, "
            "now() - interval '3 days', now() - make_interval(secs => %s))",
            [f"mail-{number}:4017", limit, silent],
        )
