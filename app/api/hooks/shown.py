"""Examples for `/openapi.json`."""

from __future__ import annotations

from typing import Any

HOOK: dict[str, Any] = {
    "id": "4f0e3f2a-5a0f-4c57-9a2c-6a8f7f7b1d11",
    "url": "https://crm.example.com/in",
    "events": ["recipient.bounced", "subscriber.unsubscribed"],
    "description": "Bounces into our CRM",
    "source": None,
    "rate_per_second": 20.0,
    "state": "active",
    "reason": None,
    "created_at": "2026-05-04T09:00:00Z",
    "created_by": "owner",
    "delivered_at": "2026-05-04T18:40:01Z",
    "failures": 0,
    "failing_since": None,
    "held_until": None,
    "old_secret_until": None,
    "waiting": 0,
    "dead": 0,
    "oldest_due_at": None,
}
WITH_SECRET = HOOK | {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
EVENT: dict[str, Any] = {
    "id": "evt_5d1c0f5e2b7a4f0c9b3e8a7d6c5b4a39",
    "type": "subscriber.unsubscribed",
    "timestamp": "2026-05-04T18:40:00.000000+00:00",
    "data": {
        "id": "9b5c1d7e-3c1f-4a0e-8d5b-2f6a7c8e9d10",
        "email": "maria@example.com",
        "name": "Maria",
        "status": "unsubscribed",
        "tags": ["news"],
        "fields": {"city": "Lisbon"},
        "by": "mail client",
    },
}
DELIVERY: dict[str, Any] = {
    "id": 4711,
    "event_id": EVENT["id"],
    "type": EVENT["type"],
    "subject": EVENT["data"]["id"],
    "data": EVENT["data"],
    "state": "done",
    "attempts": 1,
    "status": 204,
    "error": None,
    "occurred_at": EVENT["timestamp"],
    "due_at": "2026-05-04T18:40:00Z",
    "tried_at": "2026-05-04T18:40:01Z",
    "settled_at": "2026-05-04T18:40:01Z",
}
