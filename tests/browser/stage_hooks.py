"""Webhooks that do well, fail, are gone or off, with what each was sent."""

from __future__ import annotations

from uuid import UUID

from tests.support.factories import Arrange

_HOOKS = {
    "well": (
        "https://hooks.zapier.com/hooks/standard/1234567/0f3c2d1b4a5968778695a4b3c2d1e0f1/",
        "mailout.finished,mailout.failed,recipient.bounced,recipient.complained,"
        "subscriber.unsubscribed,subscriber.created",
        "Bounces and farewells into our customer database",
        "active", None, "zapier",
    ),
    "failing": (
        "https://crm.example.com/in", "recipient.bounced", "", "active", None, None,
    ),
    "gone": (
        "https://hook.eu2.make.com/abcdefghijklmnopqrstuvwxyz", "mailout.finished",
        "Figures into the sheet", "gone", "Its endpoint answered 410: it doesn't exist any more.",
        "make",
    ),
    "off": (
        "http://n8n.internal:5678/webhook/4f8b", "subscriber.created,subscriber.updated", "",
        "disabled", "Switched off.", "n8n",
    ),
    "new": (
        "https://example.org/a/rather/long/path/that/has/no/place/to/break/0123456789abcdef",
        "subscriber.erased", "", "active", None, None,
    ),
}  # fmt: skip


async def stage_hooks(arrange: Arrange, mailout: UUID) -> dict[str, UUID]:
    """Gives their ids by how they do. mailout: one that they are told of."""
    found = {}
    for how, (url, events, note, state, reason, source) in _HOOKS.items():
        found[how] = await arrange.one(
            "insert into hooks (url, events, secret, description, state, reason, source,"
            " created_by, delivered_at) values (%s, string_to_array(%s, ','), 'whsec_x', %s, %s,"
            " %s, %s, 'dashboard', case when %s = 'new' then null else now() end) returning id",
            url, events, note, state, reason, source, how,
        )  # fmt: skip
    await arrange.sql.execute(
        "update hooks set failures = 7, failing_since = now() - interval '3 hours',"
        " held_until = now() + interval '20 minutes', old_secret = 'whsec_y',"
        " old_secret_until = now() + interval '5 hours' where id = %s",
        [found["failing"]],
    )
    await arrange.sql.execute(
        "insert into hook_deliveries (hook_id, event_id, type, subject, data, state, attempts,"
        " status, error, due_at, settled_at)"
        " select h::uuid, 'evt_' || gen_random_uuid(), type, %(mailout)s, data::jsonb, state,"
        " attempts, status, error, now() + interval '40 minutes',"
        " case when state in ('done', 'dead') then now() end"
        " from (values"
        " (%(well)s, 'mailout.finished', '{}', 'done', 1, 200, null),"
        " (%(well)s, 'recipient.bounced', '{\"test\": true}', 'done', 2, 204, null),"
        " (%(well)s, 'subscriber.unsubscribed', '{}', 'dead', 10, 500, 'It answered 500.'),"
        " (%(well)s, 'subscriber.created', '{}', 'waiting', 0, null, null),"
        " (%(failing)s, 'recipient.bounced', '{}', 'waiting', 3, null,"
        "  'It didn''t answer within 15 seconds.'),"
        " (%(off)s, 'subscriber.created', '{}', 'waiting', 0, null, null),"
        " (%(gone)s, 'mailout.finished', '{}', 'waiting', 1, 410, 'It answered 410.')"
        ") as d (h, type, data, state, attempts, status, error)",
        {"mailout": mailout, **{how: str(hook) for how, hook in found.items()}},
    )
    return found
