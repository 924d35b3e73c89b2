"""Deliveries to webhooks."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4

from app.domain.hooks.deliveries import Delivery
from app.domain.hooks.signing import new_secret


def a_delivery(url: str) -> Delivery:
    return Delivery(
        id=1,
        claim=1,
        hook_id=uuid4(),
        url=url,
        secrets=(new_secret(),),
        event_id="evt_1",
        type="subscriber.created",
        occurred_at=datetime.now(UTC),
        attempts=0,
        data={"id": "x"},
    )
