"""What a person receives is the same, whoever sends it: whatever an author writes and whatever a
subscriber's data are."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from app.domain.content.render import RenderError
from app.domain.providers.mailgun_mail import MailgunWriting, form
from app.domain.providers.sendgrid_mail import SendGridWriting, bulk_body, single_body
from app.domain.ses.mail import Mail
from app.errors import TemplateInvalid
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.providers.model import ReceivedMail
from app.sandbox.sendgrid.standin import SendGridStandIn
from tests.providers.letters import Letter, letter
from tests.support.wide import examples

quick = settings(
    max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)

# What a provider takes for a tag of its own, whole and in parts that a hole may complete.
TAGS = [
    "%recipient.name%", "%recipient.h0%", "%recipient.percent%", "%recipient.", "%recipient",
    "recipient.h0%", "%", "%%", "50%", "%unsubscribe_url%", "%recipient_email%", "%20%20",
    "-name-", "-h0-", "-", "[unsubscribe]", "{% raw %}{{name}}{% endraw %}",
    "{% raw %}{{{name}}}{% endraw %}", "{% raw %}{{h0}}{% endraw %}", "\\", "}", "&amp;", "é😀",
    "\r\n", " ", "x",
]  # fmt: skip
HOLES = ["{{ name }}", "{{ fields.a }}", "{% if fields.a %}{{ name }}%{% endif %}", "{{ email }}"]
written = st.lists(st.sampled_from(TAGS + HOLES), max_size=8).map("".join)
data = st.lists(st.sampled_from([tag for tag in TAGS if "{%" not in tag] + ["{{h0}}"]), max_size=5)
value = data.map("".join)


def by_sendgrid(one: Letter, mail: Mail) -> ReceivedMail:
    """Without HTTP between."""
    standin, writing = SendGridStandIn(), SendGridWriting(one.compiled, one.envelope)
    entry = writing.entry(mail)
    body = (
        single_body(one.compiled, one.envelope, mail)
        if entry is None
        else bulk_body(writing.head, [entry])
    )
    headers = {
        "Authorization": f"Bearer {standin.config.api_key}",
        "Content-Type": "application/json",
    }
    answer = standin.answer("/v3/mail/send", body, headers)
    assert answer.status == 202, answer.body
    return standin.only(mail.to)


def by_mailgun(one: Letter, mail: Mail) -> ReceivedMail:
    standin, writing = MailgunStandIn(), MailgunWriting(one.compiled, one.envelope)
    body = urlencode(form(writing.head, [writing.entry(mail)])).encode()
    headers = {
        "Authorization": "Basic YXBpOmtleS1zYW5kYm94",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    answer = standin.answer(f"/v3/{standin.config.domain}/messages", body, headers)
    assert answer.status == 200, answer.body
    return standin.only(mail.to)


def same(one: Letter, mail: Mail) -> None:
    expected = one.by_ses(mail)
    for got in (by_sendgrid(one, mail), by_mailgun(one, mail)):
        assert (got.subject, got.html, got.text) == (expected.subject, expected.html, expected.text)


@quick
@example("%recipient{{ name }}%", "%recipient.x{{ name }}", "%{{ name }}%", "recipient", "%")
@example("%recipient.[x]%recipient.name%", "%unsubscribe_url%", "%%recipient.h0%%", "%x", "y%")
@given(html=written, subject=written, text=written, name=value, field=value)
def test_the_same_arrives_byte_for_byte(
    html: str, subject: str, text: str, name: str, field: str
) -> None:
    try:
        one = letter(f"<p>{html}</p>", f"s{subject}".replace("\r\n", ""), f"t{text}")
        mail = one.to("ann@example.com", name=name, a=field)
    except (TemplateInvalid, RenderError):
        assume(False)
    same(one, mail)


def test_a_literal_that_looks_like_a_tag_arrives_literally() -> None:
    literal = "%recipient.name% %unsubscribe_url% 100%recipient.name% -name- 50%off%"
    one = letter(
        f"<p>{literal} {{{{ name }}}}</p>", f"{literal} {{% raw %}}{{{{x}}}}{{% endraw %}}"
    )
    mail = one.to("ann@example.com", name="%recipient.email% -name-")
    for got in (by_sendgrid(one, mail), by_mailgun(one, mail)):
        assert got.subject == f"{literal} {{{{x}}}}"
        assert f"<p>{literal} %recipient.email% -name-</p>" in got.html


def test_data_that_hold_the_mailouts_own_tag_go_by_themselves() -> None:
    """SendGrid may substitute within values, so nobody's data may hold what the tags begin with."""
    one = letter()
    writing = SendGridWriting(one.compiled, one.envelope)
    tag = writing._tag("h0")
    mail = one.to("ann@example.com", name=f"{tag} {tag}")
    assert writing.entry(mail) is None
    same(one, mail)


def test_data_beyond_sendgrids_limit_go_by_themselves() -> None:
    one = letter("<p>{{ fields.long }}</p>")
    mail = one.to("ann@example.com", long="é" * 6_000)
    assert SendGridWriting(one.compiled, one.envelope).entry(mail) is None
    same(one, mail)
    short = one.to("ann@example.com", long="é" * 600)
    assert SendGridWriting(one.compiled, one.envelope).entry(short) is not None


def test_an_author_who_guesses_the_tags_gets_others() -> None:
    first = letter("<p>{{ name }}</p>")
    tag = SendGridWriting(first.compiled, first.envelope)._tag("h0")
    second = letter(f"<p>{{{{ name }}}} {tag}</p>")
    same(second, second.to("ann@example.com"))


@pytest.mark.parametrize("deliver", [by_sendgrid, by_mailgun])
def test_headers_sender_and_ids_are_the_persons_own(deliver: object) -> None:
    assert deliver in (by_sendgrid, by_mailgun)
    one = letter()
    mail = one.to("ann@example.com", 42)
    got = deliver(one, mail)
    assert got.variables == dict(mail.tags)
    assert got.headers["List-Unsubscribe"] == "<https://example.com/unsubscribe?token=t42>"
    assert got.headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert got.headers["List-Id"] == "<news.example.com>"
    assert "news@example.com" in got.sender


def test_a_call_has_neither_too_many_people_nor_one_of_them_twice() -> None:
    one = letter()
    for writing in (
        SendGridWriting(one.compiled, one.envelope),
        MailgunWriting(one.compiled, one.envelope),
    ):
        people = [one.to(f"p{n}@example.com", n + 1) for n in range(1_001)]
        people.append(one.to("p1000@example.com", 1_002))
        entries = [entry for mail in people if (entry := writing.entry(mail))]
        assert [len(group) for group in writing.split(entries)] == [1_000, 1, 1]
        assert [one for group in writing.split(entries) for one in group] == entries


OUT = re.compile(r"<a [^>]*token=[^>]*>")


def test_only_where_a_mailout_asks_for_it_are_readers_watched_and_never_who_leaves() -> None:
    """The mark that SES needs for that goes to nobody else."""
    html = '<p><a ses:tags="a:b;" href="https://example.com/x">x</a> ses:no-track {{ name }}</p>'
    for tracking, sendgrid, mailgun in (
        (False, "", ""),
        (True, " clicktracking=off", " disable-tracking=true"),
    ):
        one = letter(html)
        one = replace(one, envelope=replace(one.envelope, tracking=tracking))
        writing = SendGridWriting(one.compiled, one.envelope)
        mail = one.to("ann@example.com")
        entry = writing.entry(mail)
        assert entry is not None
        for body in (
            bulk_body(writing.head, [entry]),
            single_body(one.compiled, one.envelope, mail),
        ):
            said = json.loads(body)
            watched = said["tracking_settings"]
            assert watched["click_tracking"] == {"enable": tracking, "enable_text": False}
            assert watched["open_tracking"] == {"enable": tracking}
            assert watched["subscription_tracking"] == {"enable": False}
        fields = dict(form(MailgunWriting(one.compiled, one.envelope).head, []))
        assert (fields["o:tracking"], fields["o:tracking-opens"]) == (
            ("yes",) * 2 if tracking else ("no",) * 2
        )
        assert fields["o:tracking-clicks"] == ("htmlonly" if tracking else "no")
        for got, attribute in (
            (by_sendgrid(one, mail), sendgrid),
            (by_mailgun(one, mail), mailgun),
        ):
            assert '<a href="https://example.com/x">x</a> ses:no-track Ann' in got.html
            [out] = OUT.findall(got.html)
            assert out.startswith(f"<a{attribute} href=")
