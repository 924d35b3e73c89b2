"""`/health` of a service whose sender is another process: what the database knows of it, and the
supervisor."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.adapters.database.migrations import check_schema
from app.errors import Unavailable
from app.ports import Database
from app.running.loops import Loops
from app.services.watching.health import Health
from app.services.watching.watchdog import Watchdog
from app.store import Store
from app.telemetry.counts import Board
from tests.support.factories import REGION, Arrange, an_account, living_sender
from tests.support.service import settings_for

SERVICE = UUID(int=7)
WELL: dict[str, str | bool | None] = {
    "trouble": None, "stops_sending": False, "breaker": "closed", "account_error": None,
}  # fmt: skip


class Checks:
    """The checks of a supervised service on this database, never kept for later."""

    def __init__(
        self, database: Database, service_id: UUID | None = SERVICE, **more: str | None
    ) -> None:
        settings = settings_for("postgresql://unused", "http://unused", **more)
        self.board = Board(("web", "work"))
        for role, row in self.board.rows.items():
            row.began(pid=len(role), restarts=0)
        store = Store(database)
        self.loops = Loops()
        self._health = Health(
            partial(check_schema, database),
            store,
            settings,
            Watchdog(store),
            service_id=service_id,
            board=self.board,
            loops=self.loops,
        )

    async def __call__(self) -> tuple[int, dict[str, Any]]:
        code, report = await self._health()
        return code, report["checks"] | {"status": report["status"]}


@pytest.fixture(autouse=True)
def _nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", -1.0)
    monkeypatch.setattr("app.services.watching.health.FAILED_SECONDS", -1.0)


@pytest.fixture
def checks(database: Database) -> Checks:
    """Over each way to the database."""
    return Checks(database)


async def test_a_sender_that_works(checks: Checks, store: Store) -> None:
    sender = await living_sender(store, account=an_account(max_send_rate=14))
    assert await store.tell_executor_state(sender, SERVICE, WELL)
    code, found = await checks()
    assert (code, found["status"]) == (200, "ok")
    assert found["loops"] == {"status": "ok"}
    assert found["sender"] == {"status": "ok"}
    assert found["ses"] == {
        "status": "ok", "breaker": "closed", "max_send_rate": 14, "sending_enabled": True,
    }  # fmt: skip
    assert found["processes"] == {"status": "ok", "restarts": {"web": 0, "work": 0}}


async def test_one_of_which_nothing_was_heard_yet(checks: Checks, store: Store) -> None:
    """Other services' senders are no comfort."""
    other = await living_sender(store)
    await store.tell_executor_state(other, uuid4(), WELL)
    assert not await store.tell_executor_state(uuid4(), SERVICE, WELL)  # before its heartbeat
    code, found = await checks()
    assert (code, found["status"]) == (503, "fail")
    assert found["sender"] == {"status": "fail", "detail": "it has not reported yet"}


async def test_a_failure_is_forgotten_soon_and_that_all_is_well_is_not(
    checks: Checks, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.services.watching.health.CACHE_SECONDS", 3600.0)
    monkeypatch.setattr("app.services.watching.health.FAILED_SECONDS", 0.0)
    assert (await checks())[0] == 503
    sender = await living_sender(store, account=an_account())
    await store.tell_executor_state(sender, SERVICE, WELL)
    assert (await checks())[0] == 200
    await store.leave(sender)
    assert (await checks())[0] == 200


async def test_one_that_is_in_trouble(checks: Checks, store: Store) -> None:
    """For a moment, and then for so long that nobody can call it sending."""
    sender = await living_sender(store)
    trouble = WELL | {"trouble": "Its disk is full"}
    await store.tell_executor_state(sender, SERVICE, trouble)
    code, found = await checks()
    assert (code, found["status"]) == (200, "degraded")
    assert found["sender"] == {"status": "warn", "detail": "Its disk is full"}
    await store.tell_executor_state(sender, SERVICE, trouble | {"stops_sending": True})
    code, found = await checks()
    assert (code, found["sender"]["detail"]) == (503, "Its disk is full")
    await store.tell_executor_state(sender, SERVICE, WELL)
    assert (await checks())[0] == 200


async def test_queues_say_which_of_them_is_away_and_why(database: Database, store: Store) -> None:
    """Of the process that takes from them; nothing is said of queues that aren't set."""
    assert "queues" not in (await Checks(database)())[1]
    checks = Checks(database, RABBITMQ_URL="amqp://localhost/")
    sender = await living_sender(store, account=an_account())
    ill = {"notion": "Notion is away", "queue rabbitmq": "RabbitMQ does not answer"}
    await store.tell_executor_state(sender, SERVICE, WELL | {"loops": ill})
    code, found = await checks()
    assert (code, found["status"]) == (200, "degraded")
    assert found["queues"] == {
        "status": "warn", "detail": "queue rabbitmq: RabbitMQ does not answer",
    }  # fmt: skip
    await store.tell_executor_state(sender, SERVICE, WELL)
    assert (await checks())[1]["queues"] == {"status": "ok"}


async def test_loops_without_which_sending_goes_on_only_degrade(
    checks: Checks, store: Store
) -> None:
    """Of the process that sends, and of this one."""

    async def fail() -> None:
        raise Unavailable("Nobody answers")

    sender = await living_sender(store)
    await store.tell_executor_state(sender, SERVICE, WELL | {"loops": {"account": "A fault"}})
    async with checks.loops as loops:
        loops.start("watchdog", fail, 60.0)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        code, found = await checks()
    assert (code, found["status"]) == (200, "degraded")
    assert found["loops"] == {
        "status": "warn",
        "detail": "account: A fault; watchdog: Nobody answers",
    }


async def test_one_that_has_fallen_silent(checks: Checks, store: Store, arrange: Arrange) -> None:
    """For longer than its lease: it may not send, and its process may hang."""
    sender = await living_sender(store, lease=60)
    await store.tell_executor_state(sender, SERVICE, WELL)
    await arrange.sql.execute("update executors set heartbeat_at = now() - interval '61 seconds'")
    code, found = await checks()
    assert code == 503
    assert found["sender"]["detail"].startswith("its heartbeat has been missing for 61 s")


async def test_the_sender_of_a_process_that_was_started_again_is_the_one_that_counts(
    checks: Checks, store: Store, arrange: Arrange
) -> None:
    dead = await living_sender(store)
    await store.tell_executor_state(dead, SERVICE, WELL | {"trouble": "O", "stops_sending": True})
    await store.tell_executor_state(await living_sender(store), SERVICE, WELL)
    assert (await checks())[0] == 200


@pytest.mark.few_variants(2)
@pytest.mark.parametrize(
    ("state", "account", "detail"),
    [
        ({"account_error": "The credentials are refused"}, {}, "The credentials are refused"),
        ({"breaker": "open"}, {}, "SES does not answer; trying again"),
        ({}, {"sending_enabled": False}, "SES does not let this account send"),
    ],
)
async def test_trouble_with_ses_alone_only_degrades(
    checks: Checks,
    store: Store,
    state: dict[str, str | bool | None],
    account: dict[str, Any],
    detail: str,
) -> None:
    """Unsubscribing and events go on."""
    sender = await living_sender(store, account=an_account(**account))
    await store.tell_executor_state(sender, SERVICE, WELL | state)
    code, found = await checks()
    assert (code, found["status"]) == (200, "degraded")
    assert found["ses"] | {"status": "fail", "detail": detail} == found["ses"]


async def test_an_account_that_was_not_asked_for_minutes(
    checks: Checks, store: Store, arrange: Arrange
) -> None:
    await store.tell_executor_state(await living_sender(store), SERVICE, WELL)
    await arrange.sql.execute(
        "update send_rates set account_checked_at = now() - interval '181 seconds' "
        "where region = %s",
        [REGION],
    )
    assert (await checks())[1]["ses"]["detail"] == "not asked for 181 s"


async def test_a_process_that_is_down(checks: Checks, store: Store) -> None:
    """Before its sender's lease is over, and wherever a sender of another service lives."""
    await store.tell_executor_state(await living_sender(store), SERVICE, WELL)
    row = checks.board.rows["work"]
    row.ended(cpu_seconds=1.0)
    code, found = await checks()
    assert code == 503
    assert found["processes"]["detail"] == "work ended and is being started again; see the log"
    row.began(pid=9, restarts=1)
    code, found = await checks()
    assert code == 200
    assert found["processes"] == {"status": "ok", "restarts": {"web": 0, "work": 1}}


async def test_a_service_that_does_not_send_judges_no_sender(
    database: Database, store: Store
) -> None:
    """What SES says of the account, it knows from those that do."""
    await store.record_account(REGION, an_account())
    code, found = await Checks(database, service_id=None)()
    assert (code, found["status"], found["ses"]["status"]) == (200, "ok", "ok")
    assert found["sender"] == {"status": "unknown", "detail": "this service does not send"}
