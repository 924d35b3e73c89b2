"""Where a claim is begun while one is under way, both keep what one alone keeps."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from app.running.stopping import Stopping
from app.sandbox.server import SandboxServer
from app.services.sending import dispatch
from app.store import Store
from tests.support.factories import Arrange, start
from tests.support.service import Service, in_process, settings_for
from tests.support.waiting import eventually


async def a_started_one(arrange: Arrange, store: Store, readers: int) -> UUID:
    await arrange.subscribers(readers)
    mailout = await arrange.mailout()
    await start(store, mailout)
    return mailout


class Claims:
    """How many are under way; they are held up at the database while `held`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held = asyncio.Event()
        self.under_way: dict[asyncio.Task[Any] | None, asyncio.Event] = {}
        self.answered = 0
        claim = Store.claim_batches

        async def watched(store: Store, *arguments: Any, **more: Any) -> Any:
            task, go_on = asyncio.current_task(), asyncio.Event()
            self.under_way[task] = go_on
            try:
                answer = await claim(store, *arguments, **more)
                if self.held.is_set():
                    await go_on.wait()
                self.answered += 1
                return answer
            finally:
                del self.under_way[task]

        monkeypatch.setattr(Store, "claim_batches", watched)

    async def two_are_held(self) -> list[asyncio.Event]:
        """Once SES has answered something, since before that there is one at a time."""
        await eventually(self.how_many, until=lambda _: self.answered >= 5)
        self.held.set()
        while True:
            await asyncio.sleep(0.3)  # the database has answered both
            if len(self.under_way) == 2:
                return list(self.under_way.values())
            # New work is looked for every POLL_SECONDS, with no claim under way: this one is
            # waited for, and no other begun beside it.
            for one in self.under_way.values():
                one.set()

    async def how_many(self) -> int:
        return len(self.under_way)


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> Claims:
    return Claims(monkeypatch)


async def test_of_two_claims_one_may_have_all_places(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, direct_store: Store
) -> None:
    """As those of SendEmail are four: then there is nothing in flight to wait for."""
    first = await a_started_one(arrange, direct_store, 60)
    with capture_logs() as logs:
        async with in_process(settings_for(dsn, sandbox.url, SES_SEND_MODE="single")) as service:
            await sent(service, first)
            second = await arrange.mailout()  # while nothing is in flight
            await start(direct_store, second)
            await sent(service, second)
    assert [line for line in logs if line["event"] == "sender_step_failed"] == []
    assert len(sandbox.accepted()) == 120


async def sent(service: Service, mailout: UUID) -> None:
    await eventually(lambda: service.show(mailout), until=lambda shown: shown["status"] == "sent")


async def test_a_stop_gives_back_who_is_claimed_when_it_comes_to_its_deadline(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    claims: Claims,
) -> None:
    """Also when of two claims one was answered after the stop was asked for, and one isn't."""
    monkeypatch.setattr("app.services.sending.sender.Stopping", partial(Stopping, 1.0))
    monkeypatch.setattr("app.services.sending.housekeeping.LEAVE_SECONDS", 10.0)
    mailout = await a_started_one(arrange, direct_store, 1000)
    async with in_process(settings_for(dsn, sandbox.url, BATCH_SIZE="1")) as service:
        sender = service.services.sender
        assert sender is not None
        first, _ = await claims.two_are_held()
        sender.stop()
        first.set()
    counts = await arrange.counts(mailout)
    assert counts.get("sending", 0) == 0
    assert counts["queued"] > 0
    assert counts["queued"] + len(sandbox.accepted()) == 1000


async def test_the_probe_after_an_outage_goes_alone(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    direct_store: Store,
    monkeypatch: pytest.MonkeyPatch,
    claims: Claims,
) -> None:
    """Also when two were to be claimed for when SES fell silent."""
    mailout = await a_started_one(arrange, direct_store, 1000)
    probes: list[int] = []
    claim = dispatch.Dispatcher._claim

    async def watched(self: dispatch.Dispatcher, *arguments: Any, **more: Any) -> Any:
        if self._breaker.probing:
            probes.append(len(claims.under_way))
            await asyncio.sleep(0.1)
        return await claim(self, *arguments, **more)

    async with in_process(settings_for(dsn, sandbox.url, BATCH_SIZE="1")) as service:
        sender = service.services.sender
        assert sender is not None
        send = sender.home.send
        held = await claims.two_are_held()
        # SES throttles, so both wait, and then it says nothing more.
        send.lanes._open_at["bulk"] = time.monotonic() + 60
        claims.held.clear()
        for one in held:
            one.set()
        dispatcher = sender.home.dispatcher

        async def waiting() -> bool:
            both = len(dispatcher._claiming) == 2 and not dispatcher._in_flight
            return both and not claims.under_way

        await eventually(waiting, until=bool)
        monkeypatch.setattr(dispatch.Dispatcher, "_claim", watched)
        send.breaker.open_until = time.monotonic() + 0.3
        send.lanes._open_at["bulk"] = 0.0
        await sent(service, mailout)
    assert probes == [0]
