"""A workspace of Slack with one channel, one bot and one incoming webhook.

Made from Slack's documentation: docs.slack.dev, "Sending messages using incoming webhooks",
chat.postMessage, chat.update, auth.test, "Rate limits" and "Formatting message text".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.sandbox.slack.blocks import (
    CONTROL,
    Invalid,
    check,
    labelled,
    require_escaped,
    text_objects,
    unescaped,
)

MOST_KEPT = 500
CHANNEL, NAME = "C0123456789", "newsletter"
# Split, since they look like real ones.
TOKEN = "xoxb-" + "1111111111-2222222222-AbCdEfGhIjKlMnOpQrStUvWx"
SECRET_PATH = "/services/T00000001/B00000001/" + "aBcDeFgHiJkLmNoPqRsTuVwX"

_BROADCAST = re.compile(r"(?<![\w.])@(here|channel|everyone)\b")


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Posted:
    """A message as it stands. history: its texts and blocks before it was changed."""

    channel: str
    ts: str
    text: str
    blocks: list[dict[str, Any]]
    arguments: dict[str, Any]
    thread_ts: str | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    deleted: bool = False

    @property
    def shown(self) -> str:
        """All that a reader sees, as text. Raises ValueError where something isn't escaped."""
        texts = [one["text"] for one in text_objects(self.blocks)] or [self.text]
        return unescaped(require_escaped("\n".join(labelled(text) for text in texts)))

    @property
    def lines(self) -> list[dict[str, str]]:
        """Of the texts above each other: what begins a line in bold, and the rest."""
        texts = [one["text"]["text"] for one in self.blocks if "text" in one] or [self.text]
        found = [re.match(r"(?:\*([^*]*)\*)?(.*)", line) for t in texts for line in t.split("\n")]
        return [
            {"bold": unescaped(labelled(m[1] or "")), "rest": unescaped(labelled(m[2]))}
            for m in found
            if m is not None
        ]

    @property
    def fields(self) -> dict[str, str]:
        found = [one for block in self.blocks for one in block.get("fields", [])]
        pairs = [unescaped(one["text"]).replace("*", "").partition("\n") for one in found]
        return {name: value for name, _, value in pairs}

    @property
    def links(self) -> list[str]:
        texts = [self.text, *(one["text"] for one in text_objects(self.blocks))]
        controls = [inner for text in texts for inner in CONTROL.findall(text)]
        return [one.partition("|")[0] for one in controls if not one.startswith(("!", "@", "#"))]

    @property
    def pings(self) -> list[str]:
        """Whom it notifies beside those who follow the channel."""
        found = []
        for one in [{"type": "mrkdwn", "text": self.text}, *text_objects(self.blocks)]:
            if one["type"] != "mrkdwn":
                continue
            found += [c for c in CONTROL.findall(one["text"]) if c.startswith(("!", "@"))]
            is_fallback = one.get("text") is self.text
            parsed = self.arguments.get("parse") in ("full", "client") or not (
                is_fallback or one.get("verbatim")
            )
            if parsed:
                found += _BROADCAST.findall(one["text"])
        return found


@dataclass
class Fault:
    """reply: instead of Slack's. after: what was asked for is done all the same. times: None:
    until `heal`."""

    reply: Answer
    after: bool = False
    times: int | None = None


class SlackWorkspace:
    """The latest MOST_KEPT messages, and how it fails on command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        self.messages: list[Posted] = []
        self.asked: list[str] = []
        self.token_error: str | None = None
        self.channel_error: str | None = None
        self.webhook_error: tuple[int, str] | None = None
        self.scopes = "chat:write,chat:write.public"
        self.fault: Fault | None = None
        self._clock = 1_760_000_000

    @property
    def there(self) -> list[Posted]:
        """What stands in the channel, replies aside."""
        return [one for one in self.messages if not one.deleted and one.thread_ts is None]

    @property
    def replies(self) -> list[Posted]:
        return [one for one in self.messages if not one.deleted and one.thread_ts]

    @property
    def only(self) -> Posted:
        [one] = self.there
        return one

    def throttle(self, seconds: int, times: int | None = None) -> None:
        body = b'{"ok":false,"error":"ratelimited"}'
        self.fault = Fault(Answer(429, body, {"Retry-After": str(seconds)}), times=times)

    def fail(self, status: int, body: bytes = b"", *, after: bool = False, times: int = 0) -> None:
        self.fault = Fault(Answer(status, body), after, times or None)

    def heal(self) -> None:
        self.fault = self.token_error = self.channel_error = self.webhook_error = None

    # -- answers

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """What a request to this path gets."""
        with self._lock:
            asked = path.rpartition("/")[2] if path.startswith("/api/") else "webhook"
            self.asked = [*self.asked, asked][-MOST_KEPT:]
            fault = self.fault
            if fault is not None:
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times <= 0:
                        self.fault = None
                if fault.after:
                    self._answer(path, body, headers)
                return fault.reply
            return self._answer(path, body, headers)

    def _answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if path.startswith("/services/"):
            return self._webhook(path, body, headers)
        if not path.startswith("/api/"):
            return Answer(404, b"not found")
        headers = {name.lower(): value for name, value in headers.items()}
        try:
            said = self._method(path.removeprefix("/api/"), body, headers)
        except Invalid as exc:
            return _json({"ok": False, "error": str(exc)})
        return Answer(200, orjson.dumps({"ok": True, **said}), {"x-oauth-scopes": self.scopes})

    def _webhook(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if path != SECRET_PATH:
            return Answer(403, b"invalid_token")
        if self.webhook_error is not None:
            return Answer(self.webhook_error[0], self.webhook_error[1].encode())
        try:
            asked = orjson.loads(body)
        except ValueError:
            return Answer(400, b"invalid_payload")
        if not isinstance(asked, dict):
            return Answer(400, b"invalid_payload")
        try:
            self._post(CHANNEL, asked)
        except Invalid as exc:
            return Answer(400, str(exc).encode())
        return Answer(200, b"ok")

    def _method(self, method: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        bearer = headers.get("authorization", "")
        if not bearer.startswith("Bearer "):
            raise Invalid("not_authed")
        if self.token_error or bearer != f"Bearer {TOKEN}":
            raise Invalid(self.token_error or "invalid_auth")
        if method == "auth.test":
            return {"url": "https://example.slack.com/", "team": "Example", "user": "mailer"}
        if not headers.get("content-type", "").startswith("application/json"):
            raise Invalid("invalid_form_data")
        try:
            asked = orjson.loads(body)
        except ValueError:
            raise Invalid("invalid_json") from None
        if "chat:write" not in self.scopes.split(","):
            raise Invalid("missing_scope")
        match method:
            case "chat.postMessage":
                if asked.get("channel") not in (CHANNEL, NAME, f"#{NAME}"):
                    raise Invalid("channel_not_found")
                return self._said(self._post(CHANNEL, asked))
            case "chat.update":
                return self._said(self._update(asked))
            case _:
                raise Invalid("unknown_method")

    def _post(self, channel: str, asked: dict[str, Any]) -> Posted:
        if self.channel_error:
            raise Invalid(self.channel_error)
        check(asked)
        thread = asked.get("thread_ts")
        if thread is not None and self._find(thread) is None:
            raise Invalid("thread_not_found")
        self._clock += 1
        posted = Posted(
            channel,
            f"{self._clock}.000100",
            asked.get("text", ""),
            asked.get("blocks", []),
            asked,
            thread,
        )
        self.messages = [*self.messages, posted][-MOST_KEPT:]
        return posted

    def _update(self, asked: dict[str, Any]) -> Posted:
        if asked.get("channel") != CHANNEL:  # an id alone
            raise Invalid("channel_not_found")
        if self.channel_error:
            raise Invalid(self.channel_error)
        found = self._find(str(asked.get("ts")))
        if found is None:
            raise Invalid("message_not_found")
        check(asked)
        found.history.append({"text": found.text, "blocks": found.blocks})
        found.text, found.blocks = asked.get("text", ""), asked.get("blocks", [])
        found.arguments = asked
        return found

    def _find(self, ts: str) -> Posted | None:
        found = [one for one in self.messages if one.ts == ts and not one.deleted]
        return found[0] if found else None

    @staticmethod
    def _said(posted: Posted) -> dict[str, Any]:
        return {
            "channel": posted.channel,
            "ts": posted.ts,
            "message": {"text": posted.text, "blocks": posted.blocks},
        }


def _json(value: dict[str, Any]) -> Answer:
    return Answer(200, orjson.dumps(value))
