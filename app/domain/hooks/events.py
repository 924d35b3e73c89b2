"""The events that hooks may ask for, each with an example of its data.

The database writes the data (migrations/functions/hooks/hook_events.sql), with these very keys.
"""

from __future__ import annotations

from typing import Any

_MAILOUT: dict[str, Any] = {
    "id": "3f0c2f6e-5d0a-4f57-9a53-0d5f0c1b7a10",
    "subject": "Our news in May",
    "status": "sent",
    "reason": None,
    "pause_code": None,
    "again": False,
    "recipients": 1250,
    "counts": {
        "queued": 0,
        "sending": 0,
        "sent": 38,
        "delivered": 1201,
        "bounced": 9,
        "complained": 0,
        "failed": 2,
        "unknown": 0,
        "skipped": 0,
        "cancelled": 0,
    },
    "unsubscribed": 3,
    "created_at": "2026-05-03T16:20:11.000000+00:00",
    "scheduled_at": None,
    "started_at": "2026-05-04T09:00:02.000000+00:00",
    "ended_at": "2026-05-04T09:04:41.000000+00:00",
}
_RECIPIENT: dict[str, Any] = {
    "id": 48211,
    "mailout_id": "3f0c2f6e-5d0a-4f57-9a53-0d5f0c1b7a10",
    "mailout_subject": "Our news in May",
    "subscriber_id": "9b5c1d7e-7a3e-4a43-8a5b-6a0f2f4f7c21",
    "email": "maria@example.com",
    "status": "delivered",
    "message_id": "0100018f3c5a7b1e-1f2e3d4c-000000",
    "bounce_type": None,
    "bounce_subtype": None,
    "error_code": None,
    "error_message": None,
    "sent_at": "2026-05-04T09:00:04.000000+00:00",
    "event_at": "2026-05-04T09:00:06.000000+00:00",
    "unsubscribed_at": None,
}
_SUBSCRIBER: dict[str, Any] = {
    "id": "9b5c1d7e-7a3e-4a43-8a5b-6a0f2f4f7c21",
    "email": "maria@example.com",
    "name": "Maria",
    "status": "active",
    "bounce_type": None,
    "bounce_subtype": None,
    "tags": ["news"],
    "fields": {"city": "Lisbon"},
    "timezone": "Europe/Lisbon",
    "created_at": "2026-01-15T10:12:00.000000+00:00",
    "status_updated_at": "2026-01-15T10:12:00.000000+00:00",
    "by": "dashboard",
}
_OPEN = dict.fromkeys(_MAILOUT["counts"], 0)
_HALFWAY = _OPEN | {"queued": 650, "sent": 400, "delivered": 200}
_RUNNING = {"status": "sending", "ended_at": None, "unsubscribed": 0}
_BOUNCE = {"status": "bounced", "bounce_type": "Permanent", "bounce_subtype": "General"}

SAMPLES: dict[str, dict[str, Any]] = {
    "mailout.scheduled": _MAILOUT
    | _RUNNING
    | {
        "status": "scheduled",
        "recipients": 0,
        "counts": _OPEN,
        "scheduled_at": "2026-05-04T09:00:00.000000+00:00",
        "started_at": None,
    },
    "mailout.started": _MAILOUT | _RUNNING | {"recipients": 0, "counts": _OPEN},
    "mailout.paused": _MAILOUT
    | _RUNNING
    | {
        "status": "paused",
        "pause_code": "person",
        "reason": "Paused by a person.",
        "counts": _HALFWAY,
    },
    "mailout.resumed": _MAILOUT | _RUNNING | {"counts": _HALFWAY},
    "mailout.finished": _MAILOUT,
    "mailout.failed": _MAILOUT
    | {
        "status": "failed",
        "reason": "1250 of 1250 recipients were refused: Email address is not verified.",
        "counts": _OPEN | {"failed": 1250},
        "unsubscribed": 0,
    },
    "mailout.cancelled": _MAILOUT | {"status": "cancelled", "counts": _HALFWAY, "unsubscribed": 0},
    "recipient.delivered": _RECIPIENT,
    "recipient.bounced": _RECIPIENT
    | _BOUNCE
    | {"error_code": "Permanent", "error_message": "smtp; 550 5.1.1 user unknown"},
    "recipient.complained": _RECIPIENT | {"status": "complained", "error_code": "abuse"},
    "recipient.failed": _RECIPIENT
    | {
        "status": "failed",
        "message_id": None,
        "error_code": "MessageRejected",
        "error_message": "Email address is not verified.",
        "event_at": None,
    },
    "recipient.unsubscribed": _RECIPIENT | {"unsubscribed_at": "2026-05-04T18:40:00.000000+00:00"},
    "subscriber.created": _SUBSCRIBER | {"by": "import"},
    "subscriber.updated": _SUBSCRIBER,
    "subscriber.unsubscribed": _SUBSCRIBER | {"status": "unsubscribed", "by": "mail client"},
    "subscriber.resubscribed": _SUBSCRIBER | {"by": "link"},
    "subscriber.bounced": _SUBSCRIBER | _BOUNCE | {"by": "ses"},
    "subscriber.complained": _SUBSCRIBER | {"status": "complained", "by": "ses"},
    "subscriber.erased": {"id": _SUBSCRIBER["id"]},
}
"""By event, the data of an example with the keys of the real ones."""

EVENTS: tuple[str, ...] = tuple(SAMPLES)
