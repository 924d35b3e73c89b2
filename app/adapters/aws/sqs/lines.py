"""Calls over connections that botocore made, by the event loop.

A call in a thread waits for Python's lock at each of ten system calls: those for ten messages
took 220 µs an event in threads, and 70 here. botocore opens each connection all the same, by a
whole call of its own in a thread, so proxies, certificates and refusals are its own; when that call
has ended, its connection comes here. httpx is no way: a call takes it 2 ms.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import httptools
from botocore.awsrequest import HeadersDict
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError

from app.adapters.aws.answers import (
    MOST_BYTES,
    OTHERS_MOST_BYTES,
    SECONDS,
    AnswerTooLarge,
    AnswerTooSlow,
)
from app.adapters.aws.prepared_calls import PreparedCalls
from app.adapters.aws.ses import READ_TIMEOUT
from app.adapters.aws.sqs.signing import SignedHead, ready_credentials

_PIECE_BYTES = 64 * 1024
_HEAD_BYTES = 64 * 1024
_NOT_NOW = (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


InThread = Callable[..., Awaitable[Any]]


class Lines:
    """in_thread: calls what blocks."""

    def __init__(self, in_thread: InThread) -> None:
        self._in_thread = in_thread
        self._free: list[Line] = []
        self._heads: dict[str, SignedHead | None] = {}
        self._is_closed = False

    async def send(self, call: PreparedCalls, body: bytes) -> Any:
        """The answer, whatever its status. Raises what boto3 raises when there is none."""
        request = self._signed(call, body)
        line = self._open_line() if request is not None else None
        if request is None or line is None:
            return await self._by_botocore(call, body)
        answer = await line.ask(request)
        self._keep(line)
        return answer

    def close(self) -> None:
        """Calls under way may end."""
        self._is_closed = True
        for line in self._free:
            line.close()

    def _signed(self, call: PreparedCalls, body: bytes) -> bytes | None:
        head = self._heads.get(call.model.name)
        credentials = ready_credentials(call.client) if head is not None else None
        return head.request(body, credentials) if head and credentials else None

    def _open_line(self) -> Line | None:
        while self._free:
            line = self._free.pop()
            if line.is_usable():
                return line
        return None

    def _keep(self, line: Line) -> None:
        if self._is_closed:
            line.close()
        else:
            self._free.append(line)

    async def _by_botocore(self, call: PreparedCalls, body: bytes) -> Any:
        answer, head, connection = await self._in_thread(self._whole, call, body)
        self._heads[call.model.name] = head
        if connection is not None:
            self._keep(Line(connection, call.template["url"]))
        return answer

    def _whole(self, call: PreparedCalls, body: bytes) -> tuple[Any, SignedHead | None, Any]:
        request = call.request(body)
        answer = call.send(request)
        session = call.client._endpoint.http_session  # noqa: SLF001
        return answer, SignedHead.of(request), session.take_connection(request.url)


class Line:
    """One connection, for one call at a time. connection: urllib3's, open."""

    def __init__(self, connection: Any, url: str) -> None:
        self._connection, self._url = connection, url
        self._socket = connection.sock
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._reading: _Reading | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unsent = b""
        self._is_open, self._waits_to_write = True, False
        self._loop.add_reader(self._socket, self._read)

    def is_usable(self) -> bool:
        """Whether the other side has left it open, as far as can be seen."""
        if self._is_open:
            self._read()
        return self._is_open

    async def ask(self, request: bytes) -> Answer:
        """Raises what botocore raises when there is no answer."""
        reading = self._reading = _Reading(self._loop.create_future())
        self._timer = self._loop.call_later(READ_TIMEOUT, self._late, reading)
        self._unsent = request
        try:
            self._write()
            answer = await reading.whole
        except BaseException:  # nobody knows what is still to come
            self.close()
            raise
        finally:
            self._reading = None
            self._timer.cancel()
        if self._unsent or not reading.leaves_open:
            self.close()
        return answer

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._connection.close()

    def _write(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except _NOT_NOW:
            pass
        except OSError as exc:
            self._fail(exc)
            return
        if self._unsent and not self._waits_to_write:
            self._loop.add_writer(self._socket, self._write)
        elif self._waits_to_write and not self._unsent:
            self._loop.remove_writer(self._socket)
        self._waits_to_write = bool(self._unsent)

    def _read(self) -> None:
        """All that is there: of TLS, several pieces may stand behind one sign of it."""
        try:
            while self._reading is None or not self._reading.whole.done():
                piece = self._socket.recv(_PIECE_BYTES)
                if self._reading is None:  # its end, or what nobody asked for
                    self.close()
                    return
                self._reading.take(piece)
        except _NOT_NOW:
            return
        except Exception as exc:  # noqa: BLE001  whatever it is, who waits is told
            self._fail(exc)

    def _late(self, reading: _Reading) -> None:
        """The head has as long as a piece has of botocore; a body has longer from then on."""
        if reading.status and not reading.is_late:
            reading.is_late = True
            self._timer = self._loop.call_later(SECONDS, self._late, reading)
        elif reading.status:
            self._fail(AnswerTooSlow(seconds=SECONDS))
        else:
            self._fail(ReadTimeoutError(endpoint_url=self._url, error="no head in time"))

    def _fail(self, error: Exception) -> None:
        if not isinstance(error, HTTPClientError):
            error = ConnectionClosedError(endpoint_url=self._url, error=error)
        if self._reading is None:
            self.close()
        elif not self._reading.whole.done():
            self._reading.whole.set_exception(error)


@dataclass(frozen=True)
class Answer:
    """As much of botocore's AWSResponse as its parser looks at."""

    status_code: int
    content: bytes
    headers: HeadersDict


class _Reading:
    """What httptools tells of an answer. leaves_open: another call may follow."""

    def __init__(self, whole: asyncio.Future[Answer]) -> None:
        self.whole = whole
        self.status = 0
        self.is_late = self.leaves_open = False
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._before_body = self._length = 0

    def take(self, piece: bytes) -> None:
        """piece: empty at the connection's end. Raises what makes no answer of it."""
        if not piece:
            self._end()
            return
        self._parser.feed_data(piece)
        if not self.status:
            self._before_body += len(piece)
            if self._before_body > _HEAD_BYTES:
                raise AnswerTooLarge(most=_HEAD_BYTES)
        is_refusal = self.status >= HTTPStatus.MULTIPLE_CHOICES
        most = OTHERS_MOST_BYTES if is_refusal else MOST_BYTES["sqs"]
        if self._length > most and not is_refusal:
            raise AnswerTooLarge(most=most)
        if self._length > most and not self.whole.done():
            self._finish()  # its status has said already what matters

    def on_message_begin(self) -> None:
        self.leaves_open = False  # also when another answer follows that nobody asked for

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= HTTPStatus.OK and not self.status:
            self.status = status

    def on_body(self, piece: bytes) -> None:
        self._length += len(piece)
        self._body.append(piece)

    def on_message_complete(self) -> None:
        if not self.status:  # "100 Continue", say
            self._headers.clear()
        elif not self.whole.done():
            self.leaves_open = self._parser.should_keep_alive()
            self._finish()

    def _end(self) -> None:
        if not self.status or self._headers.keys() & {"content-length", "transfer-encoding"}:
            raise ConnectionResetError("the connection ended before the answer did")
        self._finish()

    def _finish(self) -> None:
        body = b"".join(self._body)
        self.whole.set_result(Answer(self.status, body, HeadersDict(self._headers)))
