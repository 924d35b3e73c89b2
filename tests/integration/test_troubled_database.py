"""The database loses answers, refuses or waits while a mailout is sent: nobody twice, nobody stuck.

test_lost_answers.py loses the answers of other functions; interleavings/ steps through
transactions."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest

from app.adapters.database.postgres import PostgresDatabase
from app.adapters.database.sqlstates import outage
from app.domain.sending.fence import Fence, LeaseLost
from app.errors import DatabaseError, DatabaseUnavailable, TemplateInvalid
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.factories import REGION, Arrange, an_account, claim, living_sender, start
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually

READERS = 30

Real = Callable[[], Awaitable[Any]]
Between = Callable[[str, Real], Coroutine[Any, Any, Any]]
Install = Callable[[Between], None]


@pytest.fixture
def stand_between(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Let a function of the test stand between the program and its database."""
    call = PostgresDatabase.call

    def install(between: Between) -> None:
        async def standing(self: PostgresDatabase, function: str, /, **arguments: Any) -> Any:
            return await between(function, lambda: call(self, function, **arguments))

        monkeypatch.setattr(PostgresDatabase, "call", standing)

    return install


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed before any call is tried again at once."""
    monkeypatch.setattr("app.services.sending.send_batch.OUR_FAULT_SECONDS", 0.1)
    monkeypatch.setattr("app.services.sending.send_batch.CONTENT_AWAY_SECONDS", 0.1)


async def over(service: Service, mailout: UUID, *statuses: str) -> dict[str, Any]:
    wanted = statuses or ("sent", "failed")
    return await eventually(lambda: service.show(mailout), until=lambda s: s["status"] in wanted)


def counts(shown: dict[str, Any]) -> dict[str, int]:
    """Those that occur."""
    return {status: n for status, n in shown["counts"].items() if n}


# Claims


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    ("late", "outage"),
    [(False, 0), (True, 0), pytest.param(True, 0.6, marks=pytest.mark.short)],
    ids=["committed", "committed later", "committed after an outage"],
)
async def test_a_claim_whose_answer_is_lost_is_given_back(
    dsn: str,
    direct_store: Store,
    sandbox: SandboxServer,
    arrange: Arrange,
    stand_between: Install,
    monkeypatch: pytest.MonkeyPatch,
    late: bool,
    outage: float,
) -> None:
    """Certainly nothing of it was sent, so everybody gets the mail, once, and soon."""
    if outage:
        monkeypatch.setattr("app.services.sending.housekeeping.LATE_COMMIT_SECONDS", outage / 2)
    asked_in_vain = asyncio.Event()
    lost: list[asyncio.Future[Any]] = []

    async def commit(real: Real) -> Any:
        if late:
            await asked_in_vain.wait()
        return await eventually(real, until=lambda answer: "attempts" in answer)

    async def between(function: str, real: Real) -> Any:
        if function == "claim_recipients" and alive and not lost:
            lost.append(asyncio.ensure_future(commit(real)))
            if not late:
                await lost[0]
            back_at.append(time.monotonic() + outage)
            raise DatabaseUnavailable("The connection broke.")
        if function == "claim_recipients" and lost and not lost[0].done():
            return {"reason": "wait", "seconds": 0.05}  # so that somebody is left for the late one
        if function == "release_batches" and time.monotonic() < back_at[0]:
            raise DatabaseUnavailable("It is still away.")
        answer = await real()
        if function == "heartbeat":
            alive.append(True)
        if function == "release_batches" and not answer:
            asked_in_vain.set()
        return answer

    alive: list[bool] = []
    back_at: list[float] = []
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await direct_store.record_account(REGION, an_account())
    stand_between(between)
    async with in_process(settings_for(dsn, sandbox.url, BATCH_SIZE="10")) as service:
        shown = await over(service, mailout)
    assert lost[0].done()
    assert counts(shown) == {"sent": READERS}
    assert len({line["to"] for line in sandbox.accepted()}) == len(sandbox.accepted()) == READERS


async def test_an_attempt_counts_from_before_its_claim(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, stand_between: Install
) -> None:
    """A process that is held up while its claim commits may be declared lost meanwhile; its
    request must not leave after that."""
    held: list[str] = []

    async def between(function: str, real: Real) -> Any:
        answer = await real()
        if function == "claim_recipients" and "attempts" in answer and not held:
            held.extend(answer["attempts"])
            await asyncio.sleep(1.2)  # more than half a lease, after which nothing may leave
        return answer

    stand_between(between)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url, LEASE_SECONDS="2")) as service:
        await service.send(mailout)
        shown = await over(service, mailout)
    assert counts(shown) == {"sent": READERS}
    accepted = sandbox.accepted()
    assert len(accepted) == READERS
    assert held[0] not in {line["tags"]["attempt"] for line in accepted}


@pytest.mark.parametrize("clock", ["clock_gettime", "time"])
def test_the_fence_believes_the_later_clock(monkeypatch: pytest.MonkeyPatch, clock: str) -> None:
    """One counts through a suspended machine, the other through a paused virtual one."""
    fence, real = Fence(10), getattr(time, clock)
    fence.check()
    monkeypatch.setattr(time, clock, lambda *which: real(*which) + 11)
    with pytest.raises(LeaseLost, match=r"claimed 11\.\d s ago"):
        fence.check()


# Results


async def test_results_that_are_refused_once_are_recorded(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, stand_between: Install
) -> None:
    refusals = 0

    async def between(function: str, real: Real) -> Any:
        nonlocal refusals
        if function == "record_batches" and not refusals:
            refusals += 1
            raise DatabaseError("deadlock detected", sqlstate="40P01")
        return await real()

    stand_between(between)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        shown = await over(service, mailout)
    assert (counts(shown), refusals) == ({"sent": READERS}, 1)


async def test_results_that_are_always_refused_become_unknown(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something in the database refuses what SES answered. Nobody stays `sending`, and nobody is
    sent again."""
    monkeypatch.setattr("app.services.sending.recording.record.RECORD_TRIES", 2)
    await arrange.sql.execute(
        "create function refuse() returns trigger language plpgsql as "
        "$$ begin raise exception 'no'; end $$"
    )
    await arrange.sql.execute(
        "create trigger refuse before update on send_logs for each row "
        "when (new.message_id is not null) execute function refuse()"
    )
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        shown = await over(service, mailout)
    assert counts(shown) == {"unknown": READERS}
    assert await arrange.one("select distinct error_code from send_logs") == "record_refused"
    assert len(sandbox.accepted()) == READERS


# Content


@pytest.mark.parametrize(
    "error",
    [
        DatabaseUnavailable("gone"),
        *(
            pytest.param(error, marks=pytest.mark.short, id=type(error).__name__)
            for error in (DatabaseError("no", sqlstate="XX000"), RuntimeError("a bug"))
        ),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_content_that_cannot_be_had_delays_and_loses_nobody(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    stand_between: Install,
    error: Exception,
) -> None:
    failures = 0

    async def between(function: str, real: Real) -> Any:
        nonlocal failures
        if function == "snapshot_content" and failures < 2:
            failures += 1
            raise error
        return await real()

    stand_between(between)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        shown = await over(service, mailout)
    assert counts(shown) == {"sent": READERS}
    assert await arrange.one("select max(attempts) from send_logs") == 1


async def test_content_that_no_longer_compiles_holds_the_mailout(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    stand_between: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It waits for a person, with the reason, though the word got lost at first."""
    lost = False

    def broken(*_: object, **__: object) -> None:
        raise TemplateInvalid("The footer is broken.", field="body_html")

    async def between(function: str, real: Real) -> Any:
        nonlocal lost
        if function == "pause_mailout" and not lost:
            lost = True
            raise DatabaseUnavailable("gone")
        return await real()

    stand_between(between)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        with monkeypatch.context() as patch:
            patch.setattr("app.services.sending.send_batch.prepare", broken)
            await service.send(mailout)
            shown = await over(service, mailout, "paused")
        assert await arrange.one("select pause_code from mailouts") == "held"
        # What was claimed beside the pause is given back.
        await eventually(
            lambda: arrange.counts(mailout), until=lambda rows: rows == {"queued": READERS}
        )
        assert await service.services.store.resume_waiting_mailouts() == []
        await service.http.post(f"/mailouts/{mailout}/resume", headers=BEARER)
        done = await over(service, mailout)
    assert lost
    assert "The footer is broken." in shown["status_reason"]
    assert counts(done) == {"sent": READERS}


async def test_one_mailouts_trouble_is_not_the_next_ones(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A claim that the database refuses each time, and another mailout behind it. Health tells of
    it for as long as it lasts, also while content is prepared, which is tried once a second."""
    await arrange.subscribers(READERS)
    bad = await arrange.mailout("sending", started_at="2020-01-01")
    await arrange.sql.execute("update mailouts set started_in = database_identity()")
    claim = Store.claim_batches
    refusals = 0

    async def refusing(self: Store, mailout_id: UUID, *args: Any, **kwargs: Any) -> Any:
        nonlocal refusals
        if mailout_id == bad:
            refusals += 1
            raise DatabaseError("no", sqlstate="XX000")
        return await claim(self, mailout_id, *args, **kwargs)

    monkeypatch.setattr(Store, "claim_batches", refusing)
    prepare = Store.snapshot_content
    tries: list[float] = []

    async def noting(self: Store, mailout_id: UUID) -> Any:
        if mailout_id == bad:  # it was never started, so it has none
            tries.append(time.monotonic())
        return await prepare(self, mailout_id)

    monkeypatch.setattr(Store, "snapshot_content", noting)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        assert counts(await over(service, mailout)) == {"sent": READERS}

        async def told() -> str:
            checks = (await service.http.get("/health")).json()["checks"]
            return str(checks["loops"].get("detail"))

        await eventually(told, until=lambda detail: f"mailout {bad}" in detail)
        seen = len(tries) + 2
        await eventually(told, until=lambda _: len(tries) > seen)
        assert f"mailout {bad}" in await told()
    assert refusals
    assert min(later - earlier for earlier, later in pairwise(tries)) > 0.9


async def test_a_test_mail_that_goes_well_says_nothing_of_the_mailouts_own_trouble(
    dsn: str, sandbox: SandboxServer, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Health goes on telling of it until a claim of the mailout itself has gone well."""
    await arrange.subscribers(READERS)
    claim = Store.claim_batches
    refused, tested, go_on = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def refusing(self: Store, *args: Any, test: bool, **kwargs: Any) -> Any:
        if test:
            tested.set()
        elif tested.is_set():
            await go_on.wait()
        else:
            refused.set()
            raise DatabaseError("no", sqlstate="XX000")
        return await claim(self, *args, test=test, **kwargs)

    monkeypatch.setattr(Store, "claim_batches", refusing)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:

        async def troubles() -> str:  # of which health is told once a second
            assert service.services.sender is not None
            return str(service.services.sender.troubles)

        await service.send(mailout)
        await refused.wait()
        assert (await service.send(mailout, test=True)).status_code == 202

        async def tests_sent() -> int:
            return len(sandbox.accepted())

        await eventually(tests_sent, until=lambda n: n == 2)  # to both of TEST_EMAILS
        assert f"mailout {mailout}" in await troubles()
        go_on.set()
        await over(service, mailout)
        await eventually(troubles, until=lambda names: f"mailout {mailout}" not in names)


# Events


async def test_an_event_parked_beside_its_record_is_applied_by_the_senders_round(
    service: Service, arrange: Arrange
) -> None:
    """Neither transaction saw the other; the bounce still counts, a second later."""
    await arrange.subscribers(1)
    mailout = await arrange.mailout()
    await service.send(mailout)
    await over(service, mailout)
    message_id = await arrange.one("select message_id from send_logs")
    await arrange.sql.execute("update send_logs set message_id = null")
    bounce = {
        "sns_message_id": "one", "type": "bounce", "message_id": message_id,
        "occurred_at": "2026-11-24T12:00:00+00:00", "bounce_type": "Permanent",
        "suppresses": "bounced", "payload": {},
    }  # fmt: skip
    assert (await service.services.store.apply_ses_events([bounce]))["matched"] == 0
    await arrange.sql.execute("update send_logs set message_id = %s", [message_id])
    shown = await eventually(lambda: service.show(mailout), until=lambda s: s["counts"]["bounced"])
    assert counts(shown) == {"bounced": 1}
    assert await arrange.one("select status from subscribers") == "bounced"
    assert await arrange.one("select count(*) from ses_events where parked is not null") == 0


# What others are told


async def test_health_names_the_sender_when_only_its_part_of_the_database_fails(
    dsn: str,
    sandbox: SandboxServer,
    arrange: Arrange,
    stand_between: Install,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A full disk, or a lock on a table that only we use: others are served, so it is no 503 until
    it has lasted."""
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", 0.1)
    monkeypatch.setattr("app.running.loops.RETRY_CAP_SECONDS", 0.5)
    full = True

    async def between(function: str, real: Real) -> Any:
        if function == "claim_recipients" and full:
            raise DatabaseUnavailable(outage("53100"))
        return await real()

    stand_between(between)
    await arrange.subscribers(READERS)
    mailout = await arrange.mailout()
    async with in_process(settings_for(dsn, sandbox.url)) as service:
        await service.send(mailout)
        ill = await eventually(
            service.health, until=lambda h: "disk" in h["checks"]["sender"].get("detail", "")
        )
        assert (ill["code"], ill["status"]) == (200, "degraded")
        assert ill["checks"]["database"]["status"] == "ok"
        monkeypatch.setattr("app.services.sending.sender_report.LASTING_SECONDS", 0.5)
        ill = await eventually(service.health, until=lambda h: h["code"] == 503)
        assert "its disk is full" in ill["checks"]["sender"]["detail"]
        full = False
        assert counts(await over(service, mailout)) == {"sent": READERS}
        well = await eventually(service.health, until=lambda h: h["code"] == 200)
        assert well["checks"]["sender"] == {"status": "ok"}


async def test_an_unsubscribe_and_an_event_do_not_wait_for_ever_for_a_row_that_somebody_holds(
    dsn: str, direct_store: Store, arrange: Arrange
) -> None:
    """They would keep all connections, and so hold up everybody."""
    for function in ("leave_list", "apply_ses_events"):
        patience = "lock_timeout=3s"
        assert patience in await arrange.one(
            "select proconfig from pg_proc where proname = %s", function
        )
        await arrange.sql.execute(f"alter function {function} set lock_timeout = '100ms'".encode())
    reader = await arrange.subscriber()
    mailout = await arrange.mailout()
    await start(direct_store, mailout)
    await direct_store.queue_recipients(mailout, 10)
    batch = await claim(direct_store, mailout, await living_sender(direct_store))
    event = {
        "sns_message_id": "one", "type": "delivery", "message_id": "m-1",
        "occurred_at": "2026-11-24T12:00:00+00:00", "mailout_id": str(mailout),
        "send_log_id": batch.recipients[0].send_log_id, "attempt": str(batch.attempt_id),
        "payload": {},
    }  # fmt: skip
    async with await psycopg.AsyncConnection.connect(dsn) as holder:
        await holder.execute("select from subscribers for update")
        await holder.execute("select from send_logs for update")
        told = await asyncio.gather(
            direct_store.unsubscribe(reader, mailout),
            direct_store.apply_ses_events([event]),
            return_exceptions=True,
        )
        for error in told:
            assert isinstance(error, DatabaseUnavailable)
            assert "holds a lock" in error.detail
    found = await direct_store.unsubscribe(reader, mailout)
    assert found is not None
    assert found["status"] == "unsubscribed"
    assert (await direct_store.apply_ses_events([event]))["matched"] == 1
