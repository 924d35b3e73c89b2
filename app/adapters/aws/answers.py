"""How much of an answer of AWS is read, and for how long: botocore reads all that comes."""

from __future__ import annotations

import io
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.client import HTTPResponse
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSPreparedRequest,
    AWSResponse,
)
from botocore.exceptions import ConnectionClosedError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import HTTPError
from urllib3.exceptions import ReadTimeoutError as SocketTimeout

MEGABYTE = 1024 * 1024
MOST_BYTES = {"sqs": 24 * MEGABYTE}
"""By service. Of SQS ten messages come at once, of 1 MB each, and JSON may double them."""
OTHERS_MOST_BYTES = MEGABYTE
"""The longest of the others, a page of 1,000 suppressed addresses, has some 400 KB."""
SECONDS = 60.0
"""For a head, from the request's end, and again for a body. A single read has a limit of its own,
which an answer that trickles never meets."""
_PIECE_BYTES = 64 * 1024


class AnswerTooLarge(HTTPClientError):
    fmt = "The answer is larger than {most} bytes."


class AnswerTooSlow(HTTPClientError):
    fmt = "The answer isn't all there after {seconds} s."


def bound_answers(client: Any, service: str, seconds: float = SECONDS) -> None:
    """Have a boto3 client read no more than it may.

    Its session is the only place that sees an answer before its body is read, and the session's
    connections before its head; botocore has no setting and no event for that.
    """
    endpoint = client._endpoint  # noqa: SLF001
    session = endpoint.http_session
    if isinstance(session, BoundedSession):  # it was before: with another limit now
        session = session.inner
    session._pool_classes_by_scheme.update(_pools(seconds))  # noqa: SLF001
    most = MOST_BYTES.get(service, OTHERS_MOST_BYTES)
    endpoint.http_session = BoundedSession(session, most, seconds)


def _pools(seconds: float) -> dict[str, type[AWSHTTPConnectionPool | AWSHTTPSConnectionPool]]:
    """botocore's own, whose answers have a head within that time."""
    answer = {"response_class": staticmethod(partial(_Answer, seconds=seconds))}
    plain = type("BoundedConnection", (AWSHTTPConnection,), answer)
    secure = type("BoundedSecureConnection", (AWSHTTPSConnection,), answer)
    return {
        "http": type("BoundedPool", (AWSHTTPConnectionPool,), {"ConnectionCls": plain}),
        "https": type("BoundedSecurePool", (AWSHTTPSConnectionPool,), {"ConnectionCls": secure}),
    }


class _Answer(HTTPResponse):
    """Made when the request is on its way."""

    def __init__(self, sock: socket.socket, *arguments: Any, seconds: float, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self._timed = _Timed(sock, self.fp.detach(), time.monotonic() + seconds)
        self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        """Read the head. Raises TimeoutError, as when nothing comes at all."""
        super().begin()
        self._timed.head_is_there()


class _Timed(io.RawIOBase):
    """What comes through a socket; until the head is there, no later than it may."""

    def __init__(self, sock: socket.socket, raw: io.RawIOBase, ends: float) -> None:
        self._sock, self._raw = sock, raw
        self._ends: float | None = ends
        self._patience = sock.gettimeout()

    def head_is_there(self) -> None:
        self._ends = None
        if not self.closed:
            self._sock.settimeout(self._patience)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._ends is not None:
            left = self._ends - time.monotonic()
            if left <= 0:
                raise TimeoutError("the head of the answer isn't all there")
            self._sock.settimeout(left if self._patience is None else min(left, self._patience))
        return self._raw.readinto(buffer)

    def fileno(self) -> int:
        return self._raw.fileno()

    def close(self) -> None:
        self._raw.close()
        super().close()


@dataclass
class _Kept:
    """What was read, in the form that AWSResponse reads."""

    body: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.body


class BoundedSession:
    """botocore's way to the network, bodies that somebody asked for as a stream left to be read."""

    def __init__(self, session: URLLib3Session, most: int, seconds: float) -> None:
        self.inner, self._most, self._seconds = session, most, seconds

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Raises botocore's exceptions, as `URLLib3Session.send` does."""
        is_stream = request.stream_output
        request.stream_output = True  # so that it is left to be read
        answer = self.inner.send(request)
        if is_stream and answer.status_code < 300:
            return answer
        try:
            body = self._body(answer.raw, is_refusal=answer.status_code >= 300)
        except SocketTimeout as exc:
            raise ReadTimeoutError(endpoint_url=request.url, error=exc) from exc
        except (HTTPError, OSError) as exc:
            raise ConnectionClosedError(
                error=exc, request=request, endpoint_url=request.url
            ) from exc
        return AWSResponse(answer.url, answer.status_code, answer.raw.headers, _Kept(body))

    def close(self) -> None:
        self.inner.close()

    def _body(self, raw: Any, *, is_refusal: bool) -> bytes:
        """All of it, or of a refusal the beginning: its status has said already what matters."""
        ends = time.monotonic() + self._seconds
        most = min(self._most, OTHERS_MOST_BYTES) if is_refusal else self._most
        body = bytearray()
        trouble: HTTPClientError | None = None
        try:
            while trouble is None and (piece := raw.read1(_PIECE_BYTES)):
                body += piece
                if len(body) > most:
                    trouble = AnswerTooLarge(most=most)
                elif time.monotonic() > ends:
                    trouble = AnswerTooSlow(seconds=self._seconds)
        except BaseException:
            raw.close()
            raise
        if trouble is not None:
            raw.close()  # with its connection: the rest is still to come
            if not is_refusal:
                raise trouble
        return bytes(body)
