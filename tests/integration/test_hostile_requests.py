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
from starlette.types import ASGIApp, Message, Receive

from app.api.http.paging import encode_cursor
from app.api.http.single_headers import SINGLE_HEADERS
from app.domain.ses import sns_message
from app.main import create_app
from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, SECRET, Service, in_process, settings_for
from tests.support.wide import examples

MAILOUT = UUID(int=7)
AUTHORIZED = (b"authorization", f"Bearer {SECRET}".encode())

Headers = list[tuple[bytes, bytes]]


async def unread() -> Message:
    raise AssertionError("the body was read")


@pytest.fixture
async def front(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """The service without a sender."""
    async with in_process(settings_for(dsn, sandbox.url), with_sender=False) as front:
        yield front


class TestBodies:
    """What a request may bring, whichever route it is for and whoever it is from."""

    READ = ("/send-mailout", f"/mailouts/{UUID(int=7)}/resend", "/ses-events")

    @pytest.mark.parametrize("announced", [True, False])
    async def test_a_megabyte_is_enough(self, front: Service, announced: bool) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(11):
                yield b" " * 100_000

        for path in self.READ:
            content = b" " * 1_000_001 if announced else chunks()
            answer = await front.http.post(path, content=content, headers=BEARER)
            assert answer.status_code == 413
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["code"] == "payload_too_large"

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        ("path", "limit"),
        [("/send-mailout", 1_000_000), ("/ses-events", 300_000), ("/dashboard/login", 10_000)],
    )
    @pytest.mark.parametrize("announced", [True, False])
    async def test_a_body_may_have_exactly_what_is_allowed(
        self, front: Service, path: str, limit: int, announced: bool
    ) -> None:
        """And one byte more is too much, said beforehand or not."""

        async def chunks(size: int) -> AsyncIterator[bytes]:
            yield b" " * (size // 2)
            yield b" " * (size - size // 2)

        headers = BEARER | {"Origin": "http://service"}
        for size, too_large in ((limit, False), (limit + 1, True)):
            content = b" " * size if announced else chunks(size)
            answer = await front.http.post(path, content=content, headers=headers)
            assert (answer.status_code == 413) is too_large, (size, answer.text)

    @pytest.mark.parametrize("size", [b"1000001", b"9" * 5_000])
    async def test_an_announced_size_is_refused_unread(self, front: Service, size: bytes) -> None:
        status, headers = await self.ask(front, unread, [AUTHORIZED, (b"content-length", size)])
        assert (status, headers["connection"]) == (413, "close")

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize(
        ("method", "path", "headers", "expected"),
        [
            ("POST", "/nowhere", [AUTHORIZED], 404),
            ("PUT", "/send-mailout", [AUTHORIZED], 405),
            ("POST", f"/mailouts/{MAILOUT}/resend", [], 401),
            ("POST", f"/mailouts/{MAILOUT}/resend", [(b"authorization", b"Bearer x")], 401),
            ("POST", "/unsubscribe", [], 400),
            ("POST", "/dashboard/login", [], 403),
            ("POST", "/dashboard/login", [(b"origin", b"http://[x")], 403),
            ("POST", "/ses-events", [(b"x-amz-sns-topic-arn", b"arn:aws:sns:us-east-1:1:x")], 403),
        ],
    )
    async def test_who_is_refused_is_refused_before_the_body_is_read(
        self, front: Service, method: str, path: str, headers: Headers, expected: int
    ) -> None:
        """By route, method, header or credential; afterwards what follows isn't waited for, unless
        it is small and has an end."""
        for size, connection in ((b"1000", None), (b"1000001", "close"), (None, "close")):
            how = (b"content-length", size) if size else (b"transfer-encoding", b"chunked")
            status, answered = await self.ask(front, unread, [*headers, how], method, path)
            assert (status, answered.get("connection")) == (expected, connection)

    async def test_a_body_that_has_to_bring_the_secret_is_small(self, front: Service) -> None:
        """Whoever has it only there says little else, and nothing large is parsed for strangers."""
        for blanks, status in ((100, 404), (20_000, 401)):
            body = json.dumps({"mailout_id": str(MAILOUT), "auth_token": SECRET}) + " " * blanks
            answer = await front.http.post("/send-mailout", content=body)
            assert answer.status_code == status, answer.text
        large = [(b"content-length", b"20000")]
        assert (await self.ask(front, unread, large))[0] == 401

    @pytest.mark.few_variants(2)
    @pytest.mark.parametrize(
        "part", [b"[],", b'{"a":1},', b"1e5,", b'"k":0,', b"[" * 100, b"9" * 4_000 + b","]
    )
    async def test_costly_json_from_strangers_is_not_parsed(
        self, front: Service, monkeypatch: pytest.MonkeyPatch, part: bytes
    ) -> None:
        """As large as a body may be: what is parsed of it is short."""
        parsed: list[int] = []
        decode = sns_message._STRICT.raw_decode

        def counting(text: str, at: int = 0) -> tuple[object, int]:
            value, end = decode(text, at)
            parsed.append(end - at)
            return value, end

        monkeypatch.setattr(sns_message._STRICT, "raw_decode", counting)
        for opening in (b"", b'{"Type": "Notification", "x": [', b'{"Type": "Notification", '):
            body = (opening + part * 100_000)[:299_000]
            answer = await front.http.post("/ses-events", content=body)
            assert answer.status_code == 400
        assert sum(parsed) < 3 * sns_message.MAX_MEMBERS * sns_message.MAX_ATTRIBUTES_CHARS

    async def test_all_bodies_together_have_a_limit(
        self, front: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who comes too late is asked to come again; what is over is free again."""
        monkeypatch.setattr("app.api.http.body_limit.ALL_BODIES_BYTES", 3_000)
        app = create_app(front.services)
        first_read, go_on = asyncio.Event(), asyncio.Event()
        parts = [b" " * 2_000, b" "]

        async def slow() -> Message:
            if len(parts) == 1:
                first_read.set()
                await go_on.wait()
            part = parts.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(parts)}

        async def quick() -> Message:
            return {"type": "http.request", "body": b" " * 2_000, "more_body": False}

        headers = [AUTHORIZED, (b"transfer-encoding", b"chunked")]
        reading = asyncio.create_task(self.ask(front, slow, headers, app=app))
        await first_read.wait()
        status, answered = await self.ask(front, quick, headers, app=app)
        assert (status, "retry-after" in answered) == (503, True)
        go_on.set()
        assert (await reading)[0] == 422
        assert (await self.ask(front, quick, headers, app=app))[0] == 422

    async def test_a_body_that_does_not_come_is_not_waited_for(
        self, front: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.api.http.body_limit.BODY_SECONDS", 0.05)

        async def never() -> Message:
            await asyncio.Event().wait()
            raise AssertionError

        status, headers = await self.ask(front, never, [AUTHORIZED, (b"content-length", b"10")])
        assert status == 408
        assert headers["connection"] == "close"

    async def test_who_has_hung_up_is_not_answered(self, front: Service) -> None:
        async def gone() -> Message:
            return {"type": "http.disconnect"}

        for path in ("/send-mailout", f"/mailouts/{MAILOUT}/resend", "/ses-events"):
            for length in ([], [(b"content-length", b"10")]):
                headers = [AUTHORIZED, *length]
                assert await self.ask(front, gone, headers, path=path) == (0, {})

    @staticmethod
    async def ask(
        front: Service,
        receive: Receive,
        headers: Headers,
        method: str = "POST",
        path: str = "/send-mailout",
        app: ASGIApp | None = None,
    ) -> tuple[int, dict[str, str]]:
        """A request with a body of one's own making; 0: there was no answer."""
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "raw_path": path.encode(),
            "root_path": "", "query_string": b"", "headers": headers, "client": None,
            "server": None,
        }  # fmt: skip
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        await (app or create_app(front.services))(scope, receive, send)
        if not sent:
            return 0, {}
        names = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
        return sent[0]["status"], names

    @pytest.mark.few_variants(3)
    @pytest.mark.parametrize("name", sorted(SINGLE_HEADERS))
    async def test_a_header_that_has_to_be_unique_comes_once(
        self, front: Service, name: bytes
    ) -> None:
        for path in ("/send-mailout", "/ses-events", "/unsubscribe", "/nowhere"):
            twice = [AUTHORIZED, (name, b"1"), (b"x-other", b"1"), (b"x-other", b"1"), (name, b"1")]
            assert (await self.ask(front, unread, twice, path=path))[0] == 400
            once = [AUTHORIZED, (b"x-other", b"1"), (b"x-other", b"1"), (name, b"1")]
            if path == "/nowhere":
                assert (await self.ask(front, unread, once, path=path))[0] == 404

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


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
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
    # This service has no Notion and no other provider, and says so: no fault.
    told = re.search(r'"code":"(notion|provider)_not_configured"', answer.text) is not None
    assert answer.status_code < 500 or told, answer.text
