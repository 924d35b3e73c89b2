"""Many events at once share transactions; each is answered for itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from app.adapters.aws.sns import SnsVerifier
from app.domain.ses.sns_message import SnsMessage
from app.errors import DatabaseUnavailable
from app.store import Store
from tests.support.factories import Arrange
from tests.support.service import TOPIC, Service
from tests.support.sns import SnsSigner

SIGNER = SnsSigner()
EVENT = json.dumps({"eventType": "Send", "mail": {"messageId": "m"}, "send": {}})
UNWANTED = "unwanted"
"""A MessageId that the database is told to refuse."""


def event(**fields: str) -> dict[str, Any]:
    return SIGNER.notification(EVENT, TopicArn=TOPIC, **fields)


async def post(front: Service, body: dict[str, Any]) -> httpx.Response:
    return await front.http.post("/ses-events", json=body)


async def kept(arrange: Arrange) -> set[str]:
    done = await arrange.sql.execute("select sns_message_id from ses_events")
    return {row["sns_message_id"] for row in await done.fetchall()}


async def test_one_that_cannot_be_stored_amid_copies_and_good_ones(
    front: Service, arrange: Arrange
) -> None:
    await arrange.sql.execute(
        "alter table ses_events add constraint unwanted check (sns_message_id <> 'unwanted')"
    )
    good = [event() for _ in range(30)]
    bodies = [*good[:15], event(MessageId=UNWANTED), *good[15:], *good[:5]]
    with capture_logs() as logs:
        answers = await asyncio.gather(*(post(front, body) for body in bodies))
    statuses = {body["MessageId"]: set[int]() for body in bodies}
    for body, answer in zip(bodies, answers, strict=True):
        statuses[body["MessageId"]].add(answer.status_code)
    assert statuses.pop(UNWANTED) == {503}
    assert all(status == {200} for status in statuses.values())
    assert await kept(arrange) == statuses.keys()
    recorded = [line for line in logs if line["event"] == "events_recorded"]
    assert sum(line["new"] for line in recorded) == 30
    assert len(recorded) < 15
    assert [line["event"] for line in logs].count("event_refused") == 1


async def test_an_outage_is_503_for_all_and_their_second_try_is_kept_once(
    front: Service, arrange: Arrange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Committed, but the word of it was lost: SNS repeats, and nothing is there twice."""
    apply = Store.apply_ses_events

    async def lose_the_answer(self: Store, *arguments: Any) -> dict[str, Any]:
        await apply(self, *arguments)
        raise DatabaseUnavailable("The connection broke")

    bodies = [event() for _ in range(20)]
    with monkeypatch.context() as patched:
        patched.setattr(Store, "apply_ses_events", lose_the_answer)
        answers = await asyncio.gather(*(post(front, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {503}
    assert all(answer.headers["retry-after"] for answer in answers)
    answers = await asyncio.gather(*(post(front, body) for body in bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert await kept(arrange) == {body["MessageId"] for body in bodies}


async def test_who_goes_away_takes_nobody_along(front: Service, arrange: Arrange) -> None:
    bodies = [event() for _ in range(20)]
    posts = [asyncio.create_task(post(front, body)) for body in bodies]
    await asyncio.sleep(0)
    posts[7].cancel()
    answers = await asyncio.gather(*posts, return_exceptions=True)
    assert isinstance(answers.pop(7), asyncio.CancelledError)
    assert all(isinstance(a, httpx.Response) and a.status_code == 200 for a in answers)
    others = {body["MessageId"] for n, body in enumerate(bodies) if n != 7}
    assert others <= await kept(arrange)


class TestTheRoute:
    """Past the framework, it behaves like the others."""

    async def test_a_fault_of_ours_is_a_problem_that_tells_nothing(
        self, front: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(self: SnsVerifier, message: SnsMessage) -> None:
            raise RuntimeError("secret words")

        monkeypatch.setattr(SnsVerifier, "verify", broken)
        with capture_logs() as logs:
            answer = await post(front, event())
        assert (answer.status_code, answer.json()["code"]) == (500, "internal")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret words" not in answer.text
        assert "request_failed" in {line["event"] for line in logs}

    async def test_every_request_is_in_the_log_with_its_route(self, front: Service) -> None:
        with capture_logs() as logs:
            await post(front, event())
            await front.http.post("/ses-events", content=b"nonsense")
        requests = [line for line in logs if line["event"] == "request"]
        assert [(line["path"], line["status"]) for line in requests] == [
            ("/ses-events", 200),
            ("/ses-events", 400),
        ]

    @pytest.mark.short
    async def test_other_methods_are_refused_and_the_route_is_described(
        self, front: Service
    ) -> None:
        answer = await front.http.get("/ses-events")
        assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        assert answer.headers["content-type"] == "application/problem+json"
        described = (await front.http.get("/openapi.json")).json()["paths"]["/ses-events"]
        assert {"200", "400", "403", "413", "503"} <= described["post"]["responses"].keys()
