"""`GET /standing`."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from app.api.answers.readership import Standing
from app.api.http.deps import Protected, ServicesDep, needs
from app.api.http.description import answers
from app.api.http.problems import problems
from app.errors import Unauthorized
from app.services.standing.report import standing_report

router = APIRouter(tags=["standing"], route_class=Protected)

_SHARE = {"count": 12, "among": 4012, "value": 0.003, "low": 0.0017, "high": 0.0052}
_OFF = {"state": "off", "items": [], "why": "`DNSBL_ZONES` is not set"}
_EXAMPLE: dict[str, Any] = {
    "looked_at": "2026-11-26T09:00:04.000000+00:00",
    "waiting": False,
    "verdict": {
        "level": "ok",
        "what": "Of all that could be asked, nothing stands between you and your readers.",
        "remedy": "",
    },
    "alarms": [],
    "rates": {
        "7": [
            {
                "provider": "Gmail",
                "delivered": 4000,
                "bounced": 12,
                "soft_bounced": 3,
                "suppressed": 0,
                "complained": 0,
                "delayed": 5,
                "feedback": "never",
                "bounce_rate": _SHARE,
                "complaint_rate": None,
            }
        ]
    },
    "days": [],
    "sent": [],
    "regions": [
        {
            "region": "eu-west-1",
            "taken_at": "2026-11-26T09:00:04.000000+00:00",
            "account": {
                "max_send_rate": 14.0,
                "max_24h_send": 50000.0,
                "sent_last_24h": 4012.0,
                "sending_enabled": True,
                "enforcement_status": "HEALTHY",
                "production_access": True,
                "engagement_metrics": None,
            },
            "account_why": "",
            "entities": {"state": "told", "items": [], "why": ""},
            "ips": {"state": "told", "items": [], "why": ""},
            "dnsbl": _OFF,
            "aws_lists": _OFF,
            "advice": _OFF,
            "isps": _OFF,
            "isps_at": "",
        }
    ],
}


@router.get(
    "/standing",
    dependencies=[needs("read")],
    responses=problems(Unauthorized) | answers(Standing, example=_EXAMPLE),
)
async def show_standing(services: ServicesDep) -> dict[str, Any]:
    """How Amazon, mailbox providers and block lists see the sender, as of the latest hourly look:
    what it comes to (`verdict`), what is wrong (`alarms`), bounces and complaints by mailbox
    provider in the last 1, 7 and 30 days (`rates`), by day (`days`), and what each SES region was
    told (`regions`). A part is `told`, `off` (not asked, `why`) or `unknown` (no answer came). A
    share is null under 100 mails; complaints are null where a provider tells of none (`feedback`
    is `never`), or that isn't known."""
    return await standing_report(services.store)
