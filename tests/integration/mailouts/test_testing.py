"""`POST /mailouts/{id}/test`: to whom a person says, changing nothing; and what is on the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from email.header import decode_header, make_header
from email.utils import parseaddr
from typing import Any
from uuid import uuid4

import pytest

from app.sandbox.server import SandboxServer
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.waiting import eventually


@pytest.fixture
async def watching(dsn: str, sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With a set that watches opens and clicks, the only one that SES knows."""
    sets = {"SES_TRACKING_CONFIGURATION_SET": "sandbox", "SES_CONFIGURATION_SET": "unknown"}
    async with in_process(settings_for(dsn, sandbox.url, **sets)) as running:
        yield running


async def mails(sandbox: SandboxServer, count: int) -> list[dict[str, Any]]:
    async def look() -> list[dict[str, Any]]:
        return sandbox.mails()

    return await eventually(look, until=lambda found: len(found) == count)


async def test_it_goes_to_whom_a_person_says(
    service: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    mailout = await arrange.mailout("draft")
    before = await service.show(mailout)

    async def test(body: Any, expect: int = 202, key: str | None = None) -> dict[str, Any]:
        headers = BEARER | ({"Idempotency-Key": key} if key else {})
        answer = await service.http.post(f"/mailouts/{mailout}/test", json=body, headers=headers)
        assert answer.status_code == expect, answer.text
        found: dict[str, Any] = answer.json()
        return found

    to = {"to": ["ann@example.com", " ANN@Example.com", "bob@exämple.de"]}
    accepted = await test(to, key="one")
    assert (accepted["mailout_id"], accepted["recipients"]) == (str(mailout), 2)
    assert await test(to, key="one") == accepted
    reused = await test({"to": ["eve@example.com"]}, 422, key="one")
    assert reused["code"] == "idempotency_key_reused"
    for wrong, says in (
        ({"to": ["ann@example.com", "no address"]}, "to.1: is not a usable mail address"),
        ({"to": []}, "to"),
        ({"to": [f"r{n}@example.com" for n in range(21)]}, "to"),
        ({"to": "ann@example.com"}, "to"),
        ({"too": ["ann@example.com"]}, "too"),
    ):
        assert says in (await test(wrong, 422))["detail"]
    found = await mails(sandbox, 2)
    assert sorted(to for mail in found for to in mail["to"]) == [
        "ann@example.com",
        "bob@xn--exmple-cua.de",
    ]
    assert {mail["subject"] for mail in found} == {"[Test] Hello"}
    await test({})
    everybody = {to for mail in await mails(sandbox, 4) for to in mail["to"]}
    assert everybody >= {"me@example.com", "you@example.com"}
    after = await service.show(mailout)
    same = ("status", "counts", "version", "subject")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert after["tested"]["current"] is True
    unknown = await service.http.post(f"/mailouts/{uuid4()}/test", headers=BEARER)
    assert unknown.status_code == 404


@pytest.mark.short
async def test_sender_answers_and_tracking_are_the_mailouts_own(
    watching: Service, sandbox: SandboxServer, arrange: Arrange
) -> None:
    """What a mail leaves with, by the API from the draft to the release."""
    await arrange.subscriber("ann@example.com", name="Ann")
    body = {
        "subject": "Hello {{ name }}", "preheader": "Soon", "body_markdown": "Hi **{{ name }}**",
        "from_email": "letters@example.com", "from_name": "Björn & Co, Letters",
        "reply_to": "answers@example.org", "tracking": True,
    }  # fmt: skip
    made = (await watching.http.post("/mailouts", json=body, headers=BEARER)).json()
    ready = await watching.http.post(f"/mailouts/{made['id']}/ready", headers=BEARER)
    assert ready.status_code == 200, ready.text
    assert (await watching.send(made["id"])).status_code == 202
    [listed] = await mails(sandbox, 1)
    mail = sandbox.mail(listed["message_id"])
    assert mail["subject"] == "Hello Ann"
    headers = {each["name"]: each["value"] for each in mail["headers"]}
    name, address = parseaddr(headers["From"])
    assert str(make_header(decode_header(name))) == "Björn & Co, Letters"
    assert address == "letters@example.com"
    assert headers["Reply-To"] == "answers@example.org"
    assert headers["List-Id"] == "<letters.example.com>"
