"""JSON that two readers could read differently, on every road that takes JSON: a door in front may
have looked at the one reading, and the program would act on the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from app.cli.main import app
from app.domain.notion.events import signature
from app.errors import InvalidRequest
from app.ports import Waiting
from app.sandbox.sns.signing import signing_identity
from app.services.pacing.files import read_plan_file
from app.services.queues.reading import read_request
from tests.security.fortress import NOTION_TOKEN, SECRET, Fortress
from tests.security.openapi import json_operations
from tests.support.service import BEARER, TOPIC

DOUBLED = [
    b'{"kx": 1, "kx": 1}',
    b'{"kx": true, "a": 1, "kx": "off"}',
    b'{"a": {"b": [{"kx": 1, "kx": 2}]}}',
    b'{"k\\u0078": 1, "kx": 2}',
    b'{"kx": null, "kx": {}}',
    b"[" * 50 + b'{"kx": 1, "kx": 2}' + b"]" * 50,
    b'{"a": NaN, "kx": 1, "kx": 2}',
    b'{"a": "\\ud800", "b": {"kx": 1, "kx": 2}}',
]
ODD = [
    (b'{"kx": NaN}', "kx: "), (b'{"kx": [1, Infinity]}', "kx.1: "), (b'{"kx": -Infinity}', "kx: "),
    (b'{"kx": 1e999}', "kx: "), (b'{"kx": -1E+400}', "kx: "),
    (b'{"kx": 9223372036854775808}', "kx: "), (b'{"kx": {"a": -9223372036854775809}}', "kx.a: "),
    (b'{"kx": ' + b"9" * 4_000 + b"}", "kx: "), (b'{"kx": ' + b"9" * 9_000 + b"}", "body: "),
    (b'{"kx": "\\ud800"}', "kx: "), (b'{"kx": "\\udc00\\ud800"}', "kx: "),
    (b'{"\\ud800": 1}', "body: "), (b'{"kx": "\xed\xa0\x80"}', "body: "),
    (b'{"kx": "\x00"}', "body: "), (b'\xef\xbb\xbf{"kx": 1}', "body: "),
    ('{"kx": 1}'.encode("utf-16"), "body: "), ('{"kx": 1}'.encode("utf-32-le"), "body: "),
    (b'{"kx": "\xff"}', "body: "), (b'{"kx": 1} {"kx": 1}', "body: "), (b'{"kx": 1}\x00', "body: "),
    (b"{'kx': 1}", "body: "), (b"{kx: 1}", "body: "), (b'{"kx": 1,}', "body: "),
    (b'{"kx": 01}', "body: "), (b'{"kx": +1}', "body: "), (b'{"kx": .5}', "body: "),
    (b'{"kx": 0x1}', "body: "), (b'/**/{"kx": 1}', "body: "), (b'{"kx": True}', "body: "),
    (b'\x0b{"kx": 1}', "body: "), ("{\u00a0}".encode(), "body: "),
    (b'{"kx": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "body: "), (b'{"a":' * 400, "body: "),
]  # fmt: skip


async def test_a_doubled_key_is_refused_by_its_name_in_every_body(fortress: Fortress) -> None:
    async with fortress.untouched():
        for operation, (first, second) in zip(
            await json_operations(fortress), cycle(pairwise(DOUBLED)), strict=False
        ):
            for body in (first, second):
                answer = await operation.call(fortress, body, **BEARER)
                assert answer.status_code == 422, (operation, body)
                assert answer.json()["code"] == "invalid_request"
                assert '"kx" stands there twice' in answer.json()["detail"], (operation, body)


async def test_a_test_that_is_doubled_starts_nothing(fortress: Fortress) -> None:
    mailout = await fortress.arrange.mailout("ready")
    await fortress.arrange.subscriber()
    async with fortress.untouched():
        for said in (
            b'"test": true, "test": "off"', b'"test": true, "test": false',
            b'"test": false, "t\\u0065st": true', b'"dry_run": true, "dry_run": 0',
            b'"test": "off"', b'"test": "yes"', b'"test": 0', b'"test": 1', b'"test": "false"',
            b'"test": 0.0', b'"test": null', b'"test": []', b'"dry_run": "no"',
            b'"confirm_audience": 1.0', b'"confirm_audience": "1"', b'"confirm_audience": true',
            b'"mailout_id": "' + str(mailout).encode() + b'"',
        ):  # fmt: skip
            body = b'{"mailout_id": "%s", %s}' % (str(mailout).encode(), said)
            for headers, token in ((BEARER, b""), ({}, b'"auth_token": "%s", ' % SECRET.encode())):
                answer = await fortress.http.post(
                    "/send-mailout", content=body.replace(b"{", b"{" + token), headers=headers
                )
                # Who presents the credential in a body that can't be read presents none.
                unread = (token and b"mailout_id" in said) or (token and said.count(b":") > 1)
                assert answer.status_code == (401 if unread else 422), (said, answer.text)


async def test_a_test_beside_notions_form_starts_nothing(fortress: Fortress) -> None:
    """Of Notion's payload two members are read: what is said beside them would be ignored."""
    page = "0123456789abcdef0123456789abcdef"
    mailout = str(await fortress.arrange.mailout("ready", notion_page_id=page))
    await fortress.arrange.subscriber()
    notion = {"source": {"event_id": "e-1"}, "data": {"id": page}}
    async with fortress.untouched():
        for more in (
            {"test": True}, {"dry_run": True}, {"test": False}, {"confirm_audience": 0},
            {"mailout_id": mailout}, {"mailout_id": "x", "test": "off"},
        ):  # fmt: skip
            told = await fortress.http.post("/send-mailout", json=notion | more, headers=BEARER)
            assert (told.status_code, told.json()["started"]) == (200, False)
            assert next(iter(more)) in told.json()["reason"]


async def test_what_stands_in_somebodys_notion_stops_no_automation(fortress: Fortress) -> None:
    """JavaScript writes 2⁶⁴ like this, and half of a character where a text was cut: the person
    whose page it is can't help it, and Notion pauses an automation that is refused."""
    token = {"auth_token": SECRET}
    for odd in (
        b"18446744073709552000", b"-12345678901234567000", b"1e+300", b'"\\ud83d"', b'"\\u0000"',
        b"[" * 250 + b"]" * 250,
    ):  # fmt: skip
        for headers, more in ((BEARER, {}), ({}, token)):
            page = uuid4().hex
            mailout = await fortress.arrange.mailout("ready", notion_page_id=page)
            await fortress.arrange.subscriber()
            notion = {
                "source": {"type": "automation", "event_id": str(uuid4()), "user_id": None},
                "data": {"object": "page", "id": page, "cover": None, "properties": {"P": "@"}},
            }
            body = json.dumps(notion | more).encode().replace(b'"@"', odd)
            told = await fortress.http.post("/send-mailout", content=body, headers=headers)
            assert (told.status_code, told.json().get("mailout_id")) == (202, str(mailout)), odd


async def test_a_doubled_key_in_notions_form_pauses_no_automation(fortress: Fortress) -> None:
    notion = b'{"source": {"event_id": "e"}, "data": {"id": "%s", "P": {"kx": 1, "kx": 2}}}' % (
        uuid4().hex.encode()
    )
    async with fortress.untouched():
        told = await fortress.http.post("/send-mailout", content=notion, headers=BEARER)
        assert (told.status_code, told.json()["started"]) == (200, False)
        assert '"kx" stands there twice' in told.json()["reason"]
        assert (await fortress.http.post("/send-mailout", content=notion)).status_code == 401


async def test_what_no_two_readers_read_alike_is_refused_by_its_place(fortress: Fortress) -> None:
    async with fortress.untouched():
        for operation, (body, place) in zip(
            cycle(await json_operations(fortress)), ODD * 2, strict=False
        ):
            answer = await operation.call(fortress, body, **BEARER)
            assert answer.status_code == 422, (operation, body[:99])
            assert answer.json()["detail"].startswith(place), (answer.text, body[:99])


async def test_strangers_learn_nothing_of_their_json(fortress: Fortress) -> None:
    async with fortress.untouched():
        for operation in await json_operations(fortress):
            if not operation.scopes:
                continue  # a road for everybody
            answers = [await operation.call(fortress, body) for body in (DOUBLED[0], b"{}", b"{")]
            assert {answer.status_code for answer in answers} == {401}, operation
            assert len({answer.content for answer in answers}) == 1, operation


def _signed(message: str) -> bytes:
    envelope = {
        "Type": "Notification", "MessageId": "m-1", "TopicArn": TOPIC, "Message": message,
        "Timestamp": datetime.now(UTC).isoformat(), "SignatureVersion": "1",
    }  # fmt: skip
    return json.dumps(envelope | {"Signature": signing_identity().sign(envelope)}).encode()


async def test_a_doubled_key_is_refused_in_what_services_post(fortress: Fortress) -> None:
    """In the envelope and in the message of SNS, in events of SendGrid, Mailgun and Notion."""
    url = f"{fortress.settings.aws_endpoint_url_sns}{signing_identity().certificate_path}"
    message = _signed('{"eventType": "Delivery", "mail": {"kx": 1, "kx": 2}}')
    message = message[:-1] + b', "SigningCertURL": "%s"}' % url.encode()
    envelope = message[:-1] + b', "kx": 1, "kx": 2}'
    large = message[:-1] + b', "Subject": "%s", "kx": 1, "kx": 2}' % (b"x" * 20_000)
    notion = b'{"type": "page.created", "id": "1", "kx": 1, "kx": 2}'
    sendgrid, mailgun = fortress.providers.sendgrid, fortress.providers.mailgun
    mailgun_headers, mailgun_body = mailgun.sign({"event": "delivered", "id": "e1"})
    mailgun_body = mailgun_body.replace(b'"id"', b'"kx": 1, "kx": 2, "id"')
    await fortress.http.post("/ses-events", content=_with_certificate(url))  # it is fetched once
    posts: list[tuple[str, bytes, dict[str, str], int]] = [
        ("/ses-events", envelope, {}, 400),
        ("/ses-events", large, {}, 400),
        ("/ses-events", message, {}, 400),
        ("/notion-events", notion, {"X-Notion-Signature": signature(NOTION_TOKEN, notion)}, 400),
        ("/mailgun-events", mailgun_body, mailgun_headers, 406),
        ("/sendgrid-events", *reversed(sendgrid.sign(b'[{"kx": 1, "kx": 2}]')), 406),  # type: ignore[list-item]
    ]
    async with fortress.untouched():
        for path, body, headers, status in posts:
            answer = await fortress.http.post(path, content=body, headers=headers)
            assert (answer.status_code, '"kx" stands' in answer.json()["detail"]) == (
                status,
                True,
            ), answer.text


def _with_certificate(url: str) -> bytes:
    return _signed("Successfully validated SNS topic")[:-1] + b', "SigningCertURL": "%s"}' % (
        url.encode()
    )


@pytest.mark.parametrize("body", DOUBLED)
def test_a_doubled_key_is_refused_in_a_queue(body: bytes) -> None:
    with pytest.raises(InvalidRequest, match='"kx" stands there twice'):
        read_request(Waiting(body, "m-1", None, None))


def test_a_doubled_key_is_refused_in_files_and_commands(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match='"total" stands there twice'):
        read_plan_file(b'[{"total": 50, "total": 100000}]')
    file = tmp_path / "mail.md"
    file.write_text("Hello")
    rule = ["--audience", '{"kx": 1, "kx": 2}']
    made = CliRunner().invoke(app, ["mailouts", "create", str(file), "--subject", "x", *rule])
    assert made.exit_code == 2
    assert '"kx" stands there twice' in made.output


async def test_a_doubled_key_is_refused_in_a_rule_of_an_address(fortress: Fortress) -> None:
    rule: Any = {"audience": '{"tags": ["a"], "tags": ["b"]}'}
    async with fortress.untouched():
        answer = await fortress.http.get("/audience", params=rule, headers=BEARER)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith('audience: "tags" stands there twice')
