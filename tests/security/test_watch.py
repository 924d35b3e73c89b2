"""The watch itself: it notices what it is there for."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from tests.security.fortress import BEARER, Fortress


async def test_a_refused_request_passes(fortress: Fortress) -> None:
    async with fortress.untouched():
        answer = await fortress.http.post("/mailouts", json={})
        assert answer.status_code == 401


async def test_a_change_of_a_row_is_noticed(fortress: Fortress) -> None:
    async def start() -> None:
        async with fortress.untouched():
            made = await fortress.http.post("/mailouts", json={"subject": "x"}, headers=BEARER)
            assert made.status_code == 201

    with pytest.raises(AssertionError, match="changed rows"):
        await start()


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("blocking", [True, False])
async def test_an_outbound_call_is_noticed(fortress: Fortress, blocking: bool) -> None:
    async def ask() -> None:
        async with fortress.untouched():
            with suppress(OSError):
                if blocking:
                    socket.create_connection(("127.0.0.1", 9))
                else:
                    await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(AssertionError, match="somebody outside"):
        await ask()
