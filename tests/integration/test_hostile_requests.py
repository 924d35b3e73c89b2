"""What no honest caller sends: refused plainly, and never a fault of ours."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.types import Message, Receive

from app.api.mailouts import encode_cursor
from app.main import create_app
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, SECRET, Service, in_process, settings_for

MAILOUT = UUID(int=7)


@pytest.fixture
async def front(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """The service without a sender."""
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as front:
        yield front


class TestBodies:
    """What a request may bring, whichever route it is for and whoever it is from."""

    PATHS = (
        "/send-mailout", f"/mailouts/{UUID(int=7)}/resend", "/ses-events", "/unsubscribe",
        "/dashboard/login", "/nowhere",
    )  # fmt: skip

    @pytest.mark.parametrize("announced", [True, False])
    async def test_a_megabyte_is_enough(self, front: Service, announced: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b" " * 100_000

        for path in self.PATHS:
            content = b" " * 1_000_001 if announced else chunks()
            answer = await front.http.post(path, content=content, headers=BEARER)
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "payload_too_large"

    async def test_an_announced_size_is_refused_unread(self, front: Service) -> None:
        async def unread() -> Message:
            raise AssertionError("it was read")

        status, _ = await self.ask(front, unread, [(b"content-length", b"1000001")])
        assert status == 413

    async def test_a_body_that_does_not_come_is_not_waited_for(
        self, front: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.api.body_limit.BODY_SECONDS", 0.05)

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        status, headers = await self.ask(front, never, [(b"content-length", b"10")])
        assert status == 408
        assert headers["connection"] == "close"

    async def test_who_has_hung_up_is_not_answered(self, front: Service) -> None:
        async def gone() -> Message:
            return {"type": "http.disconnect"}

        assert await self.ask(front, gone, []) == (0, {})

    @staticmethod
    async def ask(
        front: Service, receive: Receive, headers: list[tuple[bytes, bytes]]
    ) -> tuple[int, dict[str, str]]:
        """POST /send-mailout with a body of one's own making; 0: there was no answer."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": "/send-mailout", "raw_path": b"/send-mailout",
            "root_path": "", "query_string": b"", "headers": headers, "client": None,
            "server": None,
        }  # fmt: skip
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await create_app(front.services)(scope, receive, send)
        if not sent:
            return 0, {}
        names = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], names

    async def test_unknown_routes_and_methods_are_problems(self, front: Service) -> None:
        for method, path, status in (("GET", "/nowhere", 404), ("DELETE", "/mailouts", 405)):
            answer = await front.http.request(method, path)
            assert answer.status_code == status
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status


class TestTexts:
    """PostgreSQL can't hold NUL, nor compare a time that isn't one."""

    async def test_a_cursor_that_no_page_gave(self, front: Service) -> None:
        """Well formed, but of other parts."""
        moment, mailout = "2026-11-24T12:00:00+00:00", str(MAILOUT)
        for path, parts in (
            ("/mailouts", ["x", "y"]),
            ("/mailouts", [moment, "y"]),
            ("/mailouts", ["2026-11-24T12:00:00", mailout]),
            ("/mailouts", ["0001-01-01T00:00:00+10:00", mailout]),
            ("/mailouts", [moment]),
            ("/mailouts", None),
            ("/subscribers", ["a\0b"]),
            ("/subscribers", [1]),
            ("/subscribers", []),
            ("/subscribers", {}),
        ):
            cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
            answer = await front.http.get(path, params={"cursor": cursor}, headers=BEARER)
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), parts

    async def test_a_time_of_any_zone_is_a_time(self, front: Service, arrange: Arrange) -> None:
        """PostgreSQL takes no offset from 16 hours on."""
        await arrange.mailout("draft")
        for offset in ("+23:59", "-16:00", "Z"):
            cursor = encode_cursor(f"9000-01-01T00:00:00{offset}", str(MAILOUT))
            answer = await front.http.get("/mailouts", params={"cursor": cursor}, headers=BEARER)
            assert len(answer.json()["items"]) == 1

    async def test_an_address_with_nul(self, front: Service) -> None:
        answer = await front.http.get("/subscribers/a%00b@example.com", headers=BEARER)
        assert answer.status_code == 422

    async def test_a_notion_event_that_cannot_be_kept(
        self, front: Service, arrange: Arrange
    ) -> None:
        page = uuid4()
        await arrange.mailout(notion_page_id=str(page))
        for event in ("a\0b", "e" * 256):
            body = {"source": {"event_id": event}, "data": {"id": str(page)}}
            answer = await front.http.post("/send-mailout", json=body, headers=BEARER)
            assert (answer.status_code, answer.json()["started"]) == (200, False)
            assert "event_id" in answer.json()["reason"]
        assert await arrange.one("select status from mailouts") == "ready"


KEYS = [
    "mailout_id", "test", "dry_run", "auth_token", "source", "data", "event_id", "id", "statuses",
    "force", "links", "Type", "Message",
]  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KNOWN = st.sampled_from([str(MAILOUT), SECRET, "failed", "unknown", "a\0b"])
JSON = st.recursive(
    SCALARS | KNOWN,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=12,
)
BODIES = JSON.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=100)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)
NAMES = st.sampled_from(["cursor", "limit", "status", "token", "next", "notice", "x"])
HEADER_NAMES = [
    "Idempotency-Key", "X-Auth-Token", "Content-Type", "Cookie", "Origin", "X-Amz-Sns-Message-Type",
]  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(HEADER_NAMES),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
    | st.sampled_from(["application/json", "text/plain", "null", "http://service"]),
    max_size=3,
)
PAGES = (
    "/dashboard", "/dashboard/login", "/dashboard/logout", "/dashboard/account",
    "/dashboard/mailouts/{id}", "/dashboard/mailouts/{id}/pause", "/dashboard/assets/{name}",
    "/nowhere/{id}",
)  # fmt: skip


@pytest.fixture
async def routes(front: Service, arrange: Arrange) -> list[tuple[str, str]]:
    """Method and path of every route of the program; there is a mailout for them."""
    await arrange.mailout(id=MAILOUT, notion_page_id=str(MAILOUT))
    described = (await front.http.get("/openapi.json")).json()["paths"]
    found = [(method, path) for path, item in described.items() for method in item]
    return found + [(method, page) for page in PAGES for method in ("get", "post")]


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.data(),
    part=st.just(str(MAILOUT)) | TEXTS,
    query=st.dictionaries(NAMES, TEXTS, max_size=3),
    headers=HEADERS,
    body=BODIES,
    authorized=st.booleans(),
)
async def test_no_request_meets_a_fault_of_ours(
    front: Service,
    routes: list[tuple[str, str]],
    data: st.DataObject,
    part: str,
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    authorized: bool,
) -> None:
    """Anything in path, query, headers and body, with the secret and without it."""
    method, path = data.draw(st.sampled_from(routes))
    answer = await front.http.request(
        method,
        re.sub(r"{\w+}", quote(part, safe=""), path),
        params=query,
        content=body if method == "post" else None,
        headers=[
            (name.encode(), value.encode("latin-1"))
            for name, value in (headers | (BEARER if authorized else {})).items()
        ],
    )
    assert answer.status_code < 500, answer.text
