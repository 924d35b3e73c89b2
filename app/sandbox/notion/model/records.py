"""What a workspace holds."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import uuid4

from app.sandbox.notion.model.check import Json

Shared = bool | None
"""With the connection: by itself or not; None: as its parent is."""


def new_id() -> str:
    return str(uuid4())


@dataclass(frozen=True)
class Author:
    """Who did something: a person, or the connection's bot."""

    id: str
    type: Literal["person", "bot"]
    name: str

    @property
    def partial(self) -> Json:
        return {"object": "user", "id": self.id}


@dataclass(kw_only=True)
class Thing:
    """Anything with an id. parent: the id of what it is in; None: the workspace."""

    parent: str | None
    author: Author
    id: str = field(default_factory=new_id)
    editor: Author = field(init=False)
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    edited: datetime = field(init=False)
    in_trash: bool = False

    def __post_init__(self) -> None:
        self.editor, self.edited = self.author, self.created

    def touched(self, by: Author) -> None:
        self.editor, self.edited = by, datetime.now(UTC)


@dataclass(kw_only=True)
class Page(Thing):
    """values: by the property's id, as they are answered (without id and type). Of a page that is
    no row only `title`."""

    values: dict[str, Any] = field(default_factory=dict)
    children: list[str] = field(default_factory=list)
    icon: Json | None = None
    cover: Json | None = None
    is_locked: bool = False
    shared: Shared = None


@dataclass(kw_only=True)
class Block(Thing):
    type: str
    content: Json
    children: list[str] = field(default_factory=list)


@dataclass(kw_only=True)
class Database(Thing):
    title: list[Json]
    description: list[Json] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    is_inline: bool = False
    is_locked: bool = False
    icon: Json | None = None
    cover: Json | None = None
    shared: Shared = None


@dataclass(kw_only=True)
class DataSource(Thing):
    """properties: the schema by the property's id: {"id", "name", "description", "type", TYPE}."""

    title: list[Json]
    properties: dict[str, Json] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    icon: Json | None = None


@dataclass(kw_only=True)
class Comment(Thing):
    discussion_id: str
    rich_text: list[Json]
    display_name: Json
    attachments: list[Json] = field(default_factory=list)


@dataclass(kw_only=True)
class View(Thing):
    name: str
    type: str
    data_source_id: str
    filter: Json | None = None
    sorts: list[Json] | None = None
    configuration: Json | None = None


@dataclass(kw_only=True)
class Upload(Thing):
    filename: str | None
    content_type: str | None
    status: Literal["pending", "uploaded", "expired", "failed"] = "pending"
    size: int | None = None
    attached: bool = False


@dataclass(frozen=True)
class StoredFile:
    key: str
    name: str
    content_type: str
    content: bytes


def minute(moment: datetime) -> str:
    """Times of editing are rounded down to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:00.000Z")


def moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def slug(title: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", title).strip("-")
