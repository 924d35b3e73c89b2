"""Mailouts, their schedules, recipients, trials and previews."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers.shared import Finding
from app.domain.states import MailoutStatus, RecipientStatus


class Schedule(TypedDict):
    """See the body of `POST /mailouts/{id}/schedule`."""

    at: str
    zone: str
    fallback: NotRequired[str | None]
    passed: NotRequired[str | None]


class Canary(TypedDict):
    """A part of the audience goes first, and the rest after `wait`."""

    share: float
    wait: str


class MailoutRow(TypedDict):
    """A mailout as lists have it. subject_shown: the subject as readers would see it."""

    id: UUID
    subject: str
    subject_shown: str
    status: MailoutStatus
    status_reason: str | None
    version: int
    audience: dict[str, Any] | None
    canary: Canary | None
    region: str | None
    schedule: Schedule | None
    scheduled_at: datetime | None
    tracking: bool
    template_id: UUID | None
    notion_page_id: str | None
    recipients: int | None
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    sent_at: datetime | None


class Counts(TypedDict):
    """Recipients by status."""

    queued: int
    sending: int
    sent: int
    delivered: int
    bounced: int
    complained: int
    failed: int
    unknown: int
    skipped: int
    cancelled: int


class EventsHeard(TypedDict):
    """heard_of: accepted mails of which SES told a delivery, bounce or complaint. silent: of none,
    five minutes after some were accepted."""

    accepted: int
    heard_of: int
    share: float | None
    silent: bool


class RouteCounts(TypedDict):
    accepted: int
    unknown: int


class Tested(TypedDict):
    """current: the test mail showed what is sent."""

    at: datetime
    current: bool


class Wave(TypedDict):
    """Whom it is that time for. over_quota: so many are left for the day after."""

    at: datetime
    zones: list[str]
    recipients: int
    done: int
    unknown: int
    ends_at: datetime | None
    over_quota: int


class Mailout(TypedDict):
    """findings: why a change made a draft of a ready one."""

    id: UUID
    subject: str
    preheader: str | None
    body_html: str | None
    body_markdown: str | None
    body_text: str | None
    from_name: str | None
    from_email: str | None
    reply_to: str | None
    configuration_set: str | None
    template_id: UUID | None
    notion_page_id: str | None
    tracking: bool
    audience: dict[str, Any] | None
    canary: Canary | None
    region: str | None
    schedule: Schedule | None
    scheduled_at: datetime | None
    status: MailoutStatus
    status_reason: str | None
    version: int
    queueing: bool
    recipients: int | None
    counts: Counts
    events: EventsHeard
    routes: dict[str, RouteCounts]
    unsubscribed: int
    tested: Tested | None
    waves: list[Wave]
    notes: list[str]
    warnings: list[str]
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    sent_at: datetime | None
    findings: NotRequired[list[Finding]]


class Moved(TypedDict):
    """What became of it."""

    mailout_id: UUID
    status: MailoutStatus


class Resent(Moved):
    """requeued, too_young: of the first 5,000; the `remaining` follow while they are sent."""

    requeued: int
    too_young: int
    remaining: NotRequired[int]


class Scheduled(Moved):
    """waves: when who is mailed. skipped: for how many the hour has passed."""

    schedule: Schedule
    scheduled_at: datetime
    recipients: int
    skipped: int
    waves: list[Wave]
    notes: list[str]
    warnings: list[str]


class Begun(TypedDict):
    """A test, a dry run, or a start, as far as each is known: see the answer to a start."""

    mailout_id: UUID
    status: str
    recipients: int
    test: NotRequired[bool]
    dry_run: NotRequired[bool]


class Recipient(TypedDict):
    """reason: why its status is what it is, in a sentence."""

    id: int
    subscriber_id: UUID | None
    email: str
    name: str | None
    status: RecipientStatus
    reason: str
    route: str | None
    attempts: int
    message_id: str | None
    error_code: str | None
    error_message: str | None
    bounce_type: str | None
    bounce_subtype: str | None
    sent_at: datetime | None
    event_at: datetime | None
    unsubscribed_at: datetime | None


class Trouble(TypedDict):
    email: str
    problem: str


class DryRun(TypedDict):
    """state: `running` or `done`; the rest as far as it is known."""

    state: str
    recipients: int
    started_at: datetime
    updated_at: datetime
    skipped: NotRequired[dict[str, int]]
    problems: NotRequired[list[Trouble]]
    problems_total: NotRequired[int]
    rendered: NotRequired[int]
    warnings: NotRequired[list[str]]
    quota: NotRequired[float | None]
    daily_quota: NotRequired[float | None]
    rate: NotRequired[float | None]
    seconds: NotRequired[float | None]
    days: NotRequired[int | None]
    detail: NotRequired[str]


class Reader(TypedDict):
    """who: why this one was taken."""

    email: str
    name: str | None
    who: str


_PreviewFrom = TypedDict("_PreviewFrom", {"from": str})


class MailPreview(_PreviewFrom):
    """size: bytes of the whole mail; html_size: of its HTML. reader: whose mail it is."""

    subject: str
    html: str
    text: str
    headers: dict[str, str]
    size: int
    html_size: int
    configuration_set: str | None
    tags: dict[str, str]
    problems: list[Finding]
    reader: Reader


class TemplatePreview(TypedDict):
    """size: bytes of the HTML."""

    subject: str
    html: str
    text: str
    size: int
    problems: list[str]


class Why(TypedDict):
    """got: null while the mailout has not started. found: as whom the address is known."""

    got: bool | None
    code: str
    reason: str
    found: str
    mailout: NotRequired[dict[str, Any]]
    person: NotRequired[dict[str, Any] | None]
    consent: NotRequired[dict[str, Any] | None]
    audience: NotRequired[dict[str, Any] | None]
    schedule: NotRequired[dict[str, Any] | None]
    content: NotRequired[dict[str, Any] | None]
    claim: NotRequired[list[dict[str, Any]]]
    mails: NotRequired[list[dict[str, Any]]]
    resends: NotRequired[list[dict[str, Any]]]
    events: NotRequired[list[dict[str, Any]]]
    signals: NotRequired[list[dict[str, Any]]]
    later: NotRequired[list[dict[str, Any]]]
