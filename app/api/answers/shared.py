"""What several answers have."""

from __future__ import annotations

from typing import Generic, Literal, TypeVar
from uuid import UUID

from typing_extensions import TypedDict

Item = TypeVar("Item")


class ListOf(TypedDict, Generic[Item]):
    """next_cursor: pass it as `cursor` for the page after; null on the last one. next: the same, by
    its first name."""

    items: list[Item]
    next_cursor: str | None
    next: str | None


class Finding(TypedDict):
    """fail: sending would fail. warn: it would work, but something is missing or unknown."""

    level: Literal["ok", "warn", "fail"]
    what: str
    remedy: str


class Named(TypedDict):
    id: UUID
    name: str


class Classes(TypedDict):
    """People, by the best class of what they did."""

    human: int
    unknown: int
    machine: int


class Range(TypedDict):
    """Proven to possible. The rates are null where there is nobody to compare with."""

    low: int
    high: int
    low_rate: float | None
    high_rate: float | None
