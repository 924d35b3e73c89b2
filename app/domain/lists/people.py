"""What a row of a list's file becomes: somebody to import, or a refusal with its reason. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.domain.states import SubscriberStatus


@dataclass(slots=True)
class Person:
    """A row that can be imported.

    line: where it begins in the file, from 1. email: as typed, ready for the wire; `email.lower()`
    is the canonical address. created_at: ISO 8601 with offset; None: the file doesn't say.
    status: `active` where the file says nothing. bounce_type: `Permanent` or `Transient`, of the
    bounced. consent: only in our own exports.
    """

    line: int
    email: str
    name: str | None = None
    status: SubscriberStatus = "active"
    bounce_type: str | None = None
    tags: list[str] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)
    timezone: str | None = None
    created_at: str | None = None
    consent: dict[str, Any] | None = None


Row = dict[str, Any]
"""A person as `Store.import_chunk` takes it, without what is empty."""


def row_of(person: Person) -> Row:
    row: Row = {"line": person.line, "email": person.email, "status": person.status}
    for name in ("name", "bounce_type", "tags", "fields", "timezone", "created_at", "consent"):
        if value := getattr(person, name):
            row[name] = value
    return row


@dataclass(slots=True)
class Refused:
    """A row that can't. reason: in plain words, without the address. cells: as in the file, as far
    as they can be told apart and are no longer than a cell may be (empty: not kept)."""

    line: int
    reason: str
    cells: list[str]


@dataclass(frozen=True, slots=True)
class Question:
    """What a person has to say before the file can be imported.

    column: its title. text: the question in plain words. samples: up to five of its values, never
    addresses. answers: what may be said.
    """

    column: str
    text: str
    samples: tuple[str, ...]
    answers: tuple[Answer, ...]

    def in_full(self, separator: str = "=") -> str:
        """With what may be said to `--map` (or, with `:` between, to the parameter `map`)."""
        said = " or ".join(
            f"{each.column}{separator}{each.meaning} ({each.words})" for each in self.answers
        )
        return f"{self.text} Say {said}."


@dataclass(frozen=True, slots=True)
class Answer:
    """column, meaning: for `mapped`. words: what it does, for a page."""

    column: str
    meaning: str
    words: str
