"""Brokers, and who takes messages out of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from app.store import Store
from tests.queues.desk import RabbitDesk, SqsDesk
from tests.queues.inbox import SIGNER, Inbox
from tests.support.factories import Arrange
from tests.support.rabbitmq import Rabbit, rabbitmq
from tests.support.sqs import SqsServer


@pytest.fixture(scope="session")
def rabbit() -> Iterator[Rabbit]:
    with rabbitmq() as broker:
        yield broker


@pytest.fixture(scope="session")
def sqs_server() -> Iterator[SqsServer]:
    with SqsServer() as server:
        yield server


@pytest.fixture
async def desk(
    dsn: str, direct_store: Store, arrange: Arrange, rabbit: Rabbit
) -> AsyncIterator[RabbitDesk]:
    async with RabbitDesk(dsn, direct_store, arrange, rabbit) as desk:
        yield desk


@pytest.fixture
async def sqs(
    dsn: str, direct_store: Store, arrange: Arrange, sqs_server: SqsServer
) -> AsyncIterator[SqsDesk]:
    async with SqsDesk(dsn, direct_store, arrange, sqs_server) as desk:
        yield desk


@pytest.fixture
async def inbox(
    dsn: str,
    direct_store: Store,
    arrange: Arrange,
    sqs_server: SqsServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Inbox]:
    monkeypatch.setattr("app.services.queues.events.LOOK_SECONDS", 0.05)
    async with Inbox(dsn, direct_store, arrange, sqs_server, SIGNER) as inbox:
        yield inbox
