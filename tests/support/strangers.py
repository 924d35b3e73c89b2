"""Servers in place of SES or of Supabase's API, over real sockets; a test says what they answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import orjson

from tests.support.local_server import LocalServer, Reply

GOOD_ACCOUNT: dict[str, Any] = {
    "SendQuota": {"MaxSendRate": 1e5, "Max24HourSend": -1, "SentLast24Hours": 0},
    "SendingEnabled": True,
    "ProductionAccessEnabled": True,
    "EnforcementStatus": "HEALTHY",
}


class StrangeSes(LocalServer):
    """Its account is in order; a call to send gets what `send` gives for its recipients.

    calls: the recipients of each.
    """

    def __init__(self, send: Callable[[list[str]], Reply]) -> None:
        self.send = send
        self.calls: list[list[str]] = []

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
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


class InBetween(LocalServer):
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

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        own = self._say(path.rpartition("/")[2])
        if own is not None and not self._after:
            return own
        kept = {k: v for k, v in headers.items() if k.lower() not in {"host", "content-length"}}
        answer = self._http.post(self._upstream + path, content=body, headers=kept, timeout=30)
        return own or Reply(
            answer.status_code, answer.content, {"Content-Type": "application/json"}
        )
