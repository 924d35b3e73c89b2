"""Lists in pages: each page names where the next one begins, so rows that are added meanwhile move
nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar
from uuid import UUID

import orjson
from pydantic import AfterValidator, AwareDatetime, BaseModel, TypeAdapter, computed_field

from app.errors import InvalidRequest

_Cursor = TypeVar("_Cursor")


class Page(BaseModel):
    """next_cursor: pass it as `cursor` for the page after; null on the last one."""

    items: list[dict[str, Any]]
    next_cursor: str | None

    @computed_field(description="The same as next_cursor, by its first name.")  # type: ignore[prop-decorator]
    @property
    def next(self) -> str | None:
        return self.next_cursor


def page(rows: Sequence[dict[str, Any]], limit: int, *keys: str) -> Page:
    """rows: one more than `limit` when there are more. keys: the columns that order the list."""
    items = list(rows[:limit])
    more = len(rows) > limit
    return Page(
        items=items,
        next_cursor=encode_cursor(*(items[-1][key] for key in keys)) if more else None,
    )


def encode_cursor(*parts: str | int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def decode_cursor(cursor: str | None, parts: TypeAdapter[_Cursor]) -> _Cursor | None:
    """Raises InvalidRequest for anything that encode_cursor didn't make of such parts."""
    if cursor is None:
        return None
    try:
        return parts.validate_json(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("cursor: use the `next_cursor` of the page before.") from exc


def in_utc(time: datetime) -> datetime:
    """For pydantic: raises ValueError for what is no time there."""
    try:
        return time.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("is not within years 1 to 9999") from exc


def moment(time: datetime | None) -> datetime | None:
    """For pydantic: a day or a moment of a filter, in UTC unless it says otherwise."""
    return time and in_utc(time if time.tzinfo else time.replace(tzinfo=UTC))


_BEFORE = TypeAdapter(tuple[Annotated[AwareDatetime, AfterValidator(in_utc)], UUID])


def created_before(cursor: str | None) -> tuple[str, str] | None:
    """When the last row of the page before was created, and its id. Raises InvalidRequest."""
    before = decode_cursor(cursor, _BEFORE)
    return None if before is None else (before[0].isoformat(), str(before[1]))
