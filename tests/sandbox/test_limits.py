"""Each limit of SES is refused as SES refuses it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from app.sandbox.server import SandboxServer
from app.sandbox.ses.addresses import parse_mailbox
from tests.sandbox.support import bulk, entry, refused, ses_client, single, statuses, template

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client

ENTRY = entry("a@example.com")
TO = {"ToAddresses": ["a@example.com"]}


@pytest.fixture
def careless(sandbox: SandboxServer) -> SESV2Client:
    """A client that checks nothing itself."""
    return ses_client(sandbox.url, parameter_validation=False)


def headers(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in pairs]


CALLS = {
    "no sender": bulk("a@example.com", FromEmailAddress=""),
    "two senders": bulk("a@example.com", FromEmailAddress="a@example.com, b@example.com"),
    "comma in a bare name": bulk("a@example.com", FromEmailAddress="Doe, J <a@example.com>"),
    "name not encoded": bulk("a@example.com", FromEmailAddress="Jörg <a@example.com>"),
    "reply-to": bulk("a@example.com", ReplyToAddresses=["nobody"]),
    "no entries": bulk(),
    "51 entries": bulk(*["a@example.com"] * 51),
    "no template": bulk("a@example.com", DefaultContent={}),
    "no subject": bulk("a@example.com", DefaultContent=template(Subject="")),
    "no body": bulk("a@example.com", DefaultContent=template(Html="")),
    "line break in the subject": bulk("a@example.com", DefaultContent=template(Subject="a\nb")),
    "data not JSON": bulk("a@example.com", DefaultContent=template(TemplateData="{")),
    "data not an object": bulk("a@example.com", DefaultContent=template(TemplateData="[]")),
    "data too long": bulk(
        "a@example.com", DefaultContent=template(TemplateData=json.dumps({"a": "x" * 262_137}))
    ),
    "replacement data too long": bulk(entry("a@example.com", long="x" * 262_144)),
    "body above 1 MB": bulk("a@example.com", DefaultContent=template(Html="x" * 1_000_000)),
    "16 headers": bulk(
        "a@example.com",
        DefaultContent=template(Headers=headers(*((f"X-{n}", "v") for n in range(16)))),
    ),
    "header name": bulk("a@example.com", DefaultContent=template(Headers=headers(("X y", "v")))),
    "header value not ASCII": bulk({**ENTRY, "ReplacementHeaders": headers(("X-Y", "ä"))}),
    "header value with a line break": bulk(
        {**ENTRY, "ReplacementHeaders": headers(("X-Y", "a\r\nBcc: b@example.com"))}
    ),
    "header value too long": bulk({**ENTRY, "ReplacementHeaders": headers(("X", "v" * 996))}),
    "reserved header": bulk("a@example.com", DefaultContent=template(Headers=headers(("To", "x")))),
    "header twice": bulk(
        "a@example.com",
        DefaultContent=template(Headers=headers(("List-Id", "a"), ("list-id", "b"))),
    ),
    "default tag": bulk(
        "a@example.com", DefaultEmailTags=[{"Name": "to", "Value": "a@example.com"}]
    ),
    "unknown member": bulk("a@example.com", Priority="high"),
    "wrong type": bulk("a@example.com", ReplyToAddresses="a@example.com"),
    "enumeration": bulk(
        "a@example.com",
        ConfigurationOverrides={"Tracking": {"OpenTrackingEnabled": "YES"}},
    ),
}


@pytest.mark.parametrize("request_", CALLS.values(), ids=CALLS.keys())
def test_a_call_beyond_a_limit_is_refused_whole(
    careless: SESV2Client, sandbox: SandboxServer, request_: dict[str, Any]
) -> None:
    if "Priority" in request_:  # botocore itself leaves out what it doesn't know
        _post_raw(careless, request_)
    else:
        with refused("BadRequestException"):
            careless.send_bulk_email(**request_)
    assert sandbox.accepted() == []


def _post_raw(client: SESV2Client, body: dict[str, Any]) -> None:
    def replace(request: Any, **_: Any) -> None:
        request.data = json.dumps(body)

    client.meta.events.register("before-sign.sesv2.SendBulkEmail", replace)
    with refused("BadRequestException", match="Unknown parameter"):
        client.send_bulk_email(**bulk("a@example.com"))


ENTRIES = {
    "no recipient": {**ENTRY, "Destination": {}},
    "51 recipients": {**ENTRY, "Destination": {"CcAddresses": ["a@example.com"] * 51}},
    "no domain": entry("somebody"),
    "domain without a dot": entry("a@localhost"),
    "address literal": entry("a@[127.0.0.1]"),
    "two addresses": entry("a@example.com, b@example.com"),
    "local part not ASCII": entry("jörg@example.com"),
    "domain not punycode": entry("a@bücher.example"),
    "local part too long": entry(f"{'a' * 65}@example.com"),
    "address too long": entry(f"a@{'.'.join(['b' * 60] * 5)}.com"),
    "line break": entry("a@example.com\r\nBcc: b@example.com"),
    "tag": {**ENTRY, "ReplacementTags": [{"Name": "to", "Value": "a@example.com"}]},
    "tag too long": {**ENTRY, "ReplacementTags": [{"Name": "to", "Value": "a" * 257}]},
    "header twice": {**ENTRY, "ReplacementHeaders": headers(("X-Y", "a"), ("x-y", "b"))},
    "header name and value": {**ENTRY, "ReplacementHeaders": headers(("X-Y", "v" * 994))},
    "data not JSON": {
        **ENTRY,
        "ReplacementEmailContent": {"ReplacementTemplate": {"ReplacementTemplateData": "{"}},
    },
    "line break in the subject": entry("a@example.com", name="a\nb"),
}


@pytest.mark.parametrize("bad", ENTRIES.values(), ids=ENTRIES.keys())
def test_an_entry_beyond_a_limit_is_refused_alone(
    ses: SESV2Client, sandbox: SandboxServer, bad: dict[str, Any]
) -> None:
    answer = ses.send_bulk_email(**bulk("a@example.com", bad, "b@example.com"))
    assert statuses(answer) == ["SUCCESS", "INVALID_PARAMETER", "SUCCESS"]
    assert answer["BulkEmailEntryResults"][1]["Error"]
    assert len(sandbox.accepted()) == 2


SINGLES = {
    "no content": single(Content={}),
    "raw": single(Content={"Raw": {"Data": b"From: a@example.com"}}),
    "no body": single(Content={"Simple": {"Subject": {"Data": "S"}, "Body": {}}}),
    "no destination": single(Destination={}),
    "bad address": single("somebody"),
    "tag": single(EmailTags=[{"Name": "a b", "Value": "c"}]),
    "contact list": single(ListManagementOptions={"ContactListName": "all"}),
}


@pytest.mark.parametrize("request_", SINGLES.values(), ids=SINGLES.keys())
def test_a_single_mail_beyond_a_limit_is_refused(
    ses: SESV2Client, sandbox: SandboxServer, request_: dict[str, Any]
) -> None:
    with refused("BadRequestException"):
        ses.send_email(**request_)
    assert sandbox.accepted() == []


def test_the_largest_values_pass(ses: SESV2Client) -> None:
    mail = entry(f"{'a' * 64}@example.com", long="x" * 262_000)
    mail["ReplacementTags"] = [{"Name": "n" * 256, "Value": "v" * 256}]
    mail["ReplacementHeaders"] = headers(*((f"X-{n:02}", "v" * 992) for n in range(15)))
    assert statuses(ses.send_bulk_email(**bulk(mail))) == ["SUCCESS"]


@pytest.mark.parametrize(
    "text",
    [
        "a@example.com",
        "o'neil+tag@sub.example.co.uk",
        '"Doe, J" <a@example.com>',
        "=?utf-8?q?J=C3=B6rg?= <a@xn--bcher-kva.example>",
        "<a@example.com>",
        '"a b"@example.com',
    ],
)
def test_usual_addresses_pass(text: str) -> None:
    assert parse_mailbox(text).header == text


def test_an_unknown_configuration_set_is_not_found(ses: SESV2Client) -> None:
    with refused("NotFoundException", 404, "Configuration set <none> does not exist"):
        ses.send_bulk_email(**bulk("a@example.com", ConfigurationSetName="none"))
    ses.send_bulk_email(**bulk("a@example.com", ConfigurationSetName="sandbox"))


def test_a_stored_template_is_not_found(ses: SESV2Client) -> None:
    with refused("NotFoundException", 404):
        content = {"Template": {"TemplateName": "stored"}}
        ses.send_bulk_email(**bulk("a@example.com", DefaultContent=content))


def test_an_unverified_sender_is_rejected(start: Any) -> None:
    ses = ses_client(start(verified=frozenset({"example.com", "me@other.example"})).url)
    with refused("MessageRejected", match="not verified"):
        ses.send_bulk_email(**bulk("a@example.com", FromEmailAddress="x@other.example"))
    for sender in ("x@example.com", "x@sub.example.com", "Me <me@other.example>"):
        ses.send_email(**single(FromEmailAddress=sender))
