"""The scenes of `pytest -m live`, on our own sandbox."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.rows import dict_row

from tests.support.databases import DatabaseServer
from tests.support.factories import Arrange
from tests.support.scenes import (
    SCENES,
    SIMULATOR,
    Stage,
    each_simulated_mailbox_meets_its_fate,
)
from tests.support.service import BEARER
from tests.support.waiting import eventually
from tests.support.world import run_world

RATE = 50.0


async def nothing_to_fetch() -> None:
    """The sandbox posts its events itself."""


@asynccontextmanager
async def serving(dsn: str, folder: Path, mode: str) -> AsyncIterator[httpx.AsyncClient]:
    """`amazonsender serve` before the sandbox, and a client for it. mode: SES_SEND_MODE."""
    async with run_world(
        dsn,
        folder,
        sandbox={"max_send_rate": RATE, "max_24h_send": 50_000, "signature_version": "2"},
        SES_SEND_MODE=mode,
        RATE_LIMIT_PER_SEC=None,
        TEST_EMAILS=f"success+test@{SIMULATOR}",
    ) as world:
        yield world.http


@pytest.fixture(scope="module")
def database_name(postgres_server: DatabaseServer) -> Iterator[str]:
    """One database for the module, since one service runs on it."""
    with postgres_server.database() as name:
        yield name


@pytest.fixture(scope="module")
async def service(
    postgres_server: DatabaseServer, database_name: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    dsn, folder = postgres_server.dsn(database_name), tmp_path_factory.mktemp("service")
    async with serving(dsn, folder, "auto") as http:
        yield http


@pytest.fixture
async def stage(service: httpx.AsyncClient, arrange: Arrange) -> Stage:
    """Nobody is on the list, and nothing was sent."""

    async def cleared() -> bool:
        with suppress(psycopg.errors.DeadlockDetected):  # the service works on these tables, too
            await arrange.sql.execute(
                "truncate subscribers, mailouts, send_logs, send_batches cascade"
            )
            return True
        return False

    await eventually(cleared, until=bool)
    return on_stage(service, arrange)


def on_stage(http: httpx.AsyncClient, arrange: Arrange) -> Stage:
    return Stage(http, arrange, nothing_to_fetch, has_events=True, seconds=30)


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
async def test_scene(stage: Stage, scene: Callable[[Stage], Awaitable[None]]) -> None:
    await scene(stage)


@pytest.mark.short
async def test_mail_by_mail(postgres_server: DatabaseServer, tmp_path: Path) -> None:
    """By SendEmail, events find their rows just the same."""
    with postgres_server.database() as name:
        dsn = postgres_server.dsn(name)
        async with (
            serving(dsn, tmp_path, "single") as http,
            await psycopg.AsyncConnection.connect(
                dsn, autocommit=True, row_factory=dict_row
            ) as connection,
        ):
            await each_simulated_mailbox_meets_its_fate(on_stage(http, Arrange(connection)))


async def test_the_way_of_the_events_is_found_in_order(stage: Stage, arrange: Arrange) -> None:
    """The subscription was confirmed by the service itself; the preflight sees it at SNS."""
    mailout = await arrange.mailout()

    async def report() -> dict[str, Any]:
        answer = await stage.http.post(f"/mailouts/{mailout}/preflight", headers=BEARER)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    endpoint = f"{stage.http.base_url}".rstrip("/") + "/ses-events"
    await eventually(
        report,
        until=lambda r: (
            {
                "level": "ok",
                "what": f"SNS sends the events to {endpoint}.",
                "remedy": "",
            }
            in r["findings"]
        ),
    )
