"""What all parts of the store share: the database, and one error for answers that can't be read."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import structlog

from app.domain.sending.guards import GuardLimits
from app.errors import DatabaseError, DetailsDropped, UnreadableAnswer
from app.ports import Database

log = structlog.get_logger(__name__)

DETAILS_DROPPED = "P0D01"
"""SQLSTATE of a refusal by functions/retention/shrink_mailouts.sql, whose words are for people."""


class Calls:
    """Base of all parts. Any method raises DatabaseUnavailable, DatabaseError and UnreadableAnswer;
    after the last the function may have done its work all the same."""

    def __init__(self, database: Database) -> None:
        self._call = database.call

    def __init_subclass__(cls) -> None:
        if Calls not in cls.__bases__:
            return  # a subclass of the store itself (a test's, say) keeps its methods as they are
        for name, method in list(vars(cls).items()):
            if inspect.iscoroutinefunction(method):
                setattr(cls, name, _readable(method))


def _readable(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `method`: it raises UnreadableAnswer when the answer has another shape than expected,
    such as a proxy's own JSON."""

    @functools.wraps(method)
    async def reading(*args: Any, **kwargs: Any) -> Any:
        try:
            return await method(*args, **kwargs)
        except DatabaseError as exc:
            if exc.sqlstate == DETAILS_DROPPED:
                raise DetailsDropped(exc.detail) from exc
            raise
        except (LookupError, TypeError, ValueError, AttributeError) as exc:
            log.exception("answer_unreadable", function=method.__name__)
            raise UnreadableAnswer(
                f"The database's answer to {method.__name__} can't be read"
            ) from exc

    return reading


def require(row: Any, *names: str) -> None:
    """Raises TypeError, KeyError when `row` lacks one of these names. For answers that the caller
    doesn't read otherwise: without this a proxy's JSON would pass for success."""
    for name in names:
        row[name]


def guard_arguments(guards: GuardLimits | None) -> dict[str, float | None]:
    return {
        "p_bounce_rate": guards.bounce_rate if guards else None,
        "p_complaint_rate": guards.complaint_rate if guards else None,
    }


def text(value: UUID | None) -> str | None:
    return None if value is None else str(value)
