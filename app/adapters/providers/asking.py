"""One request to a provider's API, and how it ended. Blocking: call it from threads.

No redirect is followed and no proxy of the environment asked: either would lead the key and the
recipients elsewhere. Nothing is repeated here: neither provider knows idempotency, so that a second
request may be a second mail.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from typing import Any

import httpcore
import httpx

from app import __version__
from app.domain.providers.answers import (
    CERTIFICATE,
    LOST,
    NOT_CONNECTED,
    TOO_SLOW,
    Reply,
    not_prepared,
)
from app.domain.sending.fence import Fence, LeaseLost
from app.domain.ses.answers import Answer

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
CALL_SECONDS = 60.0
"""A whole request. An answer that trickles would hold a thread for ever."""
KEPT_BYTES = 20_000
"""How much of an answer is read: what it says stands near its start."""


class _Deadline(threading.local):
    """Until when the request of this thread may read; monotonic."""

    ends = math.inf


class _Network(httpcore.SyncBackend):
    """httpcore's, whose connections read no longer than that. Its own limit is one for each read,
    which a head that trickles never meets."""

    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        return _Stream(super().connect_tcp(*arguments, **named), self._deadline)


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._deadline.ends - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("the answer isn't all there")
        return self._stream.read(max_bytes, left if timeout is None else min(left, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, timeout)

    def close(self) -> None:
        self._stream.close()

    def start_tls(self, *arguments: Any, **named: Any) -> httpcore.NetworkStream:
        return _Stream(self._stream.start_tls(*arguments, **named), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class Asking:
    """One client for the life of the process; threads may share it."""

    def __init__(self, *, max_connections: int, call_seconds: float = CALL_SECONDS) -> None:
        self._call_seconds = call_seconds
        self._deadline = _Deadline()
        transport = httpx.HTTPTransport(
            trust_env=False,
            limits=httpx.Limits(
                max_connections=max_connections, max_keepalive_connections=max_connections
            ),
        )
        transport._pool._network_backend = _Network(self._deadline)  # noqa: SLF001  no setting of httpx's
        self._http = httpx.Client(
            transport=transport,
            follow_redirects=False,
            trust_env=False,
            timeout=httpx.Timeout(min(READ_SECONDS, call_seconds), connect=CONNECT_SECONDS),
            # What comes packed may unpack to a thousand times as much before anybody counts it.
            headers={"User-Agent": f"amazonsender/{__version__}", "Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._http.close()

    def post(
        self,
        fence: Fence,
        url: str,
        content: bytes,
        headers: dict[str, str],
        *,
        auth: tuple[str, str] | None = None,
    ) -> Reply | Answer:
        """The provider's answer; or, when none came, what that means for everybody in the call.

        fence: looked at right before the request leaves. auth: user and password.
        """
        return self._ask(fence, "POST", url, content, headers, auth)

    def get(
        self, url: str, headers: dict[str, str], *, auth: tuple[str, str] | None = None
    ) -> Reply | Answer:
        """The same for a question, which changes nothing."""
        return self._ask(Fence(math.inf), "GET", url, None, headers, auth)

    def _ask(
        self,
        fence: Fence,
        method: str,
        url: str,
        content: bytes | None,
        headers: dict[str, str],
        auth: tuple[str, str] | None,
    ) -> Reply | Answer:
        try:
            request = self._http.build_request(method, url, content=content, headers=headers)
        except Exception as exc:  # noqa: BLE001  every way a call can end is an answer
            return not_prepared(exc)
        try:
            fence.check()
            return self._answer(request, auth)
        except LeaseLost as exc:
            return Answer("requeue", "lease_lost", str(exc))
        except httpx.ConnectError as exc:
            return CERTIFICATE if _is_certificate_error(exc) else NOT_CONNECTED
        except (httpx.ConnectTimeout, httpx.PoolTimeout):
            return NOT_CONNECTED
        except (httpx.UnsupportedProtocol, httpx.LocalProtocolError) as exc:
            return not_prepared(exc)
        except httpx.TimeoutException:
            return TOO_SLOW
        except Exception:  # noqa: BLE001  whatever it was, bytes may have left
            return LOST

    def _answer(self, request: httpx.Request, auth: tuple[str, str] | None) -> Reply | Answer:
        ends = self._deadline.ends = time.monotonic() + self._call_seconds
        response = self._http.send(request, stream=True, auth=auth)
        try:
            text = _start_of(response, ends)
        finally:
            response.close()
        return Reply(
            status=response.status_code,
            text=text,
            message_id=response.headers.get("x-message-id"),
            limit_resets=response.headers.get("x-ratelimit-reset"),
        )


def _start_of(response: httpx.Response, ends: float) -> str:
    """What the body says, as far as it comes: the status has said already what matters most."""
    kept = b""
    try:
        for part in response.iter_raw():
            kept += part
            if len(kept) >= KEPT_BYTES or time.monotonic() > ends:
                break
    except httpx.HTTPError:
        pass
    return kept[:KEPT_BYTES].decode("utf-8", "replace")


def _is_certificate_error(exc: BaseException | None) -> bool:
    while exc is not None:
        if isinstance(exc, ssl.SSLCertVerificationError):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
