"""What Notion posts: events of the connection's subscription, signed, and the "Send webhook" action
of a database automation, which is not."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import random
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson

from app.sandbox.notion.config import NotionConfig
from app.sandbox.notion.model import schema, values
from app.sandbox.notion.model.answers import NEWEST, Answers
from app.sandbox.notion.model.check import Json
from app.sandbox.notion.model.records import Page, moment, new_id
from app.sandbox.notion.model.workspace import Event, Workspace

ATTEMPTS = 8
AUTOMATION_ATTEMPTS = 3
TIMEOUT_SECONDS = 15.0


@dataclass
class Automation:
    """Posts to `url` when the property's value becomes one of `values`, any when it is empty.
    properties: the names of those that are sent; None: all. A call that failed pauses it until a
    person resumes it."""

    url: str
    headers: dict[str, str]
    property: str = "Status"
    values: list[str] = field(default_factory=list)
    properties: list[str] | None = None
    id: str = field(default_factory=new_id)
    action_id: str = field(default_factory=new_id)
    paused: bool = False


@dataclass
class Post:
    """One thing to be posted. signed: with the subscription's token."""

    url: str
    body: Json
    signed: bool
    headers: Mapping[str, str] = field(default_factory=dict)
    automation: Automation | None = None
    attempts: int = 0
    answer: str = ""


class Webhooks:
    """held: events wait in `waiting` until they are released."""

    def __init__(self, config: NotionConfig, space: Workspace) -> None:
        self._config, self._space = config, space
        self.url = ""
        self.token = ""
        self.verified = False
        self.integration_id, self._subscription_id = new_id(), new_id()
        self.automations: list[Automation] = []
        self.held = False
        self.waiting: list[Post] = []
        self.posts: list[Post] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        space.listen.append(self.hear)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            self._client = client
            try:
                yield
            finally:
                self.stop()
                self._client = None

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()

    def adopt(self, old: Webhooks) -> None:
        """Go on with the connections of the one that was before a reset."""
        old.stop()
        self._client = old._client

    # The subscription

    async def subscribe(self, url: str, token: str | None = None) -> int:
        """Post the token to the endpoint, as when a person adds a webhook; gives its answer's
        status, 0 when there is none. It works once `verify` was called with it."""
        self.url, self.token = url, token or f"secret_{secrets.token_urlsafe(32)}"
        self.verified = False
        post = Post(url, {"verification_token": self.token}, signed=False)
        return await self._try(post)

    def verify(self, token: str) -> bool:
        """What the person pastes into Notion's settings."""
        self.verified = hmac.compare_digest(token, self.token) and bool(token)
        return self.verified

    # Events

    def hear(self, event: Event) -> None:
        if self.url and self.verified:
            self._send(Post(self.url, self._payload(event), signed=True))
        if event.type in ("page.properties_updated", "page.created"):
            for automation in self.automations:
                self._automate(automation, event)

    def _payload(self, event: Event) -> Json:
        return {
            "id": new_id(),
            "timestamp": moment(datetime.now(UTC)),
            "workspace_id": self._space.id,
            "workspace_name": "Letters",
            "subscription_id": self._subscription_id,
            "integration_id": self.integration_id,
            "authors": [{"id": event.author.id, "type": event.author.type}],
            "attempt_number": 1,
            "api_version": NEWEST,
            "entity": event.entity,
            "type": event.type,
            "data": event.data,
        }

    def _automate(self, automation: Automation, event: Event) -> None:
        page = self._space.things[event.entity["id"]]
        assert isinstance(page, Page)
        source = self._space.source_of(page)
        prop = schema.find(source.properties, automation.property) if source else None
        if automation.paused or source is None or prop is None:
            return
        if prop["id"] not in event.data.get("updated_properties", [prop["id"]]):
            return
        now = values.content(prop, page)
        name = now.get("name") if isinstance(now, dict) else now
        if (automation.values and name not in automation.values) or now in (None, []):
            return
        user = event.author.id if event.author.type == "person" else None
        self._send(self.action(automation, page, user))

    def action(self, automation: Automation, page: Page, user_id: str | None) -> Post:
        """The automation's call for a page, as it is posted."""
        answer = Answers(self._space, "2025-09-03").page(page)
        if automation.properties is not None:
            answer["properties"] = {
                name: value
                for name, value in answer["properties"].items()
                if name in automation.properties
            }
        source: Json = {
            "type": "automation",
            "automation_id": automation.id,
            "action_id": automation.action_id,
            "event_id": new_id(),
            "attempt": 1,
        }
        if user_id:
            source["user_id"] = user_id
        body = {"source": source, "data": {**answer, "request_id": new_id()}}
        return Post(automation.url, body, False, automation.headers, automation)

    # Posting

    def _send(self, post: Post) -> None:
        if self.held:
            self.waiting.append(post)
        else:
            self.start(post)

    def release(
        self, *, drop: float = 0, double: bool = False, shuffle: bool = False, seed: int = 0
    ) -> int:
        """Post what was held: without a share of them, each twice, in another order."""
        chance = random.Random(seed)  # noqa: S311 - nothing secret
        self.held, waiting = False, [p for p in self.waiting if chance.random() >= drop]
        self.waiting = []
        if double:
            waiting = [copy for post in waiting for copy in (post, self._again(post))]
        if shuffle:
            chance.shuffle(waiting)
        for post in waiting:
            self.start(post)
        return len(waiting)

    def _again(self, post: Post) -> Post:
        return Post(post.url, post.body, post.signed, post.headers, post.automation)

    def start(self, post: Post) -> None:
        self.posts.append(post)
        task = asyncio.get_running_loop().create_task(self._deliver(post))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self) -> None:
        """Until nothing is under way any more."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _deliver(self, post: Post) -> None:
        wait, longest = self._config.retry_delay
        tries = AUTOMATION_ATTEMPTS if post.automation else ATTEMPTS
        for attempt in range(1, tries + 1):
            if post.automation:
                post.body["source"]["attempt"] = attempt
            else:
                post.body["attempt_number"] = attempt
            if 200 <= await self._try(post) < 300:
                return
            if attempt < tries:
                await asyncio.sleep(wait)
                wait = min(2 * wait, longest)
        if post.automation:
            post.automation.paused = True

    async def _try(self, post: Post) -> int:
        raw = orjson.dumps(post.body)
        headers = {**post.headers, "Content-Type": "application/json"}
        if post.signed:
            digest = hmac.new(self.token.encode(), raw, hashlib.sha256).hexdigest()
            headers["X-Notion-Signature"] = f"sha256={digest}"
        post.attempts += 1
        assert self._client is not None
        try:
            answer = await self._client.post(post.url, content=raw, headers=headers)
        except httpx.HTTPError as error:
            post.answer = type(error).__name__
            return 0
        post.answer = str(answer.status_code)
        return answer.status_code

    def log(self) -> list[dict[str, Any]]:
        return [
            {
                "type": "automation" if post.automation else post.body.get("type"),
                "attempts": post.attempts,
                "answer": post.answer,
                "body": post.body,
            }
            for post in self.posts
        ]
