"""SES refuses, throttles, says strange things or isn't there: calls stay few, and people are
failed only for what is theirs."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from app.adapters.aws.ses import SesSender
from app.domain.content.render import Compiled
from app.domain.sending.batches import Account, Batch
from app.errors import DatabaseError, Unavailable
from app.running.stopping import Stopping
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.services.sending.deliver import Deliver, Delivery
from app.services.sending.dispatch import CAREFUL_BATCH, CLAIMED_AT_ONCE
from app.services.sending.prepare import Prepared
from app.services.sending.sender import Sender
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account, start
from tests.support.ports import free_port
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually

READERS = 30


async def over(service: Service, mailout: UUID, *statuses: str) -> dict[str, Any]:
    wanted = statuses or ("sent", "failed")
    return await eventually(lambda: service.show(mailout), until=lambda s: s["status"] in wanted)


def counts(shown: dict[str, Any]) -> dict[str, int]:
    """Those that occur."""
    return {status: n for status, n in shown["counts"].items() if n}


@contextmanager
def answering(*answers: bytes) -> Iterator[str]:
    """An SES that gives these bodies, one a connection; its address."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for body in answers:
                connection, _ = server.accept()
                with connection:
                    connection.recv(65536)
                    head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json"
                    connection.sendall(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode())
                    connection.sendall(body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(5)


# The account


async def test_an_account_that_makes_no_sense_is_no_account(dsn: str) -> None:
    """Cut, empty, a list, a web page, members missing or of another type."""
    answers = (
        b'{"SendQuota":{"Max2', b"{}", b"[]", b"<html>hi</html>", b'{"SendQuota":null}',
        b'{"SendQuota":{"MaxSendRate":14}}',
        b'{"SendQuota":{"MaxSendRate":"fast","Max24HourSend":1}}',
    )  # fmt: skip
    with answering(*answers) as url:
        settings = settings_for(dsn, url)
        ses = await asyncio.to_thread(SesSender, settings, settings.home, max_connections=1)
        for _ in answers:
            with pytest.raises(Unavailable):
                await asyncio.to_thread(ses.get_account)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("error", [Unavailable("no sense"), RuntimeError("a bug")], ids=str)
async def test_an_account_that_cannot_be_read_leaves_what_is_known(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    """The service goes on, with the rate and quota it had, and asks again."""
    asked = 0

    def get_account(self: SesSender) -> Account:
        nonlocal asked
        asked += 1
        raise error

    monkeypatch.setattr(SesSender, "get_account", get_account)
    monkeypatch.setattr("app.services.sending.account.RETRY_SECONDS", 0.2)
    await direct_store.record_account(REGION, an_account(max_send_rate=500))
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        assert counts(await over(service, mailout)) == {"sent": READERS}

        async def times() -> int:
            return asked

        await eventually(times, until=lambda n: n > 2)
        assert (await service.http.get("/health/live")).status_code == 200
    assert await arrange.one("select rate from send_rates") == 500


async def test_sending_goes_on_as_soon_as_ses_answers_about_the_account(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long outage makes the breaker wait for minutes; this question costs nobody anything."""
    get_account = SesSender.get_account
    away, asked = False, 0

    def asking(self: SesSender) -> Account:
        nonlocal asked
        if away:
            asked += 1
            raise Unavailable("SES does not answer")
        return get_account(self)

    monkeypatch.setattr(SesSender, "get_account", asking)
    monkeypatch.setattr("app.services.sending.account.RETRY_SECONDS", 0.02)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        sender = service.services.sender
        assert sender is not None
        away = True
        sender.home.breaker.base_seconds = 300.0
        for _ in range(sender.home.breaker.threshold):
            sender.home.breaker.failed(time.monotonic())
        await service.send(mailout)

        async def times() -> int:
            return asked

        await eventually(times, until=lambda n: n > 2)
        assert sandbox.stats()["accepted"] == 0
        away = False
        assert counts(await over(service, mailout)) == {"sent": READERS}


async def test_an_account_that_cannot_be_recorded_does_not_end_the_service(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = 0
    record = Store.record_account

    async def refusing(self: Store, region: str, account: Account) -> float | None:
        nonlocal refusals
        if refusals < 2:
            refusals += 1
            raise DatabaseError("no", sqlstate="XX000")
        return await record(self, region, account)

    monkeypatch.setattr(Store, "record_account", refusing)
    monkeypatch.setattr("app.services.sending.account.RETRY_SECONDS", 0.02)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        assert counts(await over(service, mailout)) == {"sent": READERS}


async def test_a_person_may_pause_what_waits_for_the_quota(
    quiet: Service, arrange: Arrange
) -> None:
    """And then it does not go on by itself."""
    mailout = await arrange.mailout("paused", pause_code="quota", status_reason="Quota.")
    answer = await quiet.http.post(f"/mailouts/{mailout}/pause", headers=BEARER)
    assert (answer.status_code, answer.json()["status"]) == (200, "paused")
    assert await quiet.services.store.resume_waiting_mailouts() == []
    assert (await quiet.show(mailout))["status_reason"] == "Paused by a person."
    again = await quiet.http.post(f"/mailouts/{mailout}/pause", headers=BEARER)
    assert again.status_code == 409


# Refusals


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("mode", ["bulk", "single"])
async def test_an_unverified_sender_pauses_the_mailout_and_fails_nobody(
    dsn: str, arrange: Arrange, mode: str
) -> None:
    await arrange.subscribers(120)
    mailout = await arrange.mailout(from_email="me@not-verified.example")
    config = SandboxConfig(max_send_rate=1e5, max_24h_send=-1, verified=frozenset({"example.com"}))
    with SandboxServer(config) as strict:
        async with in_process(settings_for(dsn, strict.url, SES_SEND_MODE=mode)) as service:
            await service.send(mailout)
            shown = await over(service, mailout, "paused")
            settled = await eventually(
                lambda: arrange.counts(mailout), until=lambda c: "sending" not in c
            )
        requests = strict.stats()["requests"]
    assert "not verified" in shown["status_reason"]
    assert "me@not-verified.example" in shown["status_reason"]
    assert settled == {"queued": 120}
    calls = requests.get("SendBulkEmail", 0) + requests.get("SendEmail", 0)
    assert calls <= (16 if mode == "bulk" else 120)


async def test_a_test_mail_that_the_account_may_not_send_fails_and_is_not_repeated(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft")
    sandbox.faults(account_suspended=True)
    await service.send(mailout, test=True)
    await eventually(
        lambda: arrange.one("select count(*) from send_logs where status = 'failed'"),
        until=lambda n: n == 2,
    )
    assert sandbox.stats()["requests"]["SendBulkEmail"] == 1
    assert await arrange.one("select min(error_code) from send_logs") == "AccountSuspendedException"


async def test_a_fault_while_one_mail_is_made_fails_that_recipient_alone(
    service: Service, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Compiled.values

    def values(self: Compiled, variables: dict[str, Any], *more: Any) -> dict[str, str]:
        if variables["name"] == "Reader 3":
            raise OverflowError("int too large to convert to float")
        return real(self, variables, *more)

    monkeypatch.setattr(Compiled, "values", values)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await service.send(mailout)
    assert counts(await over(service, mailout)) == {"sent": READERS - 1, "failed": 1}
    assert len(sandbox.accepted()) == READERS - 1
    failed = await arrange.one("select email from send_logs where status = 'failed'")
    assert failed == "reader3@example.com"


# Throttling and silence


async def test_a_few_throttled_recipients_do_not_slow_everybody(
    service: Service, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[int, bool]] = []  # recipients of a call, and whether it slows the lane
    deliver = Deliver.__call__

    def noted(self: Deliver, prepared: Prepared, batch: Batch, *more: Any) -> Delivery:
        delivery = deliver(self, prepared, batch, *more)
        calls.append((len(batch.recipients), "throttled" in delivery.halts))
        return delivery

    monkeypatch.setattr(Deliver, "__call__", noted)
    sandbox.faults(entry_failure={"probability": 0.05, "statuses": ["ACCOUNT_THROTTLED"]}, seed=7)
    await arrange.subscribers(600)
    mailout = await arrange.mailout()
    await service.send(mailout)
    assert counts(await over(service, mailout)) == {"sent": 600}
    # Of the few who are tried again, one may be half of a call.
    assert not [size for size, slowed in calls if slowed and size > 10]
    assert sum(size for size, _ in calls) > 600, "nobody was throttled"
    assert await arrange.one("select max(attempts) from send_logs") == 1  # it counts for nobody


async def test_how_much_is_claimed_depends_on_how_the_last_call_ended(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One batch until SES has answered, ten recipients after a call without an answer, one as the
    probe of an open breaker, and several batches once all is well. So an outage costs few."""
    claims: list[tuple[int, int]] = []  # recipients of a batch, batches
    real = Store.claim_batches

    async def noted(self: Store, *args: Any, **kwargs: Any) -> Any:
        claims.append((kwargs["limit"], len(kwargs["attempts"])))
        return await real(self, *args, **kwargs)

    monkeypatch.setattr(Store, "claim_batches", noted)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await arrange.sql.execute("update send_logs set next_attempt_at = now() + interval '1 day'")
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        sender = service.services.sender
        assert sender is not None
        breaker = sender.home.breaker

        async def next_claim() -> tuple[int, int]:
            claims.clear()

            async def seen() -> list[tuple[int, int]]:
                return claims

            return (await eventually(seen, until=bool))[0]

        assert await next_claim() == (50, 1)
        breaker.succeeded()
        assert await next_claim() == (50, CLAIMED_AT_ONCE)
        breaker.failed(time.monotonic())
        assert await next_claim() == (CAREFUL_BATCH, 1)
        while not breaker.probing:
            breaker.failed(time.monotonic())
        breaker.open_until = time.monotonic()
        assert await next_claim() == (1, 1)
        breaker.succeeded()
        assert await next_claim() == (50, CLAIMED_AT_ONCE)


async def test_while_ses_is_away_nobody_is_failed_and_nothing_runs_hot(
    dsn: str,
    direct_store: Store,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An hour without a connection, made short: each try is one small batch, and counts for
    nobody. While the breaker is open the sender hardly asks the database."""
    looks: list[float] = []
    work = Store.sender_work

    async def noted(self: Store) -> Any:
        looks.append(time.monotonic())
        return await work(self)

    monkeypatch.setattr("app.services.sending.dispatch.POLL_SECONDS", 1.0)
    monkeypatch.setattr(Store, "sender_work", noted)
    monkeypatch.setattr("app.services.sending.deliver.backoff_seconds", lambda *_, **__: 0.0)
    nobody = f"http://127.0.0.1:{free_port()}"
    await direct_store.record_account(REGION, an_account())
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, nobody)) as service:
        sender = service.services.sender
        assert sender is not None
        sender.home.breaker.base_seconds = sender.home.breaker.cap_seconds = 0.01
        await service.send(mailout)

        async def openings() -> int:
            assert sender is not None
            return sender.home.breaker.failures

        await eventually(openings, until=lambda n: n > 20)
        assert (await arrange.counts(mailout)).keys() <= {"queued", "sending"}
        assert await arrange.one("select max(attempts) from send_logs") <= 1
        assert await arrange.one("select count(*) from send_logs where status = 'failed'") == 0

        sender.home.breaker.open_until = time.monotonic() + 60
        await eventually(
            lambda: service.show(mailout), until=lambda s: s["counts"]["queued"] == READERS
        )
        looks.clear()
        service.services.wake()
        await asyncio.sleep(1.5)  # what is asked for meanwhile is counted
        assert len(looks) <= 10

        # A step of a loop that takes five minutes is told as a fault, and SES may be silent longer.
        began: set[float | None] = set()
        loop = sender._loops._loops["dispatch"]

        async def steps() -> int:
            began.add(loop.began)
            return len(began)

        await eventually(steps, until=lambda n: n >= 3, seconds=10)


async def test_the_rate_is_used_to_the_full_while_there_is_work(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looking for new work now and then costs no time of sending: the dispatcher never waits for
    news while somebody is queued."""
    monkeypatch.setattr("app.services.sending.dispatch.POLL_SECONDS", 0.05)
    await arrange.subscribers(1_600)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await direct_store.record_account(REGION, an_account())
    looks = 0
    waiting: list[int] = []  # how many were queued while it waited
    work, sleep = Store.sender_work, Stopping.sleep

    async def looking(self: Store) -> Any:
        nonlocal looks
        looks += 1
        return await work(self)

    async def sleeping(self: Stopping, seconds: float, until: asyncio.Event | None = None) -> None:
        if sender and until is sender[0].home.wake and not until.is_set():
            rows = await arrange.counts(mailout)
            if rows.get("sent"):
                waiting.append(rows.get("queued", 0))
        await sleep(self, seconds, until)

    sender: list[Sender] = []
    monkeypatch.setattr(Store, "sender_work", looking)
    monkeypatch.setattr(Stopping, "sleep", sleeping)
    async with in_process(settings_for(dsn, sandbox.url, RATE_LIMIT_PER_SEC="2000")) as service:
        assert service.services.sender is not None
        sender.append(service.services.sender)
        await over(service, mailout)
    assert looks > 5
    assert not any(waiting)
