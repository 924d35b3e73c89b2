"""Messages out of a queue whose policy lets a stranger write: events, and requests to send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.ports import Burial, Waiting
from app.queues import take_requests, takes_events
from app.services.queues.hands import Hands
from app.telemetry.metrics import Metrics
from tests.security.fortress import Fortress
from tests.security.sns.amazon import Amazon, Sns, ago, bounce
from tests.support.service import SECRET, TOPIC
from tests.support.sns import SnsSigner

SIGNER, STRANGER = SnsSigner(), SnsSigner()
URL = "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0a1b2c.pem"


class Queue:
    """In memory, and holding one message at a time. What a broker does is tried in tests/queues."""

    name, hold_seconds = "queue", 60.0

    def __init__(self) -> None:
        self.ended: str | None = None

    async def take(self, most: int) -> list[Waiting]:
        return []

    async def done(self, messages: Sequence[Waiting]) -> None:
        self.ended = "done"

    async def keep(self, messages: Sequence[Waiting], seconds: float) -> None:
        """It is kept anyhow."""

    async def give_back(self, messages: Sequence[Waiting], seconds: float = 0.0) -> None:
        self.ended = "back"

    async def bury(self, message: Waiting, burial: Burial) -> bool:
        self.ended = burial.code
        return True

    async def close(self) -> None:
        """Nothing is open."""


class Road:
    def __init__(self, fortress: Fortress, http: httpx.AsyncClient) -> None:
        self.fortress, self.queue = fortress, Queue()
        store, settings, metrics = fortress.services.store, fortress.settings, Metrics()
        self.hands = Hands(self.queue, metrics, pause_cap=0.01)
        self.events = takes_events(store, settings, metrics, http)(self.hands)
        self.requests = take_requests(store, settings, self.hands)

    def signed(self, message: Any, by: SnsSigner = SIGNER, **fields: Any) -> dict[str, Any]:
        given = {"TopicArn": TOPIC, "SigningCertURL": URL} | fields
        return by.notification(message, **given)

    async def end(self, body: Any, *, request: bool = False) -> str | None:
        """What becomes of it: `done`, `back` to the queue, or the code of its burial."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        message = Waiting(text, str(uuid4()), datetime.now(UTC), None)
        self.queue.ended = None
        take = self.requests.take if request else self.events.take
        await self.hands.settle([message], take)
        return self.queue.ended


@pytest.fixture
async def road(fortress: Fortress) -> AsyncIterator[Road]:
    def page(request: httpx.Request) -> httpx.Response:
        known = str(request.url) == URL
        return httpx.Response(200 if known else 404, content=SIGNER.certificate_pem)

    async with httpx.AsyncClient(transport=httpx.MockTransport(page)) as http:
        yield Road(fortress, http)


async def test_events_that_are_not_genuine(road: Road) -> None:
    event = {"eventType": "Send", "mail": {"a": 1}}
    genuine = road.signed(event)
    async with road.fortress.untouched():
        for body, code in (
            ({**genuine, "Message": "{}"}, "bad_signature"),
            ({**genuine, "SignatureVersion": "3"}, "bad_signature"),
            (road.signed(event, by=STRANGER), "bad_signature"),
            (road.signed(event, TopicArn=TOPIC + "x"), "forbidden_source"),
            (road.signed(event, SigningCertURL="https://evil.test/x.pem"), "forbidden_source"),
            (road.signed(event, SigningCertURL=URL.replace("0a1b2c", "1nvented")), "back"),
            (event, "raw_message_delivery"),
            (b"", "malformed_sns_message"),
            (b"\xff", "malformed_sns_message"),
            (b"[]", "malformed_sns_message"),
            (b"[" * 100_000, "malformed_sns_message"),
            (json.dumps(genuine).encode()[:-1] + b', "Message": "x"}', "malformed_sns_message"),
            ({**genuine, "MessageId": "a\0b"}, "malformed_sns_message"),
            ({**genuine, "MessageId": "\ud800"}, "malformed_sns_message"),
            (road.signed("\0"), "malformed_event"),
            (road.signed("[]"), "malformed_event"),
            (road.signed({"eventType": 7}), "malformed_event"),
            (b" " * 300_001, "payload_too_large"),
        ):
            assert await road.end(body) == code, body


async def test_events_whose_ids_disagree_are_parked(road: Road) -> None:
    with Amazon() as nobody:
        sns = Sns(road.fortress, nobody)
        mine, other = await sns.mail(), await sns.mail()
        before = await sns.states()
        stolen = bounce(mine)
        stolen["mail"]["messageId"] = f"m-{other.log}"
        await road.fortress.sql.execute(
            "update send_logs set message_id = %s where id = %s", [f"m-{other.log}", other.log]
        )
        before = await sns.states()
        for event in (
            stolen,
            bounce(mine, send_log_id=[str(mine.log), str(other.log)]),
            bounce(mine, mailout_id=[str(other.mailout)]),
            bounce(mine, attempt=None),
        ):
            assert await road.end(road.signed(event)) == "done"
        assert await sns.states() == before


async def test_an_event_that_waited_long_counts_once(road: Road) -> None:
    """A queue is the road of what is driven anew: age is no reason there."""
    with Amazon() as nobody:
        sns = Sns(road.fortress, nobody)
        mail = await sns.mail()
        late = road.signed(bounce(mail), Timestamp=ago(days=20))
        assert await road.end(late) == "done"
        [state] = [row for row in await sns.states() if row["id"] == mail.log]
        assert (state["status"], state["person"]) == ("bounced", "bounced")
        async with road.fortress.untouched():
            assert await road.end(late) == "done"


async def test_requests_that_are_none(road: Road) -> None:
    mailout = str(await road.fortress.arrange.mailout("draft"))
    ask = {"mailout_id": mailout, "idempotency_key": str(uuid4())}
    text = json.dumps(ask)
    bad: list[Any] = [
        b"", b"null", b"[]", b"7", b"\xff", b"{", b'{"a":' * 50_000, b" " * 262_145, {},
        f'{text[:-1]}, "mailout_id": "{uuid4()}"}}'.encode(),
        f'{text[:-1]}, "test": true, "test": false}}'.encode(),
        f'{text[:-1]}, "test": NaN}}'.encode(),
        {**ask, "test": "off"}, {**ask, "test": 0}, {**ask, "status": "sent"}, {**ask, "x": 1},
        {**ask, "mailout_id": None}, {**ask, "mailout_id": 7}, {**ask, "mailout_id": [mailout]},
        {**ask, "mailout_id": "x"}, {**ask, "mailout_id": f"{mailout}\0"},
        {**ask, "mailout_id": str(uuid4())}, {**ask, "mailout_id": "\ud800"},
        {**ask, "idempotency_key": ""}, {**ask, "idempotency_key": "\0"},
        {**ask, "idempotency_key": 7}, {**ask, "idempotency_key": "x" * 10_000},
        {**ask, "idempotency_key": "\ud800"},
        {**ask, "auth_token": "wrong"}, {**ask, "auth_token": f"{SECRET}x"},
        {**ask, "auth_token": ""}, {**ask, "auth_token": "\ud800"}, ask,
    ]  # fmt: skip
    async with road.fortress.untouched():
        for body in bad:
            ended = await road.end(body, request=True)
            assert ended in {
                "invalid_request", "mailout_not_ready", "mailout_not_found", "unauthorized"
            }, (body, ended)  # fmt: skip
