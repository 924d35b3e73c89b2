"""The one event loop of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")


class _Loop(uvloop.Loop):
    """Ends without waiting for its threads: one may look up a name, for half a minute, at a name
    server that doesn't answer. Nothing that matters is left to a thread at the end of a process."""

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109
        pass

    def close(self) -> None:
        pass


def run(work: Coroutine[Any, Any, T]) -> T:
    """What it gives, in an event loop of its own. The process is then to end by `leave`."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)
