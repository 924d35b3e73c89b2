"""The short road of usual events, beside the long one behind the framework: the same answers and
the same effects."""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import structlog
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.api import ses_events
from app.api.http.body_limit import SMALL_BYTES
from app.errors import Unavailable
from app.services.watching.record_events import RecordEvents
from tests.security.sns.amazon import STRANGER, Sns, ago, bounce
from tests.support.engagement import told
from tests.support.sns import body_of, headers_of

LONG = [("x-padding", "1"), ("x-padding", "1")]
"""A header that comes twice isn't usual, and this one harms nothing."""


@pytest.fixture
def behind(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The requests that went on to the framework."""
    asked: list[str] = []
    whole = FastAPI.__call__

    async def noted(self: FastAPI, scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await whole(self, scope, receive, send)

    monkeypatch.setattr(FastAPI, "__call__", noted)
    return asked


async def _post(sns: Sns, envelope: Mapping[str, Any] | bytes, *more: tuple[str, str]) -> Any:
    body = envelope if isinstance(envelope, bytes) else body_of(envelope)
    named = {} if isinstance(envelope, bytes) else headers_of(envelope)
    answer = await sns.fortress.http.post(
        "/ses-events", content=body, headers=[*named.items(), *more]
    )
    kept = {name: value for name, value in answer.headers.items() if name != "date"}
    return answer.status_code, answer.content, kept


async def test_a_usual_event_is_taken_before_the_framework(sns: Sns, behind: list[str]) -> None:
    short, long = await sns.mail(), await sns.mail()
    usual = await _post(sns, sns.notification(bounce(short)))
    assert behind == []
    assert await _post(sns, sns.notification(bounce(long)), *LONG) == usual
    assert behind == ["/ses-events"]
    assert usual[:2] == (200, b'{"recorded":true}')
    moved = {row["id"]: (row["status"], row["person"]) for row in await sns.states()}
    assert moved[short.log] == moved[long.log] == ("bounced", "bounced")


async def test_whatever_else_comes_is_answered_as_by_the_long_road(
    sns: Sns, behind: list[str]
) -> None:
    right = sns.notification(told(await sns.mail(), "Delivery"))
    large = sns.notification("{}" + " " * SMALL_BYTES)
    messages: list[Mapping[str, Any] | bytes] = [
        {**right, "Message": "changed"}, {**right, "Signature": "no base64!"},
        {**right, "SignatureVersion": "3"}, {**right, "SigningCertURL": "https://evil.test/x.pem"},
        {**right, "TopicArn": f"{right['TopicArn']}2"}, sns.notification("{}", by=STRANGER),
        sns.notification("{}", Timestamp=ago(days=16)), sns.notification("{}", Timestamp="today"),
        sns.notification("{}"), sns.notification("not json"), sns.notification('{"a": 1, "a": 1}'),
        sns.notification("Successfully validated SNS topic"), large,
        sns.confirmation(kind="UnsubscribeConfirmation"), b"", b"{}", body_of(right)[:-1],
        body_of(right)[:-1] + b', "Type": "Notification"}',
    ]  # fmt: skip
    before = await sns.states()
    for number, message in enumerate(messages):
        del behind[:]
        short, long = await _post(sns, message), await _post(sns, message, *LONG)
        assert short == long, (number, short, long)
        assert len(behind) == 2
    assert await sns.states() == before


async def test_a_refusal_of_the_short_road_is_found_and_counted_once(
    sns: Sns, monkeypatch: pytest.MonkeyPatch
) -> None:
    verifier, looked = sns.fortress.services.verifier, []
    verify = verifier.verify

    async def noted(message: Any, **more: Any) -> None:
        looked.append(message)
        await verify(message, **more)

    monkeypatch.setattr(verifier, "verify", noted)
    name = ("amazonsender_sns_messages_refused_total", ("bad_signature",))
    totals = sns.fortress.services.metrics.totals
    before = totals()[name]
    assert (await _post(sns, sns.notification("{}", by=STRANGER)))[0] == 403
    assert len(looked) == 1
    assert totals()[name] == before + 1


@contextmanager
def _full(monkeypatch: pytest.MonkeyPatch, error: Exception) -> Iterator[list[Any]]:
    tried: list[Any] = []

    async def refuse(_: RecordEvents, row: Any) -> None:
        tried.append(row)
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(RecordEvents, "__call__", refuse)
        yield tried


@pytest.mark.parametrize(
    ("error", "status"), [(Unavailable("Later."), 503), (ValueError("a bug"), 500)]
)
async def test_an_event_that_is_not_committed_is_tried_once(
    sns: Sns, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    event = sns.notification(told(await sns.mail(), "Delivery"))
    with _full(monkeypatch, error) as tried:
        try:
            answer = await _post(sns, event)
            assert answer[0] == status
        except ValueError:  # the test's client has it raised, too
            assert status == 500
        assert len(tried) == 1
    assert (await _post(sns, event))[0] == 200


@pytest.mark.parametrize(("pieces", "patience"), [(1, 5.0), (3, 5.0), (1, 0.0)])
async def test_a_body_that_comes_later_or_in_pieces_is_taken_too(
    sns: Sns, monkeypatch: pytest.MonkeyPatch, pieces: int, patience: float
) -> None:
    monkeypatch.setattr(ses_events, "PATIENCE_SECONDS", patience)
    mail = await sns.mail()
    event = sns.notification(told(mail, "Delivery"))
    body = body_of(event)

    async def parts() -> AsyncIterator[bytes]:
        for piece in range(pieces):
            for _ in range(5):
                await asyncio.sleep(0)  # the head is read meanwhile
            yield body[piece * len(body) // pieces : (piece + 1) * len(body) // pieces]

    headers = {**headers_of(event), "content-length": str(len(body))}
    answer = await sns.fortress.http.post("/ses-events", content=parts(), headers=headers)
    assert answer.json() == {"recorded": True}
    assert [row["status"] for row in await sns.states() if row["id"] == mail.log] == ["delivered"]


def _raw(envelope: Mapping[str, Any], *more: str, version: str = "1.1") -> tuple[bytes, bytes]:
    body = body_of(envelope)
    named = headers_of(envelope) | {"Host": "127.0.0.1", "Content-Length": str(len(body))}
    lines = [*(f"{name}: {value}" for name, value in named.items()), *more]
    head = f"POST /ses-events HTTP/{version}\r\n" + "".join(f"{line}\r\n" for line in lines)
    return head.encode() + b"\r\n", body


def _undated(answers: bytes) -> bytes:
    return re.sub(rb"date: [^\r]*", b"date: -", answers)


async def test_an_answer_in_one_write_is_the_one_in_two(
    sns: Sns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of one request and of several in a row, to clients of either version, and before a client
    sends more than the head. What is refused among them keeps its place."""
    ways: list[bytes] = []
    for _ in range(2):
        mails = [await sns.mail() for _ in range(4)]
        events = [sns.notification(told(mail, "Delivery")) for mail in mails]
        forged = sns.notification("{}", by=STRANGER)
        last = (b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", b"")
        row = [_raw(events[0]), _raw(events[1]), _raw(forged), _raw(events[2]), _raw(events[2])]
        answers = [await sns.fortress.raw(b"".join(map(b"".join, [*row, last])))]
        for more, version in ((["Connection: close"], "1.1"), ([], "1.0")):
            answers.append(
                await sns.fortress.raw(b"".join(_raw(events[3], *more, version=version)))
            )
        answers.append(await _after_the_head(sns, events[3]))
        moved = {row["id"]: row["status"] for row in await sns.states()}
        assert [moved[mail.log] for mail in mails] == ["delivered"] * 4
        ways.append(_undated(b"|".join(answers)))
        monkeypatch.setattr(ses_events, "answered_at_once", lambda *_: False)
    assert ways[0] == ways[1]
    assert ways[0].count(b'{"recorded":true}') == 7
    assert ways[0].count(b"HTTP/1.1 403 ") == 1


async def _after_the_head(sns: Sns, event: Mapping[str, Any]) -> bytes:
    head, body = _raw(event, "Expect: 100-continue")
    reader, writer = await asyncio.open_connection("127.0.0.1", sns.fortress.port)
    writer.write(head)
    async with asyncio.timeout(30):
        said = await reader.readuntil(b"\r\n\r\n")
        assert said == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(body)
        answer = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(17)
    writer.close()
    return said + answer


async def test_a_message_that_is_cut_or_framed_oddly_is_no_event(sns: Sns) -> None:
    """And one that is whole counts once, however it is framed."""
    mail = await sns.mail()
    event = sns.notification(told(mail, "Delivery"))
    head, body = _raw(event, "Connection: close")
    ask = sns.fortress.raw
    cut = body[:-300]
    short = head.replace(str(len(body)).encode(), str(len(cut)).encode())
    assert b" 400 " in (await ask(short + cut))[:20]
    assert await _hanging_up(sns, head + cut) == b"", "it hangs up before the rest"
    other = head.replace(event["TopicArn"].encode(), event["TopicArn"].encode() + b"-other")
    assert b" 403 " in (await ask(other + body))[:20]
    twice = head.replace(b"\r\n\r\n", b"\r\nContent-Length: 5\r\n\r\n")
    assert b" 400 " in (await ask(twice + body))[:20]
    assert [row["status"] for row in await sns.states() if row["id"] == mail.log] == ["sent"]
    chunked = head.replace(b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
    framed = b"%x\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (9, body[:9], len(body) - 9, body[9:])
    for _ in range(2):
        assert b" 200 " in (await ask(chunked + framed))[:20]
    assert [row["status"] for row in await sns.states() if row["id"] == mail.log] == ["delivered"]
    known = "select count(*) from ses_events where sns_message_id = %s"
    assert await sns.fortress.arrange.one(known, event["MessageId"]) == 1


async def _hanging_up(sns: Sns, request: bytes) -> bytes:
    """By a client that says at once that no more comes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", sns.fortress.port)
    writer.write(request)
    writer.write_eof()
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


async def test_a_request_that_goes_on_keeps_its_name(
    sns: Sns, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request one of its own, by which its lines in the log are found."""
    services, names = sns.fortress.services, []

    def note(*_: Any, **__: Any) -> None:
        names.append(structlog.contextvars.get_contextvars()["request_id"])

    verify = services.verifier.verify

    async def noted(message: Any, **more: Any) -> None:
        note()
        await verify(message, **more)

    monkeypatch.setattr(services.verifier, "verify", noted)
    monkeypatch.setattr(services.watchdog, "refused", note)
    forged = sns.notification("{}", by=STRANGER)
    in_a_row = (*_raw(forged), *_raw(forged, "Connection: close"))
    await sns.fortress.raw(b"".join(in_a_row))
    first, again, second, second_again = names
    assert (first, second) == (again, second_again)
    assert first != second


async def test_a_request_leaves_nothing_for_the_garbage_collector(sns: Sns) -> None:
    """Only the last of a connection, which uvicorn's connection holds."""
    event = sns.notification(told(await sns.mail(), "Delivery"))
    row = [b"".join(_raw(event))] * 5 + [b"".join(_raw(event, "Connection: close"))]

    def alive() -> int:
        return sum(isinstance(each, RequestResponseCycle) for each in gc.get_objects())

    gc.collect()
    gc.disable()
    try:
        before = alive()
        answers = await sns.fortress.raw(b"".join(row))
        assert answers.count(b'{"recorded":true}') == 6
        assert alive() <= before + 1
    finally:
        gc.enable()
