"""Calls of SQS by the event loop: over botocore's connections, in botocore's words, within its
limits."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from app.adapters.aws.answers import MOST_BYTES, AnswerTooLarge, AnswerTooSlow
from app.adapters.aws.sqs import lines as module
from app.adapters.aws.sqs.calls import SqsCalls
from app.adapters.aws.sqs.lines import Lines
from app.adapters.aws.sqs.queue import SqsQueue, sqs_client
from app.errors import QueueAway
from app.running.event_loop import run
from tests.support.certificates import self_signed, server_context
from tests.support.service import settings_for

EMPTY = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Writer = asyncio.StreamWriter
Manner = Callable[[Writer], Awaitable[None]]


def saying(*pieces: bytes, then_close: bool = False) -> Manner:
    async def say(writer: Writer) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        if then_close:
            writer.close()

    return say


class Queue:
    """What stands for SQS. asked: each request as it came, with its connection's number; manner: of
    all answers from now on."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, bytes]] = []
        self.manner: Manner = saying(EMPTY)
        self.connections = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: Writer) -> None:
        self.connections += 1
        number = self.connections
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
                self.asked.append((number, head + body))
                await self.manner(writer)
        except (asyncio.IncompleteReadError, OSError):
            writer.close()


@asynccontextmanager
async def a_queue(tls: ssl.SSLContext | None = None) -> AsyncIterator[Queue]:
    queue = Queue()
    server = await asyncio.start_server(queue.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    queue.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield queue
    finally:
        server.close()


class Caller:
    def __init__(self, url: str, **credentials: str) -> None:
        settings = settings_for(
            "postgresql://unused", None, AWS_ENDPOINT_URL_SQS=url, **credentials
        )
        self.url = f"{url}/123456789012/events"
        self.client: Any = sqs_client(settings, self.url)
        self.calls = SqsCalls(self.client, self.url, wait_seconds=1, in_hand_seconds=60)
        self.threads = 0
        self.lines = Lines(self._in_thread)

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        self.threads += 1
        return await asyncio.to_thread(work, *arguments)

    async def receive(self) -> Any:
        call, body = self.calls.receiving(10)
        return self.calls.messages(call, await self.lines.send(call, body))

    async def delete(self, *receipts: str) -> Any:
        call, body = self.calls.deleting(receipts)
        return self.calls.not_deleted(call, await self.lines.send(call, body), len(receipts))


@asynccontextmanager
async def warm(**credentials: str) -> AsyncIterator[tuple[Queue, Caller]]:
    """Who has called once already: the next goes by the loop."""
    async with a_queue() as queue:
        caller = Caller(queue.url, **credentials)
        assert await caller.receive() == []
        assert caller.threads == 1
        yield queue, caller
        assert caller.threads == 1, "not by a thread"
        caller.lines.close()


def without_what_differs(request: bytes) -> dict[bytes, bytes]:
    """By name in small letters; their order says nothing (RFC 9110, section 5.3)."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    named = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    assert len(named.pop(b"amz-sdk-invocation-id")) == 36
    return {b"first line": first, b"body": body, **named}


@pytest.mark.parametrize("token", ["", "a-token-of-a-role/+="])
async def test_what_goes_over_the_wire_is_what_botocore_sends(
    token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signature and all, in the same second."""
    now = datetime.now(UTC)

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now

    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda *_, **__: now)
    monkeypatch.setattr("app.adapters.aws.sqs.signing.datetime", Stopped)
    given = {"AWS_SESSION_TOKEN": token} if token else {}
    async with warm(**given) as (queue, caller):
        await caller.receive()
        theirs, ours = (without_what_differs(request) for _, request in queue.asked)
        assert ours == theirs
        assert (b"x-amz-security-token" in ours) is bool(token)
        assert (
            queue.asked[0][1].partition(b"\r\n\r\n")[2]
            == queue.asked[1][1].partition(b"\r\n\r\n")[2]
        )
        assert [number for number, _ in queue.asked] == [1, 1], "over the same connection"
    async with a_queue() as queue:
        caller = Caller(queue.url, **given)
        receipts = ["AQEB+/=", 'a "quote" \\ and \n', "é 日 \U0001f600", "half \ud800", ""]
        queue.manner = saying(
            b"HTTP/1.1 200 OK\r\nContent-Length: 77\r\n\r\n"
            b'{"Successful":[{"Id":"0"},{"Id":"1"},{"Id":"2"},{"Id":"3"},{"Id":"4"}]}      '
        )
        assert await caller.delete(*receipts) == await caller.delete(*receipts) == []
        assert caller.threads == 1
        (_, theirs_whole), (_, ours_whole) = queue.asked
        assert without_what_differs(theirs_whole) == without_what_differs(ours_whole)
        caller.lines.close()


async def test_what_botocore_signs_otherwise_goes_by_botocore() -> None:
    """Another signer, or a header that somebody adds."""
    async with a_queue() as queue:
        caller = Caller(queue.url)
        caller.client.meta.events.register_first(
            "before-sign", lambda request, **_: request.headers.add_header("x-amz-more", "x")
        )
        for _ in range(2):
            assert await caller.receive() == []
        assert caller.threads == 2
        caller.lines.close()


async def test_credentials_that_end_are_fetched_in_a_thread() -> None:
    """To fetch them may take seconds; then calls go on by the loop, with the new ones."""
    async with a_queue() as queue:
        caller = Caller(queue.url)
        ends = [30, 7200]

        def fetch() -> dict[str, str]:
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()
            when = datetime.now(UTC) + timedelta(seconds=ends.pop(0))
            number = str(2 - len(ends))
            return {
                "access_key": f"AKID{number}", "secret_key": "s", "token": f"t{number}",
                "expiry_time": when.isoformat(),
            }  # fmt: skip

        first = await asyncio.to_thread(fetch)
        caller.client._request_signer._credentials = RefreshableCredentials.create_from_metadata(
            first, refresh_using=fetch, method="test"
        )
        for _ in range(3):
            await caller.receive()
        assert caller.threads == 1
        for _, request in queue.asked:
            assert b"Credential=AKID2/" in request
        caller.client._request_signer._credentials = None
        with pytest.raises(Exception, match="Unable to locate credentials"):
            await caller.receive()
        caller.lines.close()


async def test_a_connection_that_sqs_closes_is_made_anew() -> None:
    async with a_queue() as queue:
        caller = Caller(queue.url)
        queue.manner = saying(EMPTY, then_close=True)
        await caller.receive()
        queue.manner = saying(EMPTY)
        for _ in range(3):
            await asyncio.sleep(0.05)
            assert await caller.receive() == []
        assert [number for number, _ in queue.asked] == [1, 2, 2, 2]
        queue.manner = saying(EMPTY.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))
        await caller.receive()
        await caller.receive()
        assert [number for number, _ in queue.asked][3:] == [2, 2, 3]
        caller.lines.close()


@pytest.mark.parametrize(
    "pieces",
    [
        [
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
            b"1\r\n}\r\n0\r\n\r\n",
        ],
        [b"HTTP/1.1 100 Continue\r\n\r\n", EMPTY],
        [EMPTY[:20], EMPTY[20:40], EMPTY[40:]],
        [b"HTTP/1.1 200 OK\r\n\r\n{", b"}"],  # to the connection's end
        [b"HTTP/1.0 200 OK\r\ncontent-length:2\r\n\r\n{}"],
    ],
)
async def test_answers_of_every_form_are_read(pieces: list[bytes]) -> None:
    async with warm() as (queue, caller):
        queue.manner = saying(*pieces, then_close=True)
        assert await caller.receive() == []


async def test_a_refusal_comes_out_as_of_boto3() -> None:
    said = b'{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue"}'
    async with warm() as (queue, caller):
        queue.manner = saying(
            b"HTTP/1.1 400 Bad Request\r\nx-amzn-query-error: AWS.SimpleQueueService."
            b"NonExistentQueue;Sender\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)
        )
        with pytest.raises(Exception, match="NonExistentQueue") as ours:
            await caller.receive()
        with pytest.raises(Exception, match="NonExistentQueue") as theirs:
            await asyncio.to_thread(caller.calls.receive, 10)
        assert type(ours.value) is type(theirs.value)
        assert str(ours.value) == str(theirs.value)


async def trickle(writer: Writer) -> None:
    while True:
        writer.write(b"x-a: b\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def trickling_head(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await trickle(writer)


async def trickling_body(writer: Writer) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n")
    await trickle(writer)


async def endless(writer: Writer, head: bytes = b"HTTP/1.1 200 OK\r\n") -> None:
    writer.write(head)
    while True:
        writer.write(b"x-a: b\r\n" * 1000)
        await writer.drain()


async def endless_body(writer: Writer) -> None:
    await endless(writer, b"HTTP/1.1 200 OK\r\n\r\n")


async def endless_greetings(writer: Writer) -> None:
    while True:
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000)
        await writer.drain()


async def silence(_: Writer) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("manner", "error"),
    [
        (trickling_head, ReadTimeoutError), (trickling_body, AnswerTooSlow),
        (silence, ReadTimeoutError), (endless, AnswerTooLarge), (endless_body, AnswerTooLarge),
        (endless_greetings, AnswerTooLarge),
        (saying(EMPTY[:-1], then_close=True), ConnectionClosedError),
        (saying(EMPTY[:9], then_close=True), ConnectionClosedError),
        (saying(b"", then_close=True), ConnectionClosedError),
        (saying(b"220 smtp.example ESMTP\r\n"), ConnectionClosedError),
        (saying(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
         ConnectionClosedError),
    ],
)  # fmt: skip
async def test_an_answer_that_does_harm_ends_as_a_failure_of_its_own(
    manner: Manner, error: type[HTTPClientError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its connection with it."""
    monkeypatch.setattr(module, "READ_TIMEOUT", 0.3)
    monkeypatch.setattr(module, "SECONDS", 0.3)
    monkeypatch.setitem(MOST_BYTES, "sqs", 1_000_000)
    async with warm() as (queue, caller):
        queue.manner = manner
        with pytest.raises(error):
            await caller.receive()
        assert caller.lines._free == []


async def test_a_long_refusal_is_cut() -> None:
    async with warm() as (queue, caller):
        queue.manner = lambda writer: endless(writer, b"HTTP/1.1 503 Slow Down\r\n\r\n")
        with pytest.raises(Exception, match="503"):
            await caller.receive()


async def test_another_answer_behind_the_answer_is_nobodys() -> None:
    other = EMPTY.replace(b"{}", b"[]")
    async with a_queue() as queue:
        caller = Caller(queue.url)
        await caller.receive()
        queue.manner = saying(EMPTY + other)
        assert await caller.receive() == []
        queue.manner = saying(EMPTY)
        assert await caller.receive() == []
        assert [number for number, _ in queue.asked] == [1, 1, 2]
        caller.lines.close()


async def test_calls_side_by_side_have_a_connection_each() -> None:
    async with a_queue() as queue:
        caller = Caller(queue.url)
        for _ in range(3):
            await asyncio.gather(*(caller.receive() for _ in range(4)))
        assert caller.threads == queue.connections == 4
        caller.lines.close()


async def test_a_request_larger_than_the_sockets_buffer_goes_out_whole() -> None:
    async with a_queue() as queue:
        caller = Caller(queue.url)
        queue.manner = saying(
            b"HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\n" + b'{"Successful":[{"Id":"0"}]}'
        )
        for size in (1, 20_000_000):
            assert await caller.delete("r" * size) == []
        assert caller.threads == 1
        assert len(queue.asked[1][1]) > 20_000_000
        caller.lines.close()


async def test_the_ways_certificates_and_proxies_are_botocores(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Through a proxy's tunnel, and only to who has a certificate of AWS_CA_BUNDLE."""
    certificate = self_signed(tmp_path, "127.0.0.1")
    tunnels: list[bytes] = []

    async def tunnel(reader: asyncio.StreamReader, writer: Writer) -> None:
        tunnels.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0])
        port = int(tunnels[-1].split()[1].rpartition(b":")[2])
        there, back = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")

        async def pass_on(source: asyncio.StreamReader, target: Writer) -> None:
            while piece := await source.read(65536):
                target.write(piece)
            target.close()

        await asyncio.gather(pass_on(reader, back), pass_on(there, writer))

    proxy = await asyncio.start_server(tunnel, "127.0.0.1", 0)
    async with a_queue(server_context(certificate)) as queue:
        with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
            await Caller(queue.url).receive()
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        port = proxy.sockets[0].getsockname()[1]
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        long = b'{"Messages":[], "x":"' + b"y" * 200_000 + b'"}'
        queue.manner = saying(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(long), long)
        )
        caller = Caller(queue.url)
        for _ in range(3):
            assert await caller.receive() == []
        assert (caller.threads, len(tunnels)) == (1, 1)
        assert tunnels[0].startswith(b"CONNECT 127.0.0.1:")
        caller.lines.close()
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        caller = Caller(queue.url)
        for _ in range(3):
            assert await caller.receive() == []
        assert (caller.threads, len(tunnels)) == (1, 1)
        caller.lines.close()
    proxy.close()


async def test_it_goes_by_the_services_own_loop(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """uvloop, which watches sockets in its own way, and those of TLS."""
    certificate = self_signed(tmp_path, "127.0.0.1")
    monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))

    async def work() -> tuple[int, int]:
        async with a_queue(server_context(certificate)) as queue:
            caller = Caller(queue.url)
            for size in (0, 100_000, 3_000_000):
                head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size + 2)
                queue.manner = saying(head + b"{}" + b" " * size)
                assert await caller.receive() == []
            queue.manner = saying(b"", then_close=True)
            with pytest.raises(ConnectionClosedError):
                await caller.receive()
            return caller.threads, queue.connections

    assert await asyncio.to_thread(lambda: run(work())) == (1, 1)


async def test_a_plain_proxy_is_told_of_each_call_by_botocore(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It has to be told for whom it is."""
    async with a_queue() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        caller = Caller("http://sqs.example")
        for _ in range(3):
            assert await caller.receive() == []
        assert caller.threads == 3
        for _, request in proxy.asked:
            assert request.startswith(b"POST http://sqs.example/ HTTP/1.1\r\n")


async def test_a_queue_that_is_closed_says_so() -> None:
    async with a_queue() as server:
        settings = settings_for("postgresql://unused", None, AWS_ENDPOINT_URL_SQS=server.url)
        queue = SqsQueue(settings, f"{server.url}/123456789012/q", name="x", threads=2)
        assert await queue.take(10) == await queue.take(10) == []
        await queue.close()
        with pytest.raises(Exception, match="closed"):
            await queue.take(10)


async def test_what_fails_by_the_loop_is_told_in_our_words() -> None:
    async with a_queue() as server:
        settings = settings_for("postgresql://unused", None, AWS_ENDPOINT_URL_SQS=server.url)
        queue = SqsQueue(settings, f"{server.url}/123456789012/q", name="x", threads=2)
        await queue.take(10)
        server.manner = saying(b"", then_close=True)
        with pytest.raises(QueueAway, match="SQS can't be asked for the queue q"):
            await queue.take(10)
        await queue.close()
