"""How much of an answer of AWS is read, and for how long: botocore reads all that comes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
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
"""For a body. A single read has a limit of its own, which an answer that trickles never meets."""
_PIECE_BYTES = 64 * 1024


class AnswerTooLarge(HTTPClientError):
    fmt = "The answer is larger than {most} bytes."


class AnswerTooSlow(HTTPClientError):
    fmt = "The answer isn't all there after {seconds} s."


def bound_answers(client: Any, service: str, seconds: float = SECONDS) -> None:
    """Have a boto3 client read no more than it may.

    Its session is the only place that sees an answer before it is read; botocore has no setting
    and no event for that.
    """
    endpoint = client._endpoint  # noqa: SLF001
    most = MOST_BYTES.get(service, OTHERS_MOST_BYTES)
    endpoint.http_session = BoundedSession(endpoint.http_session, most, seconds)


@dataclass
class _Kept:
    """What was read, in the form that AWSResponse reads."""

    body: bytes

    def stream(self) -> Iterator[bytes]:
        yield self.body


class BoundedSession:
    """botocore's way to the network, bodies that somebody asked for as a stream left to be read."""

    def __init__(self, session: URLLib3Session, most: int, seconds: float) -> None:
        self._session, self._most, self._seconds = session, most, seconds

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Raises botocore's exceptions, as `URLLib3Session.send` does."""
        is_stream = request.stream_output
        request.stream_output = True  # so that it is left to be read
        answer = self._session.send(request)
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
        self._session.close()

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
