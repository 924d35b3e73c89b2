"""The two transactions of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.transactions import (
    Transaction,
    open_transaction,
)


@pytest.fixture
async def first(dsn: str) -> AsyncIterator[Transaction]:
    async with open_transaction(dsn) as transaction:
        yield transaction


@pytest.fixture
async def second(dsn: str) -> AsyncIterator[Transaction]:
    async with open_transaction(dsn) as transaction:
        yield transaction
