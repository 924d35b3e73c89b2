"""Subscribers, imports, segments, jobs, keys and the audit log."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers.shared import Named
from app.domain.access import Scope
from app.domain.jobs import JobState
from app.domain.states import MailoutStatus, SubscriberStatus


class Subscriber(TypedDict):
    """address: as mail is sent to it. consent: as it was told or recorded."""

    id: UUID
    email: str
    address: str | None
    name: str | None
    status: SubscriberStatus
    status_updated_at: datetime
    bounce_type: str | None
    bounce_subtype: str | None
    tags: list[str]
    fields: dict[str, Any]
    timezone: str | None
    consent: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


class HistoryEntry(TypedDict):
    at: datetime
    kind: str
    detail: dict[str, Any]
    by: str | None


class History(TypedDict):
    items: list[HistoryEntry]


class PersonalData(TypedDict):
    """All that is known of a person."""

    about: str
    exported_at: datetime
    consent: str | dict[str, Any]
    subscriber: dict[str, Any]
    mails: list[dict[str, Any]]
    history: list[dict[str, Any]]
    engagement: list[dict[str, Any]]
    merged: list[dict[str, Any]]


class Count(TypedDict):
    count: int


class ManyChanged(TypedDict):
    """asked, force: how many weren't changed for want of it."""

    changed: int
    asked: int
    force: int


class ManyBegun(TypedDict):
    """A job changes them."""

    job_id: UUID
    expected: int


class Reached(TypedDict):
    """excluded: by status, `no_address` and `rule`. sample: five, masked. between: of an estimate
    at least and at most so many, where that is known."""

    count: int
    between: list[int] | None
    sample: list[str]
    excluded: dict[str, int]
    estimated: bool
    notes: list[str]


class UsingMailout(Named):
    status: MailoutStatus


class UsedBy(TypedDict):
    segments: list[Named]
    mailouts: list[UsingMailout]


class Segment(TypedDict):
    """notes: what its rule asks in vain."""

    id: UUID
    name: str
    audience: dict[str, Any]
    used: int
    used_by: UsedBy
    created_at: datetime
    created_by: str | None
    updated_at: datetime
    updated_by: str | None
    notes: NotRequired[list[str]]


class Import(TypedDict):
    """Each row of the file is counted once: added, updated, unchanged, repeated, lowered or
    refused. question: what a person has to say first."""

    id: UUID
    by: str
    state: str
    mode: str
    dry_run: bool
    tags: list[str]
    map: dict[str, str]
    file_name: str | None
    has_file: bool
    size: int
    preset: str | None
    encoding: str | None
    delimiter: str | None
    columns: list[dict[str, Any]]
    warnings: list[str]
    rows: int
    added: int
    updated: int
    unchanged: int
    repeated: int
    lowered: int
    refused: int
    progress: dict[str, Any] | None
    question: list[dict[str, Any]] | None
    preview: NotRequired[list[dict[str, Any]]]
    undo: dict[str, Any] | None
    error: str | None
    job_id: UUID | None
    created_at: datetime
    finished_at: datetime | None
    undone_at: datetime | None


class Job(TypedDict):
    """error: of its latest try that failed."""

    id: UUID
    kind: str
    key: str | None
    state: JobState
    progress: dict[str, Any] | None
    result: dict[str, Any] | None
    error: str | None
    failures: int
    max_failures: int
    due_at: datetime
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Key(TypedDict):
    """hint: the key's beginning and end. last_used_at: to the minute."""

    id: UUID
    name: str
    scopes: list[Scope]
    hint: str
    created_at: datetime
    created_by: str
    last_used_at: datetime | None


class AuditEntry(TypedDict):
    id: int
    at: datetime
    by: str
    action: str
    target: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
