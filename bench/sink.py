"""A lean SES for measurements: takes SendBulkEmail, SendEmail and GetAccount and says yes.

It looks at nothing but the number of destinations, so that the sender is measured and not this.
`python -m bench.sink PORT [LATENCY_SECONDS [who]]`; `GET /stats` gives what it took, per second
too; with `who`, `GET /who` gives how often it took each row of the ledger, and when it took how
many of which mailout.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import sys
import time
from collections import Counter
from typing import cast

import httptools
import orjson
import uvloop

ACCOUNT = orjson.dumps(
    {
        "SendQuota": {"Max24HourSend": -1, "MaxSendRate": 1_000_000, "SentLast24Hours": 0},
        "SendingEnabled": True,
        "ProductionAccessEnabled": True,
        "EnforcementStatus": "HEALTHY",
    }
)


ROW = re.compile(rb'"send_log_id","Value":"(\d+)"')
MAILOUT = re.compile(rb'"mailout_id","Value":"([0-9a-f-]+)"')


class Figures:
    def __init__(self, keeps: bool) -> None:
        """keeps: who was mailed, for `who`."""
        self.keeps = keeps
        self.reset()

    def reset(self) -> None:
        self.mails = 0
        self.calls = 0
        self.bytes = 0
        self.first = 0.0
        self.last = 0.0
        self.arrivals: list[tuple[float, int]] = []
        self.bodies: list[tuple[float, bytes]] = []

    def took(self, mails: int, body: bytes) -> None:
        now, size = time.monotonic(), len(body)
        self.first = self.first or now
        self.last = now
        self.mails += mails
        self.calls += 1
        self.bytes += size
        self.arrivals.append((now, mails))
        if self.keeps:
            self.bodies.append((now, b" ".join(ROW.findall(body) + MAILOUT.findall(body)[:1])))

    def who(self) -> dict[str, object]:
        rows: Counter[bytes] = Counter()
        mailouts = []
        for at, kept in self.bodies:
            *ids, mailout = kept.split()
            rows.update(ids)
            mailouts.append((at, len(ids), mailout.decode()))
        return {"rows": {i.decode(): n for i, n in rows.items()}, "mailouts": mailouts}


class SinkProtocol(asyncio.Protocol):
    """One connection, keep-alive, no pipelining (boto3 doesn't)."""

    numbers = itertools.count(1)

    def __init__(self, figures: Figures, latency: float) -> None:
        self._figures = figures
        self._latency = latency
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._url, self._body = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"expect":  # botocore sends it for large bodies and waits
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        answer = self._answer(b"".join(self._body))
        if self._latency and self._url.startswith(b"/v2/email/outbound"):
            asyncio.get_running_loop().call_later(self._latency, self._write, answer)
        else:
            self._write(answer)

    def _answer(self, body: bytes) -> bytes:
        if self._url.startswith(b"/v2/email/outbound"):
            count = body.count(b'"Destination":')
            self._figures.took(count, body)
            ids = [f"{next(self.numbers):032x}" for _ in range(count)]
            if self._url == b"/v2/email/outbound-emails":
                return orjson.dumps({"MessageId": ids[0]})
            results = [{"Status": "SUCCESS", "MessageId": i} for i in ids]
            return orjson.dumps({"BulkEmailEntryResults": results})
        if self._url == b"/v2/email/account":
            return ACCOUNT
        if self._url == b"/who":
            return orjson.dumps(self._figures.who())
        if self._url == b"/reset":
            self._figures.reset()
            return b"{}"
        if self._url == b"/stats":
            f = self._figures
            return orjson.dumps(
                {
                    "mails": f.mails,
                    "calls": f.calls,
                    "bytes": f.bytes,
                    "seconds": f.last - f.first,
                    "first": f.first,
                    "arrivals": f.arrivals if len(f.arrivals) < 200_000 else [],
                }
            )
        return b"{}"

    def _write(self, answer: bytes) -> None:
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"x-amzn-RequestId: 00000000-0000-0000-0000-000000000000\r\nContent-Length: "
            + str(len(answer)).encode()
            + b"\r\n\r\n"
            + answer
        )


async def main(port: int, latency: float, keeps: bool) -> None:
    figures = Figures(keeps)
    server = await asyncio.get_running_loop().create_server(
        lambda: SinkProtocol(figures, latency), "127.0.0.1", port
    )
    print(f"sink ready on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    latency = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    uvloop.run(main(int(sys.argv[1]), latency, keeps="who" in sys.argv))
