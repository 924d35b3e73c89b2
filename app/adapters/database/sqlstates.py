"""What a refused call's SQLSTATE means to us: the same on every way to the database.

Source: PostgreSQL's appendix "Error Codes"; PostgREST's page "Errors" for the PGRST codes.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from app.domain.sending.backoff import backoff_seconds
from app.errors import DatabaseError

Answer = TypeVar("Answer")

# Connection lost (08), a standby that only reads (25006), out of resources (53), a lock not had in
# time (55P03), cancelled or shutting down (57), the disk (58); PostgREST without a database
# (PGRST000-002) or a free connection (PGRST003).
_OUTAGES = (
    "08", "25006", "53", "55P03", "57", "58", "PGRST000", "PGRST001", "PGRST002", "PGRST003",
)  # fmt: skip

# Serialization failure and deadlock: rolled back for certain, and likely to pass next time.
_CONFLICTS = ("40001", "40P01")

UNWRITABLE = "22021"
"""PostgreSQL's "character not in repertoire". Also given to arguments that this program can't even
encode, such as half of a surrogate pair: they fail as the database would let them."""

# What an operator wants to read; other codes stand for themselves.
_WORDS = {
    "53100": "its disk is full",
    "53200": "it is out of memory",
    "53300": "it is out of connections",
    "55P03": "another session holds a lock for too long",
    "57014": "a statement took too long",
}

_MAX_ATTEMPTS = 5
_MAX_PAUSE_SECONDS = 0.8


def is_outage(sqlstate: str | None) -> bool:
    """Whether the database can't take work now, so that the caller should come back."""
    return sqlstate is not None and sqlstate.startswith(_OUTAGES)


def outage(code: str) -> str:
    """Why the database can't take work: for logs, `/health` and refusals."""
    why = ", ".join(filter(None, (_WORDS.get(code), f"code {code}")))
    return f"The database can't take work now ({why})"


async def retrying_conflicts(call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Repeat `call` when it lost against another transaction: five attempts within about 1.5 s.

    Raises what `call` raises: DatabaseError for a conflict at the last attempt.
    """
    for attempt in range(1, _MAX_ATTEMPTS):
        try:
            return await call()
        except DatabaseError as error:
            if error.sqlstate not in _CONFLICTS:
                raise
        chance = random.random()  # noqa: S311  jitter, no secret
        await asyncio.sleep(backoff_seconds(attempt, chance, base=0.1, cap=_MAX_PAUSE_SECONDS))
    return await call()
