"""What strangers do to a server before they have asked anything: over real sockets."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import pytest
from starlette.types import Receive, Scope, Send

from app import listening
from app.api.http import connection
from app.listening import listen
from app.processes.http import Http
from tests.support.waiting import eventually

GET = b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n"
HEAD = b"GET /quick HTTP/1.1\r\nHost: x\r\n"
POST = b"POST /quick HTTP/1.1\r\nHost: x\r\n"
LARGE = 16_000_000  # more than all buffers between two sockets hold


@dataclass
class Server:
    """asked: how many requests reached the application. client: the last one's. held: `/slow` and
    the import answer when it is set."""

    port: int
    http: Http
    asked: int = 0
    client: str = ""
    held: asyncio.Event | None = None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers without reading a body: `/large` with much."""
        self.asked += 1
        self.client = scope["client"][0]
        if scope["path"] in {"/slow", "/subscribers/import"} and self.held:
            await self.held.wait()
        body = b"x" * (LARGE if scope["path"] == "/large" else 2)
        length = (b"content-length", str(len(body)).encode())
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": body})

    async def open(self) -> int:
        return len(self.http._server.server_state.connections)


@asynccontextmanager
async def serving(proxies: str = "127.0.0.1") -> AsyncIterator[Server]:
    with listen("127.0.0.1", 0, remedy="") as listener:
        async with Http(listener, asyncio.Event(), proxies) as http:
            server = Server(listener.getsockname()[1], http)
            http.root.app = server.app
            yield server


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def send_much(self) -> None:
        for _ in range(LARGE // 100_000):
            await self.send(b"a" * 100_000)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next one; (0, {}, b""): the connection ended."""
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, {}, b""
        status, *lines = head.decode().strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(status.split()[1]), headers, body

    async def ended(self) -> bool:
        try:
            return await self._reader.read(1) == b""
        except ConnectionError:
            return True

    async def refusal(self) -> tuple[int, str]:
        """Status and code of a problem after which the connection ends; (0, ""): it ended."""
        status, headers, body = await self.answer()
        if not status:
            return 0, ""
        assert headers["content-type"] == "application/problem+json"
        assert headers["connection"] == "close"
        assert await self.ended()
        return status, orjson.loads(body)["code"]


@asynccontextmanager
async def client(server: Server) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.transport.abort()


class TestHeaders:
    @pytest.mark.parametrize(
        "sent",
        [
            HEAD + b"X-A: " + b"a" * 40_000 + b"\r\n\r\n",
            b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            HEAD + b"X-A: a\r\n" * 101 + b"\r\n",
            HEAD + b"X-A: a\r\n" * 8_000 + b"\r\n",
            HEAD + b"X-A: " + b"a" * 40_000,
        ],
        ids=["header", "path", "101 headers", "8,000 headers", "endless"],
    )
    @pytest.mark.parametrize("piece", [1_000, 100_000])
    async def test_too_large_ones_are_refused(
        self, server: Server, sent: bytes, piece: int
    ) -> None:
        async with client(server) as stranger:
            for at in range(0, len(sent), piece):
                await stranger.send(sent[at : at + piece])
            status, code = await stranger.refusal()
        # Who still sends when we hang up may not get to see the answer.
        assert (status, code) in {(431, "headers_too_large")} | (
            {(0, "")} if piece == 1_000 else set()
        )
        assert server.asked == 0

    async def test_large_ones_are_taken(self, server: Server) -> None:
        """As large as any proxy lets through, in pieces, and again on the same connection."""
        async with client(server) as honest:
            for _ in range(2):
                for piece in (HEAD, *[b"X-Ab: " + b"a" * 992 + b"\r\n"] * 32, b"\r\n"):
                    await honest.send(piece)
                assert (await honest.answer())[0] == 200

    @pytest.mark.parametrize(
        "opening",
        [
            HEAD + b"X-A: ", b"GET /",
            POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX-A: ",
            POST + b"Transfer-Encoding: chunked\r\n\r\n1;x=",
        ],
        ids=["header", "path", "trailer", "extension"],
    )  # fmt: skip
    async def test_what_has_no_end_is_not_taken_in(self, server: Server, opening: bytes) -> None:
        """The client can't even send it: nobody reads."""
        async with client(server) as stranger:
            await stranger.send(opening)
            with pytest.raises(ConnectionError):
                await stranger.send_much()

    async def test_a_large_body_costs_no_headers(self, server: Server) -> None:
        """In chunks, too, of which each has a line of its own."""
        async with client(server) as honest:
            await honest.send(POST + b"Content-Length: 900000\r\n\r\n" + b"a" * 900_000 + GET)
            assert [(await honest.answer())[0] for _ in range(2)] == [200, 200]
            chunks = b"10\r\n" + b"a" * 16 + b"\r\n"
            await honest.send(POST + b"Transfer-Encoding: chunked\r\n\r\n" + chunks * 10_000)
            await honest.send(b"0\r\n\r\n" + GET)
            assert [(await honest.answer())[0] for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        HEAD + b"X-A\x00: a\r\n\r\n", HEAD + b"X-A: a\x00\r\n\r\n", HEAD + b" folded\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n", POST + b"Content-Length: " + b"9" * 30 + b"\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_no_http_is_refused(
    server: Server, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Two lengths among it, of which a proxy may have believed the other."""
    with caplog.at_level(logging.WARNING):
        async with client(server) as stranger:
            await stranger.send(sent)
            assert await stranger.refusal() == (400, "malformed_http")
    assert not caplog.records


@pytest.mark.parametrize("protocol", [b"websocket", b"h2c"])
async def test_no_other_protocol_is_spoken(
    server: Server, protocol: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with client(server) as stranger:
            await stranger.send(HEAD + b"Connection: Upgrade\r\nUpgrade: " + protocol + b"\r\n\r\n")
            assert (await stranger.answer())[0] == 200
    assert not caplog.records


class TestTime:
    @pytest.fixture(autouse=True)
    def _short(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "RECEIVE_SECONDS", 0.05)

    @pytest.mark.parametrize("sent", [b"G", HEAD, HEAD + b"X-A: a"])
    async def test_half_of_the_headers(self, server: Server, sent: bytes) -> None:
        async with client(server) as slow:
            await slow.send(sent)
            assert await slow.refusal() == (408, "headers_too_slow")

    @pytest.mark.parametrize("sent", [b"", b"\r\n"])
    async def test_nothing(self, server: Server, sent: bytes) -> None:
        async with client(server) as idle:
            await idle.send(sent)
            assert await idle.ended()

    @pytest.mark.parametrize("sent", [b"\r\n", b"G", HEAD])
    async def test_after_an_answer(self, server: Server, sent: bytes) -> None:
        """What begins anew, and doesn't go on."""
        async with client(server) as slow:
            await slow.send(GET)
            assert (await slow.answer())[0] == 200
            await slow.send(sent)
            assert await slow.refusal() == (
                (0, "") if sent == b"\r\n" else (408, "headers_too_slow")
            )

    async def test_a_file_may_take_longer(self, server: Server) -> None:
        """It is watched by its pace, where its route reads it (test_imports_http.py)."""
        server.held = asyncio.Event()
        async with client(server) as sender:
            head = b"POST /subscribers/import?mode=skip HTTP/1.1\r\nHost: x\r\n"
            await sender.send(head + b"Content-Length: 4\r\n\r\nab")

            async def waits() -> list[object]:
                connections = server.http._server.server_state.connections
                return [getattr(one, "_deadline", None) for one in connections]

            assert await eventually(waits, until=lambda found: found == [None]) == [None]
            await sender.send(b"cd" + GET)
            server.held.set()
            assert [(await sender.answer())[0] for _ in range(2)] == [200, 200]

    async def test_a_body_that_nobody_reads(self, server: Server) -> None:
        """Refused by its headers alone, the request is over, whether the body comes or not."""
        async with client(server) as slow:
            await slow.send(POST + b"Content-Length: 1000\r\n\r\na")
            assert (await slow.answer())[0] == 200
            assert await slow.ended()

    async def test_whoever_waits_for_us_is_not_hurried(self, server: Server) -> None:
        server.held = asyncio.Event()
        async with client(server) as patient, client(server) as other:
            await patient.send(GET.replace(b"quick", b"slow") + b"G")
            await other.send(HEAD)
            assert await other.refusal() == (408, "headers_too_slow")  # so that time has passed
            server.held.set()
            assert (await patient.answer())[0] == 200


class TestConnections:
    @pytest.fixture(autouse=True)
    def _few(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(connection, "MAX_CONNECTIONS", 3)

    async def opened(self, server: Server, number: int) -> None:
        await eventually(server.open, until=lambda n: n == number)

    @pytest.mark.parametrize(
        "held_with", [b"", HEAD, POST + b"Content-Length: 9\r\n\r\n", GET],
        ids=["nothing", "headers", "body", "idle"],
    )  # fmt: skip
    async def test_the_longest_waiting_gives_place(self, server: Server, held_with: bytes) -> None:
        async with client(server) as first, client(server) as second, client(server) as third:
            for number, holding in enumerate((first, second, third), 1):
                await self.opened(server, 3)
                await holding.send(held_with)
                if held_with in (GET, POST + b"Content-Length: 9\r\n\r\n"):
                    assert (await holding.answer())[0] == 200, number
            async with client(server) as honest:
                await honest.send(GET)
                assert (await honest.answer())[0] == 200
                assert await first.ended()
            async with client(server) as honest:
                await honest.send(GET)
                assert (await honest.answer())[0] == 200

    async def test_whoever_is_being_answered_keeps_it(self, server: Server) -> None:
        server.held = asyncio.Event()
        async with client(server) as first, client(server) as second, client(server) as third:
            for asking in (first, second, third):
                await asking.send(GET.replace(b"quick", b"slow"))
            await eventually(lambda: asked(server), until=lambda n: n == 3)
            async with client(server) as late:
                assert await late.refusal() == (503, "unavailable")
            server.held.set()
            for asking in (first, second, third):
                assert (await asking.answer())[0] == 200

    async def test_many_requests_before_the_first_answer(self, server: Server) -> None:
        """They would wait in memory, however many they are."""
        server.held = asyncio.Event()
        async with client(server) as stranger:
            await stranger.send(GET.replace(b"quick", b"slow") + GET * 10_000)
            assert await stranger.ended()
        assert server.asked == 1
        async with client(server) as honest:
            server.held.set()
            await honest.send(GET * 20)
            assert [(await honest.answer())[0] for _ in range(20)] == [200] * 20


async def asked(server: Server) -> int:
    return server.asked


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="Linux's")
@pytest.mark.parametrize("requests", [1, 3])
async def test_whoever_does_not_take_the_answer_is_dropped(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, requests: int
) -> None:
    """Also when others of its requests wait behind; and nothing of it is an error of ours."""
    monkeypatch.setattr(listening, "UNREAD_SECONDS", 0.5)
    with caplog.at_level(logging.WARNING), socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
        async with serving() as server:
            stranger.connect(("127.0.0.1", server.port))
            stranger.sendall(GET.replace(b"quick", b"large") * requests)
            await eventually(lambda: asked(server), until=lambda n: n >= 1)
            await eventually(server.open, until=lambda n: n == 0)
    assert not caplog.records


@pytest.mark.parametrize(
    ("proxies", "client"),
    [
        ("127.0.0.1", "203.0.113.9"),
        ("10.0.0.1", "127.0.0.1"),
        ("10.0.0.1, 127.0.0.0/8", "203.0.113.9"),
    ],
)
async def test_only_a_trusted_proxy_says_who_the_client_is(proxies: str, client: str) -> None:
    """FORWARDED_ALLOW_IPS. What a client says of itself beforehand, the proxy has put behind."""
    async with serving(proxies) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(HEAD + b"X-Forwarded-For: 198.51.100.1, 203.0.113.9\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        await writer.wait_closed()
    assert server.client == client
