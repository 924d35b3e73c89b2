"""`POST /sendgrid-events` and `POST /mailgun-events`: what isn't the provider's own, or isn't about
the mail that it names."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from app.domain.providers.signatures import MAX_AGE_SECONDS, MAX_AHEAD_SECONDS
from tests.security.fortress import Fortress
from tests.support.engagement import Mailed, mailed

BOTH = pytest.mark.parametrize("provider", ["sendgrid", "mailgun"])
Post = tuple[dict[str, str], bytes]
TWILIO = "X-Twilio-Email-Event-Webhook"


class Road:
    def __init__(self, fortress: Fortress, provider: str) -> None:
        self.fortress, self.provider = fortress, provider

    async def mail(self) -> Mailed:
        arrange = self.fortress.arrange
        mail = await mailed(arrange, await arrange.mailout("sent"))
        await self.fortress.sql.execute(
            "insert into send_batches (attempt_id, mailout_id, executor_id, region, send_log_ids, "
            "token_at) values (%s, %s, gen_random_uuid(), %s, %s, now())",
            [mail.attempt, mail.mailout, self.provider, [mail.log]],
        )
        return mail

    def event(self, mail: Mailed, **changes: Any) -> dict[str, Any]:
        """A hard bounce. changes: of our ids."""
        ids = {
            "mailout_id": str(mail.mailout),
            "send_log_id": str(mail.log),
            "attempt": str(mail.attempt),
        } | changes
        if self.provider == "sendgrid":
            return {
                "event": "bounce", "sg_event_id": f"e-{mail.log}-{len(str(changes))}",
                "timestamp": int(time.time()), "email": mail.email, **ids,
            }  # fmt: skip
        return {
            "event": "failed", "id": f"e-{mail.log}-{len(str(changes))}", "severity": "permanent",
            "reason": "bounce", "timestamp": time.time(), "recipient": mail.email,
            "user-variables": ids,
        }  # fmt: skip

    def signed(self, event: Any, at: float | None = None) -> Post:
        """event: or the bytes of SendGrid's body."""
        timestamp = None if at is None else int(at)
        if self.provider == "mailgun":
            headers, body = self.fortress.providers.mailgun.sign({}, timestamp=timestamp)
            # json spells what UTF-8 can't hold
            return headers, json.dumps({**json.loads(body), "event-data": event}).encode()
        body = event if isinstance(event, bytes) else json.dumps([event]).encode()
        return self.fortress.providers.sendgrid.sign(body, timestamp)

    async def post(self, headers: dict[str, str], body: bytes) -> httpx.Response:
        return await self.fortress.http.post(
            f"/{self.provider}-events", content=body, headers=headers
        )

    async def refused(self, *posts: Post, status: tuple[int, ...] = (403, 406)) -> None:
        async with self.fortress.untouched():
            for headers, body in posts:
                answer = await self.post(headers, body)
                assert answer.status_code in status, (answer.text, body)
                assert answer.headers["content-type"] == "application/problem+json"

    async def states(self) -> list[Any]:
        done = await self.fortress.sql.execute(
            "select l.id, l.status, s.status as person from send_logs l "
            "join subscribers s on s.id = l.subscriber_id order by 1"
        )
        return await done.fetchall()


@pytest.fixture
def road(fortress: Fortress, provider: str) -> Road:
    return Road(fortress, provider)


@pytest.mark.few_variants(1)
@BOTH
async def test_forged_and_old_ones(road: Road, provider: str) -> None:
    event = road.event(await road.mail())
    headers, body = road.signed(event)
    now = time.time()
    posts = [
        road.signed(event, now - MAX_AGE_SECONDS - 60),
        road.signed(event, now + MAX_AHEAD_SECONDS + 60),
        (headers, body.replace(b"bounce", b"bounse")) if provider == "sendgrid" else (headers, b""),
        (headers, b""),
        (headers, body[:-1]),
        (headers, b"[" * 5_000),
    ]
    if provider == "sendgrid":
        signature, at = (f"{TWILIO}-{name}" for name in ("Signature", "Timestamp"))
        for name, value in (
            (signature, ""), (signature, "AAAA"), (signature, "no base64"),
            (signature, headers[at]), (at, ""), (at, "1"), (at, "-1"), (at, f"{headers[at]}0"),
            (at, f"{headers[at]} x"), (at, "9" * 400), (at, "1e9"), (at, "0x1"),
        ):  # fmt: skip
            posts.append((headers | {name: value}, body))
        posts += [({}, body), ({signature: headers[signature]}, body), ({at: headers[at]}, body)]
    else:
        said = json.loads(body)
        right = said["signature"]
        changes: list[dict[str, Any]] = [
            {"signature": ""}, {"signature": "0" * 64}, {"signature": right["signature"].upper()},
            {"signature": None}, {"signature": [right["signature"]]}, {"signature": "é"},
            {"signature": right["signature"] + "\0"}, {"timestamp": "1"}, {"timestamp": "-1"},
            {"timestamp": True}, {"timestamp": {}}, {"timestamp": "9" * 400}, {"token": ""},
            {"token": right["token"] + "x"}, {"token": "\ud800"}, {"token": 7},
        ]  # fmt: skip
        for change in changes:
            forged = {**said, "signature": {**right, **change}}
            posts.append((headers, json.dumps(forged).encode()))
        members: list[Any] = [None, "x", [], [right], {}]
        for instead in members:
            posts.append((headers, json.dumps({**said, "signature": instead}).encode()))
    await road.refused(*posts)


@BOTH
async def test_headers_and_members_that_come_twice(road: Road, provider: str) -> None:
    event = road.event(await road.mail())
    headers, body = road.signed(event)
    if provider == "sendgrid":
        lines = [f"{name}: {value}" for name, value in headers.items()]
        for name in headers:
            if name.startswith("X-Twilio"):
                doubled = [*lines, f"{name}: AAAA", f"content-length: {len(body)}", "host: x"]
                head = "POST /sendgrid-events HTTP/1.1\r\nconnection: close\r\n"
                async with road.fortress.untouched():
                    raw = f"{head}{chr(13)}{chr(10)}".replace("\r\n\r\n", "\r\n")
                    request = raw + "\r\n".join(doubled) + "\r\n\r\n"
                    answer = await road.fortress.raw(request.encode() + body)
                    assert answer.split(b" ", 2)[1] in {b"400", b"403"}, answer[:300]
        text = body.decode()
        twice = text.replace('"event"', '"event": "spamreport", "event"')
        await road.refused(road.signed(twice.encode()))
        return
    text = body.decode()
    await road.refused(
        (headers, text.replace('"event-data"', '"event-data": {}, "event-data"').encode()),
        (headers, text.replace('"signature": {', '"signature": {}, "signature": {', 1).encode())
        if '"signature": {' in text
        else (headers, text.replace('"signature":{', '"signature":{},"signature":{', 1).encode()),
        (headers, text[:-1].encode() + b',"event-data":{}}'),
    )


@BOTH
async def test_replayed_ones(road: Road, provider: str) -> None:
    mail, other = await road.mail(), await road.mail()
    headers, body = road.signed(road.event(mail))
    assert (await road.post(headers, body)).json() == {"recorded": 1, "ignored": 0}
    assert [row["status"] for row in await road.states() if row["id"] == mail.log] == ["bounced"]
    async with road.fortress.untouched():
        assert (await road.post(headers, body)).json() == {"recorded": 1, "ignored": 0}
    if provider == "mailgun":  # whose signature doesn't cover the event
        stolen = {**json.loads(body), "event-data": road.event(other)}
        await road.refused((headers, json.dumps(stolen).encode()), status=(406,))


@pytest.mark.few_variants(1)
@BOTH
async def test_ids_that_contradict_each_other(road: Road, provider: str) -> None:
    """Kept aside at most: nobody's state changes."""
    mine, other = await road.mail(), await road.mail()
    before = await road.states()
    for changes in (
        {"mailout_id": str(other.mailout)}, {"send_log_id": str(other.log)},
        {"attempt": str(other.attempt)}, {"send_log_id": "999999999"},
    ):  # fmt: skip
        assert (await road.post(*road.signed(road.event(mine, **changes)))).status_code == 200
    odd: list[Any] = [None, "", "x", [str(mine.log)], [str(mine.log), str(other.log)], {"a": 1},
                      True, -1, 2**63, 1e300, "１", f"{mine.log}\0", f" {mine.log}",
                      "\ud800"]  # fmt: skip
    async with road.fortress.untouched(but=("webhook_tokens",)):
        for name in ("mailout_id", "send_log_id", "attempt"):
            for value in odd:
                answer = await road.post(*road.signed(road.event(mine, **{name: value})))
                assert answer.json() == {"recorded": 0, "ignored": 1}, (name, value, answer.text)
    await road.fortress.services.store.apply_parked_events()
    assert await road.states() == before


@pytest.mark.few_variants(1)
@BOTH
async def test_odd_events_that_are_signed(road: Road, provider: str) -> None:
    mail = await road.mail()
    before = await road.states()
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    odd: list[dict[str, Any]] = []
    for name, value in (
        ("event", None), ("event", ["bounce"]), ("event", "\0"), ("event", "\ud800"),
        ("event", deep), ("timestamp", "\0"), ("timestamp", -1e18), ("id", "\0"),
        ("sg_event_id", "x" * 10_000), ("email", 7), ("recipient", {}), ("reason", deep),
    ):  # fmt: skip
        event = road.event(mail) | {"event": "something", name: value}
        odd.append(event)
    for event in odd:
        answer = await road.post(*road.signed(event))
        assert answer.status_code in {200, 406}, (event, answer.text)
    assert await road.states() == before
    if provider == "sendgrid":
        for body in (b"", b"{}", b"null", b"7", b"[" * 5_000, b"\xff", b'["\xff"]', b"[1, 2"):
            await road.refused(road.signed(body), status=(406,))
        answer = await road.post(*road.signed(b'[null, 7, "x", [], {}]'))
        assert answer.json() == {"recorded": 0, "ignored": 5}
