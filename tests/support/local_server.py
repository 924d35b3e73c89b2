"""An HTTP server of a test's own, on a free port of this machine."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

import orjson


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


class _HttpServer(ThreadingHTTPServer):
    request_queue_size = 256  # SendEmail comes 32 times at once


class LocalServer(ABC):
    """Gives each request, GET or POST, what `respond` gives for it, in a thread of its own."""

    def __enter__(self) -> Self:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.do_POST()

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length)
                if len(body) < length:  # its sender went away in the middle
                    self.close_connection = True
                    return
                reply = owner.respond(self.path, body, dict(self.headers))
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_arguments: Any) -> None:
                """Quiet."""

        self._server = _HttpServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
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

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @abstractmethod
    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        """What a request gets."""
