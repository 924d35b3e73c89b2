"""Webhooks that lead outside: who makes one names an address of the web, and whoever answers says
nothing that we act on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.services.hooks.poster import READ_BYTES, Poster
from tests.security.fortress import BEARER, Fortress
from tests.security.outbound.strangers import MANNERS, Stranger
from tests.support.hooks import a_delivery

GOOD = {"url": "https://hooks.example.com/x", "events": ["mailout.finished"]}


@pytest.mark.few_variants(8)
@pytest.mark.parametrize(
    "change",
    [
        {"url": None}, {"url": 7}, {"url": ["https://a.example"]},
        {"url": "https://" + "a" * 3_000},
        {"url": "https://a.example/\x00"}, {"url": "https://a.example/\ud800"},
        {"url": " https://a.example"}, {"url": "https://xn--/"}, {"url": "https://10.0.0.1/"},
        {"events": []}, {"events": ["no.such"]},
        {"events": ["mailout.finished\x00"]}, {"events": [["mailout.finished"]]},
        {"description": "x" * 100_000}, {"description": "\x00"}, {"rate_per_second": -1},
        {"rate_per_second": 0}, {"rate_per_second": 1e308}, {"rate_per_second": "NaN"},
        {"rate_per_second": True}, {"secret": "whsec_x"}, {"state": "active"},
        {"id": "00000000-0000-0000-0000-000000000001"}, {"source": "x" * 10_000},
    ],
    ids=lambda change: ascii(change)[:40],
)  # fmt: skip
async def test_what_is_no_hook_is_refused(fortress: Fortress, change: dict[str, Any]) -> None:
    body = json.dumps(GOOD | change).encode()
    answer = await fortress.http.post(
        "/hooks", content=body, headers={**BEARER, "Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}, answer.text
    listed = await fortress.http.get("/hooks", headers=BEARER)
    assert "whsec_" not in listed.text


@pytest.fixture(scope="module")
def stranger() -> Iterator[Stranger]:
    with Stranger() as server:
        yield server


async def test_no_answer_is_read_further_than_a_little(stranger: Stranger) -> None:
    async with Poster(allow_private=True, answer_seconds=5) as poster:
        for manner in MANNERS:
            stranger.manner = manner
            answer = await poster.post(a_delivery(stranger.url))
            assert answer.status in {200, 400, None}, manner.__name__
            assert answer.problem is None or len(answer.problem) < 200


async def test_what_a_header_asks_for_is_bounded(stranger: Stranger) -> None:
    """`Retry-After` of any form; and the request has nothing of the address in its head but its
    host."""
    async with Poster(allow_private=True) as poster:
        for asked in (
            b"-1",
            b"1e400",
            b"nan",
            b"99999999999999999999",
            b"\xff",
            b"Thu, 99 Foo 0000",
        ):
            said = (
                b"HTTP/1.1 503 x\r\nRetry-After: " + asked + b"\r\nConnection: close\r\n"
                b"Content-Length: 0\r\nSet-Cookie: a=b\r\n\r\n"
            )
            stranger.manner = lambda said=said: iter([said])  # type: ignore[misc]
            stranger.headers.clear()
            answer = await poster.post(a_delivery(f"{stranger.url}/?secret=1"))
            assert answer.status == 503
            assert answer.retry_after is None or 0 <= answer.retry_after <= 10**9
            assert b"ookie" not in stranger.headers[0]  # one answer's cookies go to no next hook
    assert READ_BYTES <= 65_536
