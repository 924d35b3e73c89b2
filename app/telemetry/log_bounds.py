"""A bound on the lines of the log that requests cause, whoever sends them.

Of one kind of line so many are written in a window, of all refusals together some more; those that
are left out are counted, and told at the window's end. So whoever sends thousands of requests a
second neither fills the disk nor hides what else is in the log.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

log = structlog.get_logger(__name__)

WINDOW_SECONDS = 10.0
OF_A_KIND = 100
OF_REFUSALS = 500

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_TOLD = "lines_left_out"


@dataclass(frozen=True)
class LineKind:
    """What lines have in common that are counted together; None: they don't say."""

    level: str
    event: str
    code: str | None = None
    method: str | None = None
    path: str | None = None
    status: int | None = None

    @property
    def is_refusal(self) -> bool:
        return self.status is None or not 200 <= self.status < 300


class BoundedLines:
    """Processor, after the merging of context and level. A line is of a request when the request's
    id is in its context, or when it refuses a connection."""

    def __init__(self) -> None:
        self._counts: Counter[LineKind] = Counter()
        self._left_out: Counter[LineKind] = Counter()
        self._refusals = 0

    def __call__(self, _: WrappedLogger, __: str, line: EventDict) -> EventDict:
        name = line.get("event")
        if ("request_id" not in line and name != "connection_refused") or name == _TOLD:
            return line
        method = line.get("method")
        kind = LineKind(
            str(line.get("level")),
            str(name),
            line.get("code"),
            method if method is None or method in _METHODS else "other",
            line.get("path"),
            line.get("status"),
        )
        if self.leaves_out(kind):
            raise structlog.DropEvent
        self._counts[kind] += 1
        self._refusals += kind.is_refusal
        return line

    def leaves_out(self, kind: LineKind) -> bool:
        """Whether the window has no room for another; it is counted then. Who asks beforehand needs
        not make the line."""
        full = self._counts[kind] >= OF_A_KIND or (
            kind.is_refusal and self._refusals >= OF_REFUSALS
        )
        if full:
            self._left_out[kind] += 1
        return full

    async def tell(self) -> None:
        """The window's end."""
        left_out = self._left_out
        self._counts, self._left_out, self._refusals = Counter(), Counter(), 0
        for kind, lines in left_out.items():
            write = getattr(log, kind.level, log.info)
            said = {"code": kind.code, "method": kind.method, "path": kind.path}
            about = {name: value for name, value in said.items() if value is not None}
            if kind.status is not None:
                about["status"] = str(kind.status)
            write(_TOLD, lines=lines, of=kind.event, **about)


LINES = BoundedLines()
"""This process's."""
