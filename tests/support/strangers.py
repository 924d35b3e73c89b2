"""Others who answer in place of SES or of Supabase's API, over real sockets: say what you like."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import httpx
import orjson

GOOD_ACCOUNT: dict[str, Any] = {
    "SendQuota": {"MaxSendRate": 1e5, "Max24HourSend": -1, "SentLast24Hours": 0},
    "SendingEnabled": True,
    "ProductionAccessEnabled": True,
    "EnforcementStatus": "HEALTHY",
}


@dataclass(frozen=True)
class Reply:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Reply:
        return cls(status, orjson.dumps(value), headers)

    @classmethod
    def error(cls, code: str, message: str, status: int = 400) -> Reply:
        """A refusal of a call as SES writes it."""
        return cls.json({"message": message}, status, **{"x-amzn-errortype": code})


class _ManyAtOnce(ThreadingHTTPServer):
    request_queue_size = 256  # SendEmail comes 32 times at once


class _Server(ABC):
    """Answers each request with what `answer` gives for its path and body."""

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                reply = owner.answer(self.path, body, dict(self.headers))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_arguments: Any) -> None:
                """Quiet."""

        self._server = _ManyAtOnce(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self.close()

    def close(self) -> None:  # noqa: B027 - most have nothing
        """What is left to be closed."""

    @abstractmethod
    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """What a request gets."""


class StrangeSes(_Server):
    """Its account is in order; a call to send gets what `send` gives for its recipients.

    calls: the recipients of each.
    """

    def __init__(self, send: Callable[[list[str]], Reply]) -> None:
        self.send = send
        self.calls: list[list[str]] = []

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        if path == "/v2/email/account":
            return Reply.json(GOOD_ACCOUNT)
        if path not in {"/v2/email/outbound-bulk-emails", "/v2/email/outbound-emails"}:
            return Reply.json({}, 404)
        call = orjson.loads(body)
        entries = call.get("BulkEmailEntries") or [call]
        to = [entry["Destination"]["ToAddresses"][0] for entry in entries]
        self.calls.append(to)
        return self.send(to)


def accepted(to: list[str]) -> Reply:
    """SES takes everybody; fits calls of one recipient of both kinds."""
    results = [{"Status": "SUCCESS", "MessageId": f"m-{address}"} for address in to]
    return Reply.json({"BulkEmailEntryResults": results, "MessageId": f"m-{to[0]}"})


class InBetween(_Server):
    """A proxy before Supabase's API. say: its own answer to a call of this function; None: that of
    the API behind it, which is `upstream`. after: whether the API is asked all the same."""

    def __init__(
        self, upstream: str, say: Callable[[str], Reply | None], *, after: bool = False
    ) -> None:
        self._upstream = upstream
        self._say = say
        self._after = after
        self._http = httpx.Client(trust_env=False)

    def close(self) -> None:
        self._http.close()

    def answer(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        own = self._say(path.rpartition("/")[2])
        if own is not None and not self._after:
            return own
        kept = {k: v for k, v in headers.items() if k.lower() not in {"host", "content-length"}}
        answer = self._http.post(self._upstream + path, content=body, headers=kept, timeout=30)
        return own or Reply(
            answer.status_code, answer.content, {"Content-Type": "application/json"}
        )
