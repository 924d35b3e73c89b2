"""The stand-ins refuse what SendGrid and Mailgun do, by their documentation."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from app.sandbox.mailgun.standin import MailgunConfig, MailgunStandIn
from app.sandbox.providers.model import Answer
from app.sandbox.sendgrid.standin import SendGridConfig, SendGridStandIn

ANN = {"to": [{"email": "ann@example.com"}]}
CALL: dict[str, Any] = {
    "personalizations": [ANN],
    "from": {"email": "news@example.com"},
    "subject": "Hi",
    "content": [{"type": "text/plain", "value": "x"}],
}


def ask_sendgrid(standin: SendGridStandIn, call: Any, **headers: str) -> Answer:
    given = {
        "Authorization": "Bearer SG.sandbox.sandbox",
        "Content-Type": "application/json",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    body = call if isinstance(call, bytes) else orjson.dumps(call)
    return standin.answer("/v3/mail/send", body, given)


def person(**more: Any) -> dict[str, Any]:
    return {**CALL, "personalizations": [{**ANN, **more}]}


@pytest.mark.parametrize(
    ("call", "field"),
    [
        ({**CALL, "personalizations": []}, "personalizations"),
        (
            {
                **CALL,
                "personalizations": [{"to": [{"email": f"p{n}@example.com"}]} for n in range(1001)],
            },
            "personalizations",
        ),
        ({**CALL, "personalizations": [ANN, ANN]}, "personalizations.1"),
        (person(to=[]), "personalizations.0.to"),
        (person(to=[{"email": "no address"}]), "personalizations.0.to.0.email"),
        (person(substitutions={"-n-": 7}), "personalizations.0.substitutions"),
        (person(substitutions={"-n-": "x" * 10_000}), "personalizations.0.substitutions"),
        (person(custom_args={"a": "x" * 10_000}), "personalizations.0.custom_args"),
        (person(headers={"Subject": "x"}), "personalizations.0.headers.Subject"),
        (person(headers={"List-Id": "é"}), "personalizations.0.headers.List-Id"),
        ({**CALL, "from": {}}, "from.email"),
        ({**CALL, "subject": ""}, "subject"),
        ({**CALL, "content": []}, "content"),
        ({**CALL, "content": [{"type": "text/plain", "value": ""}]}, "content.0.value"),
        (
            {
                **CALL,
                "content": [
                    {"type": "text/html", "value": "x"},
                    {"type": "text/plain", "value": "x"},
                ],
            },
            "content",
        ),
        (
            {**CALL, "tracking_settings": {"open_tracking": {"enable": "no"}}},
            "tracking_settings.open_tracking.enable",
        ),
    ],
)
def test_sendgrid_names_the_field(call: Any, field: str) -> None:
    standin = SendGridStandIn()
    answer = ask_sendgrid(standin, call)
    assert answer.status == 400
    assert orjson.loads(answer.body)["errors"][0]["field"] == field
    assert not standin.mails
    assert not standin.events


def test_sendgrid_takes_what_is_right_from_whom_it_knows() -> None:
    standin = SendGridStandIn(SendGridConfig(verified=frozenset({"example.com"})))
    taken = ask_sendgrid(standin, CALL)
    assert (taken.status, taken.body) == (202, b"")
    assert taken.headers["X-Message-Id"]
    stranger = {**CALL, "from": {"email": "news@example.org"}}
    assert ask_sendgrid(standin, stranger).status == 403
    assert ask_sendgrid(standin, CALL, Authorization="Bearer SG.other").status == 401
    assert ask_sendgrid(standin, CALL, Content_Type="text/plain").status == 415
    assert ask_sendgrid(standin, b"no JSON").status == 400
    assert ask_sendgrid(standin, b" " * 30_000_001).status == 413
    assert len(standin.mails) == 1


def test_sendgrid_substitutes_within_values_too() -> None:
    """So that a translation which relies on the opposite is found out."""
    standin = SendGridStandIn()
    call = {**person(substitutions={"-a-": "-b-", "-b-": "c"}), "subject": "-a-"}
    assert ask_sendgrid(standin, call).status == 202
    assert standin.only("ann@example.com").subject == "c"


def test_sandbox_mode_sends_nothing() -> None:
    standin = SendGridStandIn()
    ask_sendgrid(standin, {**CALL, "mail_settings": {"sandbox_mode": {"enable": True}}})
    assert not standin.mails


MESSAGE = [("from", "news@example.com"), ("to", "ann@example.com"), ("text", "x")]


def ask_mailgun(
    standin: MailgunStandIn,
    fields: list[tuple[str, str]],
    path: str = "/v3/mg.example.com/messages",
    key: str = "key-sandbox",
) -> Answer:
    known = base64.b64encode(f"api:{key}".encode()).decode()
    headers = {
        "Authorization": f"Basic {known}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return standin.answer(path, urlencode(fields).encode(), headers)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([("to", "ann@example.com"), ("text", "x")], "'from' parameter"),
        ([("from", "news@example.com"), ("text", "x")], "to parameter is missing"),
        ([*MESSAGE, ("to", "no address")], "'to' parameter is not a valid address"),
        ([*MESSAGE, *[("to", f"p{n}@example.com") for n in range(1000)]], "too many recipients"),
        (MESSAGE[:2], "Need at least one of"),
        ([*MESSAGE, ("recipient-variables", "[]")], "recipient-variables"),
        ([*MESSAGE, ("recipient-variables", "{")], "recipient-variables"),
    ],
)
def test_mailgun_says_what_is_wrong(fields: list[tuple[str, str]], words: str) -> None:
    standin = MailgunStandIn()
    answer = ask_mailgun(standin, fields)
    assert answer.status == 400
    assert words in orjson.loads(answer.body)["message"]
    assert not standin.mails


def test_mailgun_takes_what_is_right_where_it_belongs() -> None:
    standin = MailgunStandIn()
    assert orjson.loads(ask_mailgun(standin, MESSAGE).body)["message"] == "Queued. Thank you."
    wrong = ask_mailgun(standin, MESSAGE, key="other")
    assert (wrong.status, wrong.body) == (401, b"Forbidden")
    assert ask_mailgun(standin, MESSAGE, "/v3/example.org/messages").status == 404
    nowhere = ask_mailgun(standin, MESSAGE, "/v3/mg.example.com/messages/more")
    assert (nowhere.status, nowhere.body) == (200, b"Mailgun Magnificent API")
    assert len(standin.mails) == 1


def test_without_variables_mailgun_shows_everybody_to_everybody() -> None:
    standin = MailgunStandIn()
    ask_mailgun(standin, [*MESSAGE, ("to", "bob@example.com")])
    assert [mail.to for mail in standin.mails] == ["ann@example.com, bob@example.com"]


@pytest.mark.parametrize("anew", [True, False])
def test_a_repeated_webhook_of_mailguns_is_signed_anew_or_not(anew: bool) -> None:
    standin = MailgunStandIn(MailgunConfig(signs_anew=anew))
    ask_mailgun(standin, MESSAGE)
    [post, _] = standin.pending()
    assert (standin.signed(post) != standin.signed(post)) is anew
    assert post.attempts == 2
