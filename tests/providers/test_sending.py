"""A call to SendGrid or Mailgun, and what is known of each person afterwards: accepted, certainly
not accepted, or unknown. Unknown is never sent again, so it must never be called a refusal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.domain.sending.fence import Fence
from app.domain.ses.answers import Answer
from app.domain.ses.mail import Mail
from app.ports import FallbackSender
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.providers.model import StandIn
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.sendgrid.standin import SendGridStandIn
from tests.providers.conftest import mailgun_sender, sendgrid_sender
from tests.providers.letters import OPEN, Letter, letter
from tests.support.local_server import LocalServer, Reply

KEYS = ("SG.sandbox.sandbox", "key-sandbox")

Way = tuple[FallbackSender, StandIn]


@pytest.fixture(params=["sendgrid", "mailgun"])
def way(request: pytest.FixtureRequest) -> Way:
    return (
        request.getfixturevalue(f"by_{request.param}"),
        request.getfixturevalue(request.param),
    )


def people(one: Letter, *names: str) -> list[Mail]:
    return [one.to(f"{name}@example.com", number) for number, name in enumerate(names, 1)]


def send(
    sender: FallbackSender, one: Letter, mails: Sequence[Mail], fence: Fence = OPEN
) -> list[Answer]:
    writing = sender.writing(one.compiled, one.envelope)
    entries = [entry for mail in mails if (entry := writing.entry(mail))]
    [group] = writing.split(entries)
    return sender.send_bulk(writing.head, group, fence)


def outcomes(answers: Sequence[Answer]) -> list[tuple[str, str | None]]:
    return [(answer.outcome, answer.halt) for answer in answers]


def test_each_person_gets_their_own_mail_and_sees_nobody_else(way: Way) -> None:
    sender, standin = way
    one = letter()
    answers = send(sender, one, [one.to("ann@example.com", 1), one.to("bob@example.com", 2, "Bob")])
    assert outcomes(answers) == [("sent", None)] * 2
    assert len({answer.message_id for answer in answers}) == 1
    for to, name, number in (("ann@example.com", "Ann", 1), ("bob@example.com", "Bob", 2)):
        got = standin.only(to)
        assert got.subject == f"News for {name}"
        assert got.headers["List-Unsubscribe"].endswith(f"token=t{number}>")
        assert got.message_id == answers[0].message_id
    assert len(standin.mails) == 2
    assert standin.asked == 1


def test_one_person_alone(way: Way) -> None:
    sender, standin = way
    one = letter("<p>{{ fields.long }}</p>")
    mail = one.to("ann@example.com", long="ü" * 20_000)
    answer = sender.send_single(one.compiled, one.envelope, mail, OPEN)
    assert (answer.outcome, answer.halt) == ("sent", None)
    assert standin.only("ann@example.com").html == one.by_ses(mail).html


# -- certainly not accepted


def test_a_lost_lease_stops_the_request(way: Way) -> None:
    sender, standin = way
    one = letter()
    [answer] = send(sender, one, people(one, "ann"), Fence(-1))
    assert (answer.outcome, answer.code) == ("requeue", "lease_lost")
    assert standin.asked == 0


def test_nobody_is_there() -> None:
    one = letter()
    closed = "http://127.0.0.1:9"
    for sender in (
        sendgrid_sender(closed, KEYS[0]),
        mailgun_sender(closed, KEYS[1], "example.com"),
    ):
        answers = send(sender, one, people(one, "ann", "bob"))
        assert outcomes(answers) == [("requeue", "unreachable")] * 2
        assert {answer.code for answer in answers} == {"not_connected"}
        sender.close()


@pytest.mark.usefixtures("sendgrid", "mailgun")
def test_a_wrong_key_stops_everything_and_isnt_shown(providers_server: ProvidersServer) -> None:
    one = letter()
    for sender in (
        sendgrid_sender(providers_server.url, "SG.wrong"),
        mailgun_sender(providers_server.url, "wrong", "mg.example.com"),
    ):
        answers = send(sender, one, people(one, "ann", "bob"))
        assert outcomes(answers) == [("requeue", "configuration")] * 2
        assert "wrong" not in str(answers)
        sender.close()


def test_sendgrid_names_who_spoils_the_call(
    by_sendgrid: SendGridSender, sendgrid: SendGridStandIn
) -> None:
    """Only that person fails; the others, who weren't accepted, go again at once."""
    one = letter()
    mails = people(one, "ann", "bob", "cid")
    mails[1] = one.to("no-domain@x", 2)
    answers = send(by_sendgrid, one, mails)
    assert [answer.outcome for answer in answers] == ["sent", "failed", "sent"]
    assert answers[1].message == "Does not contain a valid address."
    assert [mail.to for mail in sendgrid.mails] == ["ann@example.com", "cid@example.com"]
    assert sendgrid.asked == 2


def test_sendgrid_blames_one_after_the_other_but_not_for_ever(
    by_sendgrid: SendGridSender, sendgrid: SendGridStandIn
) -> None:
    """Errors that name somebody each time: who isn't named in a few calls waits."""
    body = b'{"errors": [{"message": "odd", "field": "personalizations.0.to"}]}'
    sendgrid.fail(status=400, body=body)
    one = letter()
    answers = send(by_sendgrid, one, people(one, *"abcdef"))
    assert [answer.outcome for answer in answers] == ["failed"] * 4 + ["requeue"] * 2
    assert sendgrid.asked == 4


def test_mailgun_doesnt_say_who_spoils_the_call(
    by_mailgun: MailgunSender, mailgun: MailgunStandIn
) -> None:
    """So the sender halves it; alone, that person fails."""
    one = letter()
    mails = [one.to("ann@example.com", 1), one.to("no-domain@x", 2)]
    assert outcomes(send(by_mailgun, one, mails)) == [("failed", "split")] * 2
    assert outcomes(send(by_mailgun, one, mails[1:])) == [("failed", None)]
    assert outcomes(send(by_mailgun, one, mails[:1])) == [("sent", None)]
    assert len(mailgun.mails) == 1


@pytest.mark.usefixtures("mailgun")
def test_mailgun_answers_200_where_nothing_is(providers_server: ProvidersServer) -> None:
    one = letter()
    sender = mailgun_sender(providers_server.url + "/v3", KEYS[1], "mg.example.com")
    [answer] = send(sender, one, people(one, "ann"))
    assert (answer.outcome, answer.halt) == ("requeue", "configuration")
    assert "MAILGUN_API_URL" in (answer.message or "")
    sender.close()


class Elsewhere(LocalServer):
    """Leads, as a proxy with a sign-in page does."""

    def __init__(self, reply: Reply) -> None:
        self.reply, self.asked = reply, 0

    def respond(self, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        self.asked += 1
        return self.reply


def test_a_redirect_isnt_followed_and_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = letter()
    with (
        Elsewhere(Reply(200)) as other,
        Elsewhere(Reply(307, headers={"Location": other.url})) as here,
    ):
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, other.url)
        for sender in (
            sendgrid_sender(here.url, KEYS[0]),
            mailgun_sender(here.url, KEYS[1], "example.com"),
        ):
            assert outcomes(send(sender, one, people(one, "ann"))) == [("requeue", "not_ses")]
            sender.close()
        assert (here.asked, other.asked) == (2, 0)


def test_a_provider_asks_to_go_slower(way: Way) -> None:
    sender, standin = way
    body = b'{"errors":[{"message":"too many requests","field":null}],"message":"slow down"}'
    standin.fail(status=429, body=body, headers={"X-RateLimit-Reset": "1770920772"}, times=1)
    one = letter()
    [answer] = send(sender, one, people(one, "ann"))
    assert (answer.outcome, answer.halt) == ("requeue", "throttled")
    assert "1770920772" in (answer.message or "")


# -- unknown


@pytest.mark.parametrize("accept", [True, False])
@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500, "body": b'{"errors":[{"message":"internal","field":null}],"message":"x"}'},
        {"status": 503, "body": b"<html>unavailable</html>"},
        {"status": 0, "ending": "drop"},
        {"status": 0, "ending": "reset"},
    ],
    ids=["500", "503", "drop", "reset"],
)
def test_what_ends_without_their_word_is_unknown(
    way: Way, fault: dict[str, Any], accept: bool
) -> None:
    """The same whether or not they took it: nobody here can tell. It is asked once."""
    sender, standin = way
    standin.fail(**fault, accept=accept)
    one = letter()
    assert outcomes(send(sender, one, people(one, "ann", "bob"))) == [
        ("unknown", "unreachable"),
        ("unknown", "unreachable"),
    ]
    assert standin.asked == 1
    assert len(standin.mails) == 2 * accept


def test_no_answer_in_time_is_unknown(
    providers_server: ProvidersServer, sendgrid: SendGridStandIn, mailgun: MailgunStandIn
) -> None:
    one = letter()
    for standin, sender in (
        (sendgrid, sendgrid_sender(providers_server.url, KEYS[0], call_seconds=0.3)),
        (mailgun, mailgun_sender(providers_server.url, KEYS[1], "x.example", call_seconds=0.3)),
    ):
        standin.fail(status=0, ending="hang", accept=True)
        answers = send(sender, one, people(one, "ann"))
        assert outcomes(answers) == [("unknown", "unreachable")]
        sender.close()


def test_a_cut_answer_of_mailgun_has_no_id(
    by_mailgun: MailgunSender, mailgun: MailgunStandIn
) -> None:
    mailgun.fail(status=0, ending="cut", accept=True)
    one = letter()
    [answer] = send(by_mailgun, one, people(one, "ann"))
    assert answer.outcome == "unknown"


def test_what_isnt_theirs_proves_nothing() -> None:
    """A page with status 200 or 202 says neither that the mail was taken nor that it wasn't."""
    one = letter()
    for status in (200, 202):
        with Elsewhere(Reply(status, b"<html>hello</html>")) as here:
            for sender in (
                sendgrid_sender(here.url, KEYS[0]),
                mailgun_sender(here.url, KEYS[1], "example.com"),
            ):
                [answer] = send(sender, one, people(one, "ann"))
                assert answer.outcome == "unknown"
                sender.close()
