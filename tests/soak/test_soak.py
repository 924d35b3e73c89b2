"""The runs: short in the suite, long with `make soak` (`pytest tests/soak -m soak -s`)."""

from __future__ import annotations

import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from app.adapters.database.postgres import PostgresDatabase
from app.store import Store
from tests.soak.events import compare
from tests.soak.harness import run
from tests.soak.judge import Verdict
from tests.soak.plan import Plan
from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange

Side = tuple[Store, Arrange]


async def told(plan: Plan, folder: Path) -> None:
    tell(f"{plan.name}: seed {plan.seed}")
    hold_to(await run(plan, folder))


def tell(text: str) -> None:
    """Seen with `-s`, and with every failure."""
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()


def hold_to(verdict: Verdict) -> None:
    tell(verdict.table())
    assert verdict.wrong == [], verdict.table()


@pytest.fixture
def seed(outer_environment: dict[str, str]) -> int:
    """SOAK_SEED to repeat a run, else a new one."""
    given = outer_environment.get("SOAK_SEED")
    return int(given) if given else random.SystemRandom().randrange(10**6)


@pytest.mark.short
async def test_kills_short(tmp_path: Path, seed: int) -> None:
    """kill -9 at random moments: nobody twice, nobody lost. With far more faults than the long
    run, so that a broken rule shows in so few calls (controls.py)."""
    plan = Plan(
        name="kills, short",
        seed=seed,
        recipients=600,
        kills=6,
        executors=3,
        rate=120,
        lease=2,
        latency=(0.1, 0.4),
        unsubscribes=20,
        dropped=0.1,
        cut=0.04,
        short=0.04,
        server_errors=0.08,
        patience=40,
    )
    await told(plan, tmp_path)


@pytest.mark.short
async def test_everything_at_once_short(tmp_path: Path, seed: int) -> None:
    """Killed, stopped beyond the lease, and PostgreSQL crashing, while events come in."""
    plan = Plan(
        name="everything at once, short",
        seed=seed,
        recipients=600,
        kills=3,
        stops=3,
        stop_leases=(1.2, 1.5),
        restarts=(1.5, 3.0),
        executors=3,
        rate=100,
        lease=2,
        latency=(0.1, 0.4),
        unsubscribes=10,
        hold_events=False,
        patience=40,
    )
    await told(plan, tmp_path)


@pytest.mark.short
async def test_two_regions_short(tmp_path: Path, seed: int) -> None:
    """Killed, and PostgreSQL crashing, while two regions of SES fail in every way and refuse all
    connections in turns."""
    plan = Plan(
        name="two regions, short",
        seed=seed,
        recipients=800,
        regions=("us-east-1", "eu-west-1"),
        outages=4,
        outage_seconds=(0.5, 4.0),
        kills=4,
        restarts=(3.0, 5.0),
        executors=3,
        rate=60,
        lease=2,
        latency=(0.1, 0.4),
        unsubscribes=10,
        dropped=0.06,
        cut=0.02,
        short=0.02,
        server_errors=0.04,
        hold_events=False,
        patience=60,
    )
    await told(plan, tmp_path)


@pytest.mark.short
async def test_two_regions_and_providers_short(tmp_path: Path, seed: int) -> None:
    """The same, and twice both regions are down until a provider goes on in their place, which
    accepts and doesn't answer. SES comes back, with some calls of the provider still open."""
    plan = Plan(
        name="two regions and providers, short",
        seed=seed,
        recipients=1_200,
        regions=("us-east-1", "eu-west-1"),
        providers=("sendgrid", "mailgun"),
        blackouts=2,
        outages=1,
        kills=4,
        restarts=(6.0, 9.0),
        executors=3,
        rate=50,
        lease=2,
        latency=(0.1, 0.4),
        unsubscribes=10,
        dropped=0.04,
        server_errors=0.02,
        hold_events=False,
        patience=90,
    )
    await told(plan, tmp_path)


@pytest.fixture
async def two_databases(postgres_server: DatabaseServer) -> AsyncIterator[list[Side]]:
    async with AsyncExitStack() as stack:
        sides: list[Side] = []
        for _ in range(2):
            dsn = postgres_server.dsn(stack.enter_context(postgres_server.database()))
            database = PostgresDatabase(dsn)
            stack.push_async_callback(database.close)
            sql = await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row)
            await stack.enter_async_context(sql)
            sides.append((Store(database), Arrange(sql)))
        yield sides


@pytest.mark.short
async def test_events_in_disorder_short(two_databases: list[Side], seed: int) -> None:
    """Doubled, reordered and delayed events end as the ordered ones do."""
    ordered, disordered = two_databases
    hold_to(await compare(ordered, disordered, seed=seed, count=4_000))


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_kills(tmp_path: Path, seed: int, outer_environment: dict[str, str]) -> None:
    plan = Plan(name="kills", seed=seed, recipients=20_000, kills=200, unsubscribes=200)
    await told(Plan.sized(plan, outer_environment), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_everything_at_once(
    tmp_path: Path, seed: int, outer_environment: dict[str, str]
) -> None:
    plan = Plan(
        name="everything at once",
        seed=seed,
        recipients=8_000,
        kills=40,
        stops=30,
        restarts=(3, 8),
        rate=60,
        lease=2.5,
        latency=(0.1, 0.8),
        unsubscribes=100,
        hold_events=False,
    )
    await told(Plan.sized(plan, outer_environment), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_two_regions(tmp_path: Path, seed: int, outer_environment: dict[str, str]) -> None:
    plan = Plan(
        name="two regions",
        seed=seed,
        recipients=12_000,
        regions=("us-east-1", "eu-west-1"),
        outages=40,
        kills=60,
        stops=10,
        restarts=(4, 10),
        rate=40,
        lease=2.5,
        latency=(0.1, 0.8),
        unsubscribes=100,
        hold_events=False,
    )
    await told(Plan.sized(plan, outer_environment), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(3_600)
async def test_two_regions_and_providers(
    tmp_path: Path, seed: int, outer_environment: dict[str, str]
) -> None:
    plan = Plan(
        name="two regions and providers",
        seed=seed,
        recipients=12_000,
        regions=("us-east-1", "eu-west-1"),
        providers=("sendgrid", "mailgun"),
        blackouts=8,
        outages=20,
        kills=60,
        stops=10,
        restarts=(10, 25),
        rate=40,
        lease=2.5,
        latency=(0.1, 0.8),
        unsubscribes=100,
        hold_events=False,
    )
    await told(Plan.sized(plan, outer_environment), tmp_path)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
async def test_events_in_disorder(
    two_databases: list[Side], seed: int, outer_environment: dict[str, str]
) -> None:
    ordered, disordered = two_databases
    count = int(outer_environment.get("SOAK_EVENTS", "100000"))
    hold_to(await compare(ordered, disordered, seed=seed, count=count))
