"""What SES accepts, and the mail it makes of it."""

from __future__ import annotations

import email
import email.policy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from app.sandbox.server import SandboxServer
from tests.sandbox.support import bulk, entry, refused, ses_client, single, statuses, template

if TYPE_CHECKING:
    from mypy_boto3_sesv2 import SESV2Client


def parsed(mail: dict[str, Any]) -> email.message.EmailMessage:
    message = email.message_from_string(mail["raw"], policy=email.policy.default)
    assert isinstance(message, email.message.EmailMessage)
    return message


def test_a_bulk_call_answers_each_entry_in_order(ses: SESV2Client, sandbox: SandboxServer) -> None:
    results = ses.send_bulk_email(**bulk("a@example.com", "b@example.com"))["BulkEmailEntryResults"]
    assert [result["Status"] for result in results] == ["SUCCESS", "SUCCESS"]
    for result, to in zip(results, ["a@example.com", "b@example.com"], strict=True):
        assert sandbox.mail(result["MessageId"])["to"] == [to]


def test_each_mail_is_rendered_with_its_own_data(ses: SESV2Client, sandbox: SandboxServer) -> None:
    content = template(
        Subject="Hi {{name}}", Html="{{name}} {{city}}", TemplateData='{"city": "X"}'
    )
    ses.send_bulk_email(
        **bulk(
            entry("a@example.com", name="<Ann>"),
            entry("b@example.com", name="{{city}}", city="Rom"),
            DefaultContent=content,
        )
    )
    second, first = (sandbox.mail(mail["message_id"]) for mail in sandbox.mails())
    assert first["html"] == "<Ann> X"  # not escaped; the default fills in
    assert second["html"] == "{{city}} Rom"  # a value is not rendered again
    assert first["subject"] == "Hi <Ann>"


def test_the_message_is_what_ses_would_send(ses: SESV2Client, sandbox: SandboxServer) -> None:
    link = f"<https://example.com/unsubscribe?token={'t' * 300}>"
    mail = entry("a@example.com", name="Jörg")
    mail["ReplacementHeaders"] = [
        {"Name": "List-Unsubscribe", "Value": link},
        {"Name": "list-id", "Value": "<own.example.com>"},
    ]
    headers = [{"Name": "List-Id", "Value": "<all>"}, {"Name": "X-Kept", "Value": "yes"}]
    content = template(
        Subject="Hi {{name}}", Html="<p>{{name}}</p>", Text="{{name}}", Headers=headers
    )
    request = bulk(mail, DefaultContent=content, ReplyToAddresses=["reply@example.com"])
    result = ses.send_bulk_email(**request)["BulkEmailEntryResults"][0]
    message = parsed(sandbox.mail(result["MessageId"]))
    assert message["Subject"] == "Hi Jörg"
    assert message["To"] == "a@example.com"
    assert message["Reply-To"] == "reply@example.com"
    assert message["List-Unsubscribe"] == link
    assert message.get_all("List-Id") == ["<own.example.com>"]
    assert message["X-Kept"] == "yes"
    assert message["Message-ID"] == f"<{result['MessageId']}@email.amazonses.com>"
    assert message["Date"]
    html, text = message.get_body(("html",)), message.get_body(("plain",))
    assert html is not None
    assert text is not None
    assert html.get_content().strip() == "<p>Jörg</p>"
    assert text.get_content().strip() == "Jörg"


def test_a_single_mail_has_its_content_as_given(ses: SESV2Client, sandbox: SandboxServer) -> None:
    """Simple content is no template."""
    content = {
        "Simple": {
            "Subject": {"Data": "{{not}} a template"},
            "Body": {"Html": {"Data": "<p>{{#if}}</p>"}},
            "Headers": [{"Name": "List-Id", "Value": "<x>"}],
        }
    }
    tags = [{"Name": "send_log_id", "Value": "42"}]
    answer = ses.send_email(**single(Content=content, EmailTags=tags))
    mail = sandbox.mail(answer["MessageId"])
    assert (mail["subject"], mail["html"]) == ("{{not}} a template", "<p>{{#if}}</p>")
    assert mail["tags"] == {"send_log_id": "42"}


def test_a_single_mail_may_be_an_inline_template(ses: SESV2Client, sandbox: SandboxServer) -> None:
    content = template(Html="Hi {{name}}", TemplateData=json.dumps({"name": "Ann"}))
    answer = ses.send_email(**single(Content=content))
    assert sandbox.mail(answer["MessageId"])["html"] == "Hi Ann"


def test_replacement_tags_take_the_place_of_the_default_ones(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    with_own, without = entry("a@example.com"), entry("b@example.com")
    del without["ReplacementTags"]
    request = bulk(with_own, without, DefaultEmailTags=[{"Name": "default", "Value": "1"}])
    ses.send_bulk_email(**request)
    tags = {mail["to"][0]: mail["tags"] for mail in sandbox.mails()}
    assert tags == {"a@example.com": {"mailout_id": "m1"}, "b@example.com": {"default": "1"}}


def test_a_missing_value_is_accepted(ses: SESV2Client, sandbox: SandboxServer) -> None:
    """SES answers SUCCESS and delivers nothing."""
    request = bulk("a@example.com", DefaultContent=template(Html="{{absent}}"))
    assert statuses(ses.send_bulk_email(**request)) == ["SUCCESS"]
    (mail,) = sandbox.mails()
    assert mail["fates"] == {"a@example.com": "rendering failure"}
    assert "'absent'" in sandbox.mail(mail["message_id"])["failure"]


@pytest.mark.parametrize("source", ["{{#if x}}y{{/if}}", "{{{name}}}", "{{> part}}", "{{open"])
def test_more_than_substitution_is_refused(ses: SESV2Client, source: str) -> None:
    with refused("BadRequestException", match="unsupported operations"):
        ses.send_bulk_email(**bulk("a@example.com", DefaultContent=template(Html=source)))


def test_every_accepted_recipient_is_in_the_log(ses: SESV2Client, sandbox: SandboxServer) -> None:
    ses.send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(50))))
    log = sandbox.accepted()
    assert [line["to"] for line in log] == [f"r{n}@example.com" for n in range(50)]
    assert log[0]["tags"] == {"mailout_id": "m1"}
    assert log[0]["message_id"]
    assert log[0]["time"].endswith("Z")


def test_a_second_copy_in_a_mailout_counts_as_duplicate(
    ses: SESV2Client, sandbox: SandboxServer
) -> None:
    for _ in range(2):
        ses.send_bulk_email(**bulk("a@example.com", "b@example.com"))
    stats = sandbox.stats()
    assert (stats["accepted"], stats["duplicates"]) == (4, 2)
    assert stats["duplicate_examples"][0] == {"mailout_id": "m1", "to": "a@example.com"}


def test_an_accept_log_file_survives_a_reset(tmp_path: Path, start: Any) -> None:
    """The file is appended to; only what /sandbox/accepted shows begins anew."""
    log = tmp_path / "accepted.jsonl"
    server = start(accept_log=log)
    client = ses_client(server.url)
    client.send_email(**single("a@example.com"))
    server.reset()
    client.send_email(**single("b@example.com"))
    assert [json.loads(line)["to"] for line in log.read_text().splitlines()] == [
        "a@example.com",
        "b@example.com",
    ]
    assert [line["to"] for line in server.accepted()] == ["b@example.com"]


def test_old_mail_makes_room_but_stays_counted(start: Any) -> None:
    server = start(keep=10)
    ses_client(server.url).send_bulk_email(**bulk(*(f"r{n}@example.com" for n in range(15))))
    assert len(server.mails()) == 10
    assert server.mails()[0]["to"] == ["r14@example.com"]
    assert server.stats()["accepted"] == len(server.accepted()) == 15
