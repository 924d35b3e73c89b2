"""The short road of usual events, beside the long one behind the framework: the same answers and
the same effects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI

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
