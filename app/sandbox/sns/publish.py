"""The SNS topic: subscriptions, the handshake, and signed messages posted with retries."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
import secrets
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import httpx
import orjson

from app.domain.sending.backoff import backoff_seconds
from app.sandbox.config import SandboxConfig
from app.sandbox.faults import FaultInjector
from app.sandbox.ses.sets import ConfigurationSets
from app.sandbox.sns.events import FEEDBACK_KINDS, event_payload
from app.sandbox.sns.signing import SigningIdentity, new_message_id
from app.sandbox.store import Mail, PostedEvent, iso

HANDSHAKE_PAUSE_SECONDS = 1.0
SIGNED_AT_ONCE = 20
EVENT_SUBJECT = "Amazon SES Email Event Notification"
VALIDATED = "Successfully validated SNS topic for Amazon SES event publishing."


@dataclass(slots=True)
class Subscription:
    arn: str
    endpoint: str
    token: str
    confirmed: bool = False


@dataclass(slots=True)
class _Post:
    """A message on its way: to every subscription, or to one when it is repeated."""

    message: dict[str, str] | None  # None: built from `event` when its time has come
    event: tuple[str, Mail, str | None, Mapping[str, Any]] | None = None  # not of a repeat
    to: Subscription | None = None
    attempts: int = 0
    shown: PostedEvent | None = None


@dataclass(order=True, slots=True)
class _Due:
    at: float  # monotonic seconds
    order: int
    post: _Post = field(compare=False)


class Publisher:
    """Posts events to the confirmed subscriptions of the topic; keeps them until there is one.

    figures: `posted`, `retried`, `refused` (a 3xx or 4xx answer; never repeated), `given_up`,
    `dropped` and `duplicated` (by fault).
    """

    def __init__(
        self,
        config: SandboxConfig,
        identity: SigningIdentity,
        injector: FaultInjector,
        sets: ConfigurationSets,
    ) -> None:
        self._config, self._identity, self._injector = config, identity, injector
        self._sets = sets
        self._dice = random.Random(config.seed)  # noqa: S311 - delays, not secrets
        self.subscriptions: dict[str, Subscription] = {}
        self.figures: Counter[str] = Counter()
        self.signature_version: str = config.signature_version
        self._due: list[_Due] = []
        self._order = itertools.count()
        self._wake = asyncio.Event()
        # A client for each connection: httpcore's pool looks at all of its connections on every
        # request, which with 20 of them costs as much as everything else together.
        self._clients: asyncio.Queue[httpx.AsyncClient] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[_Post] = []
        self.holding = False

    # Life

    @contextlib.asynccontextmanager
    async def running(self) -> Any:
        """Post while the context is open; what is left then is dropped."""
        async with contextlib.AsyncExitStack() as stack:
            tls = httpx.create_ssl_context(trust_env=False)
            timeout = self._config.event_timeout
            for _ in range(self._config.event_connections):
                client = httpx.AsyncClient(verify=tls, timeout=timeout, trust_env=False)
                self._clients.put_nowait(await stack.enter_async_context(client))
            self._spawn(self._dispatch())
            if self._config.event_endpoint:
                self.subscribe(self._config.event_endpoint)
            try:
                yield
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # Subscriptions

    def subscribe(self, endpoint: str) -> Subscription:
        """Subscribe `endpoint` and ask it to confirm, every second until it does."""
        arn = f"{self._config.topic_arn}:{new_message_id()}"
        subscription = Subscription(arn, endpoint, secrets.token_hex(64))
        self.subscriptions[arn] = subscription
        self._spawn(self._handshake(subscription))
        return subscription

    def confirm(self, token: str) -> Subscription | None:
        """The subscription that `token` confirms; None for a wrong token. Harmless twice."""
        found = [s for s in self.subscriptions.values() if secrets.compare_digest(s.token, token)]
        if not found:
            return None
        if not found[0].confirmed:
            found[0].confirmed = True
            # SES publishes this plain text when an event destination is attached.
            self._push(_Post(self._notification(VALIDATED, subject=None), to=found[0]))
        return found[0]

    def unsubscribe(self, arn: str) -> None:
        self.subscriptions.pop(arn, None)

    async def _handshake(self, subscription: Subscription) -> None:
        timeout = self._config.event_timeout
        async with httpx.AsyncClient(timeout=timeout, trust_env=False) as client:
            while not subscription.confirmed and subscription.arn in self.subscriptions:
                message = self._confirmation(subscription)
                await self._send(client, subscription, message, counted=False)
                if not subscription.confirmed:
                    await asyncio.sleep(HANDSHAKE_PAUSE_SECONDS)

    def _any_confirmed(self) -> bool:
        return any(subscription.confirmed for subscription in self.subscriptions.values())

    # Messages

    def _signed(self, message: dict[str, str]) -> dict[str, str]:
        message["SignatureVersion"] = self.signature_version
        message["Signature"] = self._identity.sign(message)
        message["SigningCertURL"] = self._config.sns_base_url + self._identity.certificate_path
        return message

    def _confirmation(self, subscription: Subscription) -> dict[str, str]:
        topic = self._config.topic_arn
        query = {"Action": "ConfirmSubscription", "TopicArn": topic, "Token": subscription.token}
        return self._signed(
            {
                "Type": "SubscriptionConfirmation",
                "MessageId": new_message_id(),
                "Token": subscription.token,
                "TopicArn": topic,
                "Message": f"You have chosen to subscribe to the topic {topic}.\nTo confirm the "
                "subscription, visit the SubscribeURL included in this message.",
                "SubscribeURL": f"{self._config.sns_base_url}/?{urlencode(query)}",
                "Timestamp": iso(time.time()),
            }
        )

    def _notification(self, text: str, *, subject: str | None = EVENT_SUBJECT) -> dict[str, str]:
        return self._signed(
            {
                "Type": "Notification",
                "MessageId": new_message_id(),
                "TopicArn": self._config.topic_arn,
                **({"Subject": subject} if subject else {}),
                "Message": text,
                "Timestamp": iso(time.time()),
            }
        )

    # Events

    def pause(self) -> float:
        """Seconds until the next event of a mail."""
        return self._dice.uniform(*self._config.event_delay)

    def publish(
        self,
        kind: str,
        mail: Mail,
        recipient: str | None = None,
        *,
        delay: float = 0.0,
        details: Mapping[str, Any] | None = None,
        forced: bool = False,
    ) -> None:
        """Post an event of `mail` in `delay` seconds; nothing when nobody ever subscribed, or when
        its configuration set doesn't publish such events (unless forced)."""
        if not self.subscriptions:
            return
        if not forced and not self._sets.publishes(mail.call.configuration_set, kind):
            return
        if self._config.event_format == "feedback" and kind not in FEEDBACK_KINDS:
            return
        if self._injector.plan.event_drop and self._dice.random() < self._injector.plan.event_drop:
            self.figures["dropped"] += 1
            return
        self._push(_Post(None, event=(kind, mail, recipient, details or {})), delay)

    def waiting(self) -> int:
        """Posts that haven't been tried or will be tried again."""
        return len(self._due) + len(self._held)

    def hold(self) -> None:
        """Keep events back from now on."""
        self.holding = True

    async def release(
        self, *, shuffle: bool, duplicate: float, new_ids: bool, drop: float, seed: int
    ) -> int:
        """Post what was held back; give the number of posts.

        shuffle: in an order drawn by `seed`. duplicate, drop: shares (0 to 1) posted twice and
        lost. new_ids: a doubled event comes under a second SNS MessageId. Signing takes about a
        millisecond each, so others get their turn in between; what is held back meanwhile, too.
        """
        dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
        posts: list[_Post] = []
        held = self._held
        for number, post in enumerate(held, 1):  # it may grow
            if number % SIGNED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if dice.random() < drop:
                self.figures["dropped"] += 1
                continue
            posts.append(self._built(post))
            if dice.random() < duplicate:
                posts.append(self._doubled(post, new_id=new_ids))
        if held is not self._held:  # released by another call, or forgotten
            return 0
        if shuffle:
            dice.shuffle(posts)
        self._held, self.holding = [], False
        for post in posts:
            self._push(post)
        return len(posts)

    def forget(self) -> None:
        """Drop all that waits, and begin the figures anew."""
        self._due, self._held, self.holding = [], [], False
        self.figures.clear()

    def _built(self, post: _Post) -> _Post:
        """With its message: identity, time and signature stay the same over retries."""
        if post.message is None and post.event:
            kind, mail, recipient, details = post.event
            payload = event_payload(kind, mail, recipient, time.time(), self._config, details)
            post.message = self._notification(orjson.dumps(payload).decode())
            post.shown = PostedEvent(
                kind, recipient, post.message["MessageId"], post.message["Timestamp"]
            )
            mail.events.append(post.shown)
        return post

    def _doubled(self, post: _Post, *, new_id: bool) -> _Post:
        self.figures["duplicated"] += 1
        assert post.message is not None
        message = self._notification(post.message["Message"]) if new_id else post.message
        return _Post(message, to=post.to)

    def _push(self, post: _Post, delay: float = 0.0) -> None:
        heapq.heappush(self._due, _Due(time.monotonic() + delay, next(self._order), post))
        self._wake.set()

    # Posting

    async def _dispatch(self) -> None:
        while True:
            client = await self._clients.get()
            post = await self._next()
            while self.holding:
                self._held.append(post)
                post = await self._next()
            self._spawn(self._deliver(client, post))

    async def _next(self) -> _Post:
        """The next post that is due, once somebody has confirmed."""
        while True:
            self._wake.clear()
            timeout = None
            if self._due and self._any_confirmed():
                timeout = self._due[0].at - time.monotonic()
                if timeout <= 0:
                    return heapq.heappop(self._due).post
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), timeout)

    async def _deliver(self, client: httpx.AsyncClient, post: _Post) -> None:
        """Post to each confirmed subscription, or to the one that didn't take it before."""
        try:
            self._built(post)
            assert post.message is not None
            if post.event and self._dice.random() < self._injector.plan.event_duplicate:
                self._push(self._doubled(post, new_id=False))
            targets = [post.to] if post.to else list(self.subscriptions.values())
            for subscription in targets:
                if subscription.confirmed:
                    await self._deliver_to(client, subscription, post)
        finally:
            self._clients.put_nowait(client)

    async def _deliver_to(
        self, client: httpx.AsyncClient, subscription: Subscription, post: _Post
    ) -> None:
        assert post.message is not None
        again = await self._send(client, subscription, post.message, shown=post.shown)
        if not again:
            return
        attempts = post.attempts + 1
        if attempts > self._config.event_retries:
            self.figures["given_up"] += 1
            return
        self.figures["retried"] += 1
        first, longest = self._config.event_retry_delay
        delay = backoff_seconds(attempts, 1.0, base=first, cap=longest)
        repeat = _Post(post.message, to=subscription, attempts=attempts, shown=post.shown)
        self._push(repeat, delay)

    async def _send(
        self,
        client: httpx.AsyncClient,
        subscription: Subscription,
        message: dict[str, str],
        *,
        shown: PostedEvent | None = None,
        counted: bool = True,
    ) -> bool:
        """Post once; whether SNS would try again (5xx, time-out, no connection)."""
        headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "User-Agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": message["Type"],
            "x-amz-sns-message-id": message["MessageId"],
            "x-amz-sns-topic-arn": message["TopicArn"],
        }
        if message["Type"] == "Notification":
            headers["x-amz-sns-subscription-arn"] = subscription.arn
        try:
            response = await client.post(
                subscription.endpoint, content=orjson.dumps(message), headers=headers
            )
            answer, again = str(response.status_code), response.status_code >= 500
        except httpx.HTTPError as exc:
            answer, again = type(exc).__name__, True
        if shown:
            shown.attempts += 1
            shown.answer = answer
        if counted and not again:
            self.figures["posted" if answer.startswith("2") else "refused"] += 1
        return again
