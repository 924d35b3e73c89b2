"""A call without an answer is given up only when the database answers nobody."""

from __future__ import annotations

import asyncio

import pytest

from app.adapters.database import liveness
from app.adapters.database.liveness import LivenessProbe
from app.errors import DatabaseUnavailable


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "QUIET_SECONDS", 0.0)
    monkeypatch.setattr(liveness, "ASK_SECONDS", 0.05)


async def test_what_ends_during_an_unanswered_question_counts() -> None:
    """The question needs a connection of its own, which may be what is hard to get."""
    done, asked = asyncio.Event(), asyncio.Event()

    async def ask() -> None:
        asked.set()
        await asyncio.Event().wait()

    async def work() -> str:
        await done.wait()
        return "committed"

    waiting = asyncio.create_task(LivenessProbe(ask).wait_for(asyncio.create_task(work())))
    await asked.wait()
    done.set()
    assert await waiting == "committed"


async def test_who_answers_nobody_is_given_up() -> None:
    work: asyncio.Task[bool] = asyncio.create_task(asyncio.Event().wait())
    with pytest.raises(DatabaseUnavailable):
        await LivenessProbe(asyncio.Event().wait).wait_for(work)
    assert not work.done()
    work.cancel()
