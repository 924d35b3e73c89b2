"""Templates and their versions."""

from __future__ import annotations

from datetime import datetime
from typing import NotRequired
from uuid import UUID

from typing_extensions import TypedDict

from app.api.answers.shared import Finding


class TemplateRow(TypedDict):
    """mailouts: how many use it."""

    id: UUID
    name: str
    subject: str | None
    kind: str
    version: int
    layout_id: UUID | None
    mailouts: int
    created_at: datetime
    updated_at: datetime


class Template(TypedDict):
    """One version, with its text. newest: there is none after it. findings: what would keep a
    mailout from being sent with it."""

    id: UUID
    name: str
    subject: str | None
    body_html: str | None
    body_markdown: str | None
    layout_id: UUID | None
    version: int
    newest: bool
    created_at: datetime
    updated_at: datetime
    updated_by: str | None
    findings: NotRequired[list[Finding]]


class TemplateVersion(TypedDict):
    version: int
    name: str
    subject: str | None
    kind: str
    layout_id: UUID | None
    by: str | None
    created_at: datetime


class Starter(TypedDict):
    """sample: a text to look at it with."""

    key: str
    name: str
    description: str
    subject: str
    body_html: str
    sample: str
