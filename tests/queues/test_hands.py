"""What is done with messages in hand, whatever queue they are of."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from app.errors import QueueAway, Unavailable
from app.ports import Burial, Waiting
from app.services.queues.hands import ASIDE_SECONDS, MARGIN_SECONDS, Hands
from app.telemetry.metrics import Metrics


class Memory:
    """A queue that notes what it is told. kept: set at each time."""

    name = "sqs"
    hold_seconds = 3600.0

    def __init__(self, *, away: bool = False) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.kept = asyncio.Event()
        self._away = away

    async def take(self, most: int) -> list[Waiting]:
        return []

    async def done(self, messages: Sequence[Waiting]) -> None:
        self.told.append(("done", *(message.id for message in messages)))

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        self.told.append(("keep", seconds, *(message.id for message in messages)))
        self.kept.set()
        if self._away:
            raise QueueAway("SQS is away.")

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        self.told.append(("back", seconds, *(message.id for message in messages)))

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        self.told.append(("bury", message.id))
        return True

    async def close(self) -> None:
        self.told.append(("close",))


def messages(*names: str) -> list[Waiting]:
    return [Waiting(b"", name, None, None) for name in names]


@pytest.mark.parametrize("away", [False, True])
async def test_nobody_else_gets_a_message_while_its_commit_takes_its_time(away: bool) -> None:
    """SQS shows a message to others after two minutes, and counts that: a claim that hangs for
    longer, ten times, would be buried although it succeeds. The queue being away meanwhile does not
    stop it."""
    queue = Memory(away=away)
    hands = Hands(queue, Metrics(), keep_seconds=0.001)

    async def slow(_: Waiting) -> None:
        await queue.kept.wait()

    await hands.settle(messages("a", "b"), slow)
    assert queue.told[0] == ("keep", MARGIN_SECONDS, "a", "b")
    assert queue.told[-1] == ("done", "a", "b")


async def test_a_stop_ends_what_is_in_hand() -> None:
    ended = []

    async def hanging(message: Waiting) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(message.id)

    queue = Memory()
    task = asyncio.create_task(Hands(queue, Metrics()).settle(messages("a", "b"), hanging))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (ended, queue.told) == (["a", "b"], [])


class OfItsOwn(Unavailable):
    concerns_one = True


async def test_a_message_that_waits_for_something_of_its_own_holds_up_no_other() -> None:
    queue = Memory()
    hands = Hands(queue, Metrics())

    async def do(message: Waiting) -> None:
        if message.id == "odd":
            raise OfItsOwn("Its certificate is nowhere.")

    await hands.settle(messages("odd", "well"), do)
    assert queue.told == [("done", "well"), ("back", ASIDE_SECONDS, "odd")]
    assert hands.trouble is None
