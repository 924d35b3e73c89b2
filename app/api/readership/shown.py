"""Examples for `/openapi.json`."""

from __future__ import annotations

from typing import Any

_MAILOUT = "9d1f0c3a-7b52-4c1e-8f0a-2d6e5b4c3a21"


def _range(low: int, high: int, of: int) -> dict[str, Any]:
    return {"low": low, "high": high, "low_rate": low / of, "high_rate": high / of}


_OPENS = {"human": 312, "unknown": 228, "machine": 41}
_CLICKS = {"human": 90, "unknown": 35, "machine": 60}
_RANGE = {
    "readers": _range(320, 540, 1000),
    "opens": _range(312, 540, 1000),
    "clicks": _range(90, 125, 1000),
}
OF_MAILOUT: dict[str, Any] = {
    "mailout_id": _MAILOUT,
    "tracking": True,
    "partial": False,
    "tracked": 1000,
    "opens": _OPENS,
    "clicks": _CLICKS,
    "readers": {"human": 320, "unknown": 220, "machine": 60},
    "range": _RANGE,
    "no_rate": None,
    "waiting": 0,
    "links": [
        {
            "url": "https://example.org/programme?for={{ email }}",
            "place": "body",
            "position": 0,
            "human": 70,
            "unknown": 20,
            "machine": 60,
            "events": 214,
        }
    ],
    "rules": {"version": 1, "judged": [{"rules": 1, "people": 581}]},
}
OF_LIST: dict[str, Any] = {
    "growth": {
        "zone": "Europe/Berlin",
        "by": "week",
        "active": 2955,
        "counted_since": "2026-03-01T07:58:11Z",
        "periods": [
            {
                "start": "2026-05-04",
                "end": "2026-05-10",
                "new": {"signup": 21},
                "back": 1,
                "lost": {"unsubscribed": 4, "bounced": 2},
                "net": 16,
                "active": 2955,
                "churn": 0.00204,
            }
        ],
    },
    "mailouts": [
        {
            "id": _MAILOUT,
            "subject": "The autumn letter",
            "started_at": "2026-05-04T09:00:02Z",
            "tracking": True,
            "delivered": 2900,
            "unsubscribed": 4,
            "complained": 1,
            "bounced": 2,
            "left": 7,
            "rate": 0.0024,
        }
    ],
    "quiet": {
        "days": 180,
        "tracked_mailouts": 6,
        "active": 2955,
        "looked_at": 2955,
        "estimated": False,
        "human": 1510,
        "possible": 820,
        "silent": 505,
        "not_judged": 120,
    },
}
OF_PERSON: dict[str, Any] = {
    "mails": 12,
    "tracked": 6,
    "opens": {"human": 3, "unknown": 2, "machine": 0},
    "clicks": {"human": 1, "unknown": 0, "machine": 1},
    "range": {"opens": _range(3, 5, 6), "clicks": _range(1, 1, 6)},
    "first_human_at": "2026-02-03T18:12:40Z",
    "last_human_at": "2026-05-04T19:02:11Z",
    "last_possible_at": "2026-05-04T19:02:11Z",
    "waiting": 0,
    "items": [
        {
            "mailout_id": _MAILOUT,
            "subject": "The autumn letter",
            "status": "delivered",
            "tracked": True,
            "sent_at": "2026-05-04T09:00:04Z",
            "open_class": "human",
            "click_class": None,
            "opened_at": "2026-05-04T19:02:11Z",
            "clicked_at": None,
            "signals": [],
        }
    ],
}
WHY: dict[str, Any] = {
    "got": True,
    "code": "delivered",
    "reason": "It went to everybody who was active, and so were they."
    " The recipient's mail server took it.",
    "found": "person",
    "consent": {
        "recorded": {"source": "signup", "text": "News, about once a month"},
        "on_list_since": "2026-01-15T10:12:00Z",
    },
    "audience": {"words": "everybody", "rule": None, "frozen": True, "conditions": []},
    "events": [{"type": "delivery", "at": "2026-05-04T09:00:05Z", "said": "250 2.0.0 OK"}],
    "signals": [],
}
