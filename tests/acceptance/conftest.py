from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.world import World, run_world


@pytest.fixture
async def world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    sandbox = {"signature_version": "2"}
    async with run_world(dsn, tmp_path, sandbox=sandbox, LEASE_SECONDS="3") as running:
        yield running
