"""Hooks, warm-ups, fallback, health, and what webhooks are answered."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal, NotRequired
from uuid import UUID

from typing_extensions import TypedDict


class Hook(TypedDict):
    """waiting, dead: deliveries, 10,001 at most. old_secret_until: how long the secret before
    signs."""

    id: UUID
    url: str
    events: list[str]
    description: str
    source: str | None
    rate_per_second: float
    state: Literal["active", "disabled", "gone"]
    reason: str | None
    created_at: datetime
    created_by: str
    delivered_at: datetime | None
    failures: int
    failing_since: datetime | None
    held_until: datetime | None
    old_secret_until: datetime | None
    waiting: int
    dead: int
    oldest_due_at: datetime | None


class HookWithSecret(Hook):
    """secret: in this answer and nowhere else."""

    secret: str


class HookEvent(TypedDict):
    """What is delivered: see docs/hooks.md for the data of each type."""

    id: str
    type: str
    timestamp: datetime
    data: dict[str, Any]


class Delivery(TypedDict):
    """status, error: of the last try."""

    id: int
    event_id: str
    type: str
    subject: UUID
    data: dict[str, Any]
    state: Literal["waiting", "sending", "done", "dead"]
    attempts: int
    status: int | None
    error: str | None
    occurred_at: datetime
    due_at: datetime
    tried_at: datetime | None
    settled_at: datetime | None


class Replayed(TypedDict):
    replayed: int


class SlowedProvider(TypedDict):
    """rate: mails a second. deferred of answered: why."""

    region: str
    key: str
    rate: float
    ceiling: float | None
    since: datetime
    slowed_at: datetime
    deferred: int
    answered: int


class PlannedDay(TypedDict):
    total: int
    providers: NotRequired[dict[str, int]]


class WarmupDay(TypedDict):
    """cap, caps: mails, together and by provider; used, used_by: of them."""

    region: str
    step: int
    day: date
    cap: int
    used: int
    caps: dict[str, int]
    used_by: dict[str, int]
    verdict: str | None
    opened_at: datetime
    ends_at: datetime


class Warmup(TypedDict):
    """held: why a day is repeated. remains: mails of today."""

    region: str
    state: str
    plan: list[PlannedDay]
    plan_days: int
    step: int
    day_number: int
    today: WarmupDay | None
    remains: int | None
    held: str | None
    zone: str
    started_at: datetime
    started_by: str | None
    ended_at: datetime | None
    ends_on: date | None
    days: list[WarmupDay]


class FallbackChange(TypedDict):
    id: int
    at: datetime
    by: str | None
    reason: str
    provider: str | None


class Fallback(TypedDict):
    """by: null where the rule opened it. changed: whether this word changed anything."""

    open: bool
    provider: str | None
    name: str
    since: datetime | None
    by: str | None
    reason: str | None
    waiting: int
    rate: float | None
    ses_down_since: datetime | None
    providers: list[str]
    after_seconds: float
    consequences: list[str]
    changes: list[FallbackChange]
    changed: NotRequired[bool]


class Check(TypedDict):
    """detail: what is wrong, and what to do."""

    status: str
    detail: NotRequired[str]


class HealthReport(TypedDict):
    """checks: by part: database, migrations, ses, sender, events, loops and more."""

    status: str
    version: str
    checks: dict[str, Check]


class Live(TypedDict):
    status: str
    version: str


class EventTaken(TypedDict):
    """recorded: whether it was new."""

    recorded: NotRequired[bool]


class EventsTaken(TypedDict):
    recorded: int
    ignored: int


class NotionTaken(TypedDict):
    outcome: str


class SignUpAsked(TypedDict):
    status: Literal["confirmation_sent"]
