"""Two ways into a channel of Slack: a bot with a token, and an incoming webhook.

Token and address are secrets: no error names them, nor has a cause that does. A redirect isn't
followed, since it would lead them elsewhere; no proxy of the environment is asked.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from pydantic import SecretStr

from app.adapters.slack.refusals import PASSING, refusal
from app.domain.slack.message import Message
from app.domain.slack.news import Place
from app.errors import SlackAway, SlackMessageGone
from app.outbound.bounded import AnswerRefused, bounded

STEP_SECONDS = 10.0
"""To connect, and between two parts of an answer."""
CALL_SECONDS = 20.0
"""One request, from its beginning to its end."""
MAX_ANSWER_BYTES = 256 * 1024
"""Slack answers with the whole message."""
SCOPE = "chat:write"

# A preview of the page that a message links to would be of its sign-in.
_NO_PREVIEWS = {"unfurl_links": False, "unfurl_media": False}
# Unlike chat.postMessage, chat.update by default makes links of what looks like names.
_NOTHING_PARSED = {"parse": "none", "link_names": False}
_WORD = re.compile(r"[a-z][a-z0-9_]{2,79}")


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace").strip()


class _Way:
    """An async context manager that closes its connections."""

    def __init__(self) -> None:
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=STEP_SECONDS,
            event_hooks=bounded(MAX_ANSWER_BYTES, CALL_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._http.aclose()

    async def _ask(self, url: str, body: dict[str, Any], **headers: str) -> _Answer:
        """Raises SlackAway, also for answers that aren't Slack's."""
        try:
            async with asyncio.timeout(CALL_SECONDS):
                answer = await self._read(url, body, headers)
        except (TimeoutError, httpx.HTTPError, ValueError) as exc:
            raise _away(exc) from None
        except httpx.InvalidURL:
            raise SlackAway("Slack's address is none.") from None
        seconds = _seconds(answer.headers.get("retry-after"))
        if answer.status == 429:
            wait = "a while" if seconds is None else f"{seconds:.0f} s"
            raise SlackAway(f"Slack asks to wait {wait}.", retry_after=seconds)
        if answer.status >= 500:
            raise SlackAway(f"Slack can't do it now (status {answer.status}).", retry_after=seconds)
        if 300 <= answer.status < 400:
            raise _not_slack("with a redirect, which isn't followed")
        return answer

    async def _read(self, url: str, body: dict[str, Any], headers: dict[str, str]) -> _Answer:
        try:
            answer = await self._http.post(url, json=body, headers=headers)
        except AnswerRefused:
            raise _not_slack("with far too much") from None
        return _Answer(answer.status_code, answer.headers, answer.content)


class SlackWebhook(_Way):
    """Posts to where the webhook was made for."""

    channel: str | None = None

    def __init__(self, url: SecretStr) -> None:
        super().__init__()
        self._url = url

    async def post(self, message: Message, *, under: Place | None = None) -> None:
        answer = await self._ask(
            self._url.get_secret_value(),
            {"text": message.text, "blocks": list(message.blocks), **_NO_PREVIEWS},
        )
        if answer.status < 300:
            # Programs that take Slack's messages, too, say other things than `ok`. A page, such as
            # one to sign in to a network, says that it went no further.
            if answer.text.startswith("<"):
                raise _not_slack("with a page")
            return
        code = answer.text if _WORD.fullmatch(answer.text) else f"status_{answer.status}"
        if code in PASSING:
            raise SlackAway(f"Slack can't do it now ({code}).")
        raise refusal(code, "webhook")

    async def update(self, place: Place, message: Message) -> None:
        raise SlackMessageGone("What an incoming webhook posted can't be changed.")

    async def check(self) -> None:
        """It can't be tried without posting."""


class SlackBot(_Way):
    """Posts into one channel, and changes what it has posted."""

    def __init__(self, token: SecretStr, channel: str, api_url: str) -> None:
        super().__init__()
        self._token, self._api_url, self.channel = token, api_url, channel

    async def post(self, message: Message, *, under: Place | None = None) -> Place:
        where: dict[str, Any] = {"channel": self.channel}
        if under is not None:
            where = {"channel": under.channel, "thread_ts": under.ts, "reply_broadcast": True}
        said, _ = await self._call(
            "chat.postMessage", {**where, **_written(message), **_NO_PREVIEWS}
        )
        if "channel" not in said or "ts" not in said:
            raise _not_slack("but not as Slack does")
        return Place(str(said["channel"]), str(said["ts"]), asked_for=self.channel)

    async def update(self, place: Place, message: Message) -> None:
        where = {"channel": place.channel, "ts": place.ts}
        await self._call("chat.update", {**where, **_written(message)})

    async def check(self) -> str:
        said, headers = await self._call("auth.test", {})
        scopes = headers.get("x-oauth-scopes")
        if scopes is not None and SCOPE not in [one.strip() for one in scopes.split(",")]:
            raise refusal("missing_scope", "bot")
        return f"{said.get('user', 'the bot')} in {said.get('team', 'its workspace')}"

    async def _call(
        self, method: str, arguments: dict[str, Any]
    ) -> tuple[dict[str, Any], httpx.Headers]:
        """What a method of the Web API answers, and the headers of that. It refuses with status
        200."""
        bearer = f"Bearer {self._token.get_secret_value()}"
        answer = await self._ask(f"{self._api_url}/{method}", arguments, Authorization=bearer)
        try:
            said = json.loads(answer.body)
        except (ValueError, RecursionError):
            said = None
        if not isinstance(said, dict) or not isinstance(said.get("ok"), bool):
            raise _not_slack("but not as Slack does")
        if said["ok"]:
            return said, answer.headers
        code = str(said.get("error"))
        if code in PASSING:
            seconds = _seconds(answer.headers.get("retry-after"))
            raise SlackAway(f"Slack can't do it now ({code}).", retry_after=seconds)
        raise refusal(code if _WORD.fullmatch(code) else "without a reason", "bot")


def _written(message: Message) -> dict[str, Any]:
    return {"text": message.text, "blocks": list(message.blocks), **_NOTHING_PARSED}


def _away(exc: Exception) -> SlackAway:
    if isinstance(exc, (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)):
        return SlackAway(f"Slack can't be reached ({type(exc).__name__}).")
    if isinstance(exc, (TimeoutError, httpx.TimeoutException)):
        return SlackAway("Slack doesn't answer in time.", is_unsure=True)
    return SlackAway(f"Slack's answer got lost ({type(exc).__name__}).", is_unsure=True)


def _not_slack(how: str) -> SlackAway:
    return SlackAway(
        f"Slack's address answers {how}. If it lasts, check the setting and what stands between "
        "this machine and Slack."
    )


def _seconds(retry_after: str | None) -> float | None:
    try:
        seconds = float(retry_after or "")
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
