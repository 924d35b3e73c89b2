"""What is asked of lists: whatever stands in a query or a path is a value, never a command, and
finds nobody but whom it names."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote_from_bytes
from uuid import uuid4

import psycopg
import pytest
from fastapi.dependencies.models import Dependant

from tests.security.fortress import BEARER, Fortress
from tests.support.routes import ROUTES, Route
from tests.support.service import SECRET

HOSTILE = [
    b"'; DROP TABLE subscribers; --", b'" OR 1=1', b"' OR '1'='1", b"id;select pg_sleep(5)",
    b"1) or pg_sleep(5)--", b"$1", b"%s", b"{}", b"%", b"_", b"\\", b"%_\\", b"\\'", b"\x00",
    b"a\x00b", b"\xed\xa0\x80", b"\xff\xfe", b"\xf0\x9f", "\ud7ff\ue000".encode(), b"-1", b"0",
    b"9223372036854775807", b"9223372036854775808", b"-9223372036854775809", b"1e400", b"NaN",
    b"Infinity", b"0x10", "١٢".encode(), b"1" * 5_000, b"true", b"null", b"[]", b'{"a":1}',
    b"((((((((", b"*", b"?", b"[a-", b"a" * 8_000, b"x:y:*", b"!&|", b"<->", b"..", b"/", b" ",
    "\u202e\ufeff\u2028".encode(), b"9999-12-31T23:59:59Z", b"0001-01-01T00:00:00+23:59",
    b"-infinity", b"now()", b"2026-13-45", b"20260230T000000Z", b"1" * 400 + b"-01-01",
    b"00000000-0000-0000-0000-000000000000", b"{00000000000000000000000000000000}",
]  # fmt: skip


def _cursor(value: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")


FORGED = [
    b"x", b"====", b"e30", b"bnVsbA", _cursor([]), _cursor(["a"]), _cursor(["a", "b", "c"]),
    _cursor({"created_at": "x"}), _cursor([None, None]), _cursor([2**63, 2**63]), _cursor([-1]),
    _cursor(["2026-01-01T00:00:00Z", "' or 1=1"]), _cursor(["infinity", str(uuid4())]),
    _cursor(["9999-12-31T23:59:59+00:00", "00000000-0000-0000-0000-000000000000"]),
    _cursor("\x00"), _cursor([[[["x"]]]]), _cursor(["\ud800", "x"]), b"A" * 199, b"\x00",
    b"2026-01-01T00:00:00Z,1", b"99999999999999999999", b"2026-01-01T00:00:00+00:00 00000000",
]  # fmt: skip


def _parameters(asked: Dependant) -> Iterator[str]:
    yield from (parameter.alias for parameter in asked.query_params)
    for other in asked.dependencies:
        yield from _parameters(other)


def _questions(route: Route) -> Iterator[str]:
    """Addresses with one hostile value each: in each parameter of the query, and in the path."""
    for name in _parameters(route.declared.dependant):
        forged = FORGED if name == "cursor" else []
        for value in (*HOSTILE, *forged):
            yield f"{route.url}?{name}={quote_from_bytes(value, safe='')}"
    if "{" in route.path:
        start, _, rest = route.path.partition("{")
        for value in HOSTILE:
            yield start + quote_from_bytes(value, safe="") + rest.partition("}")[2].replace("{", "")


GETS = [route for route in ROUTES if route.method == "GET"]


@pytest.fixture(scope="module")
async def cookie(fortress: Fortress) -> dict[str, str]:
    """Of a person who signed in to the dashboard."""
    answer = await fortress.http.post(
        "/dashboard/login",
        data={"secret": SECRET, "next": "/dashboard"},
        headers={"Origin": f"http://127.0.0.1:{fortress.port}"},
    )
    assert answer.status_code == 303, answer.text
    fortress.http.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


PARTS = 120
"""The suite asks so small a part of all questions, another one of each route's."""


@pytest.mark.parametrize(
    "part",
    [pytest.param(n, marks=[pytest.mark.short] if n else []) for n in range(PARTS)],
)
async def test_42_no_question_is_a_command_or_an_error_of_ours(
    fortress: Fortress, cookie: dict[str, str], part: int
) -> None:
    urls = [url for route in GETS for url in _questions(route)]
    async with fortress.untouched():
        for url in urls[part::PARTS]:
            headers = cookie if url.startswith("/dashboard") else BEARER
            answer = await fortress.http.get(url[:20_000], headers=headers)
            assert answer.status_code < 500, (url, answer.text)


async def test_42_a_forged_cursor_is_no_part_of_a_statement(fortress: Fortress) -> None:
    """`name1` was a part of the SQL, and so was whatever stood in its place."""
    for road in ("name(select 1)", "name1) or (select true", "name5", "NAME1", "none", ""):
        async with fortress.untouched():
            for path in ("/subscribers", "/dashboard/people"):
                cursor = _cursor([road, None, None]).decode()
                answer = await fortress.http.get(f"{path}?cursor={cursor}", headers=BEARER)
                assert path != "/subscribers" or answer.status_code == 422, (road, answer.text)
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            await fortress.sql.execute(
                "select subscribers_page('{}', 10, %s::jsonb)", [json.dumps([road, None, None])]
            )


async def test_42_what_is_looked_for_finds_nobody_else(fortress: Fortress) -> None:
    """`%`, `_` and `\\` stand for themselves; a cursor of one list is none of another's."""
    for email in ("a_b@example.com", "axb@example.com", "a%b@example.com", "zed@example.com"):
        await fortress.http.post("/subscribers", json={"email": email}, headers=BEARER)

    async def found(**asked: str) -> set[str]:
        answer = await fortress.http.get("/subscribers", params=asked, headers=BEARER)
        assert answer.status_code == 200, answer.text
        return {one["email"] for one in answer.json()["items"]}

    assert await found(q="a_b") == {"a_b@example.com"}
    assert await found(q="a%") == {"a%b@example.com"}
    assert await found(q="%") == await found(q="_") == await found(q="\\") == set()
    assert await found(q="' or 1=1 --") == await found(tag="' or 1=1 --") == set()
