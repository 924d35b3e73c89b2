"""Caches answers that are costly to find, so that people who look at pages don't slow sending."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from contextlib import nullcontext
from typing import Any

MAX_KEPT = 256
COST_SHARE = 20
"""An answer is kept this many times as long as it took to find: finding it again and again costs
at most a twentieth of one connection's time, however large the tables are."""
AT_ONCE = 2
"""Searches, whatever their keys, and so connections to the database."""


class AnswerCache:
    """Those who ask for the same key at the same time share one search, and at most AT_ONCE
    searches run at a time.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._running: dict[Hashable, asyncio.Task[Any]] = {}
        self.turns = asyncio.Semaphore(AT_ONCE)

    def is_kept(self, key: Hashable) -> bool:
        until, _ = self._kept.get(key, (0.0, None))
        return time.monotonic() < until

    def get(
        self,
        key: Hashable,
        find: Callable[[], Awaitable[Any]],
        *,
        keep_seconds: float,
        in_slices: bool = False,
    ) -> asyncio.Future[Any]:
        """A future of the answer, which may be `keep_seconds` old; or COST_SHARE times as long
        as it took to find, if that is longer.

        The caller must not cancel the future, since others may wait for it too: use asyncio.shield
        or asyncio.wait. in_slices: `find` takes one of `turns` for each of its searches, so that
        others come between.
        """
        if self.is_kept(key):
            done = asyncio.get_running_loop().create_future()
            done.set_result(self._kept[key][1])
            return done
        task = self._running.get(key)
        if task is None:
            task = asyncio.create_task(self._find(key, find, keep_seconds, in_slices))
            self._running[key] = task
            task.add_done_callback(lambda ended: self._forget(key, ended))
        return task

    async def _find(
        self,
        key: Hashable,
        find: Callable[[], Awaitable[Any]],
        keep_seconds: float,
        in_slices: bool,
    ) -> Any:
        async with nullcontext() if in_slices else self.turns:
            started = time.monotonic()
            answer = await find()
        now = time.monotonic()
        self._kept[key] = (now + max(keep_seconds, COST_SHARE * (now - started)), answer)
        self._kept.move_to_end(key)
        while len(self._kept) > MAX_KEPT:
            self._kept.popitem(last=False)
        return answer

    def _forget(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._running[key]
        if not task.cancelled():
            task.exception()  # else asyncio logs it when nobody waits any more

    async def close(self) -> None:
        """Cancel all searches under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
