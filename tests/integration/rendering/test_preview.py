"""What you see is what is sent: a preview is rendered by the code that sends, and sends nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from app.domain.tokens import UnsubscribeTokens
from app.sandbox.server import SandboxServer
from app.store import Store
from tests.support.dashboard import Visitor
from tests.support.factories import Arrange
from tests.support.service import BEARER, Service, command, environment, in_process, settings_for
from tests.support.waiting import eventually

LETTER = (
    "<style>.a{color:#123456} @media (prefers-color-scheme:dark){.a{color:#fff}}</style>"
    "<h1 class=a>Hello {{ name | default: 'you' }}</h1>"
    "<p>{{ fields.city }} &amp; {% if fields.points > 100 %}gold{% else %}silver{% endif %}</p>"
    "<p>{{ mailout.subject }} <a href='https://shop.example/?u={{ email }}'>Shop</a></p>"
)
TOKEN = re.compile(r"token=[\w.-]+")


async def preview(service: Service, mailout: UUID, **body: Any) -> dict[str, Any]:
    answer = await service.http.post(f"/mailouts/{mailout}/preview", json=body, headers=BEARER)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def without_token(text: str) -> str:
    return TOKEN.sub("token=…", text)


async def test_it_equals_what_ses_gets(
    service: Service, arrange: Arrange, sandbox: SandboxServer
) -> None:
    """For the same subscriber, but for the link's token: a preview's changes nobody."""
    await arrange.subscriber(
        "ann@example.com", name="Ann <Zoë>", fields={"city": "Köln & Bonn", "points": "120"}
    )
    mailout = await arrange.mailout(
        subject="News for {{ name }} in {{ fields.city }}",
        preheader="Only for {{ name }}",
        body_html=LETTER,
        from_name="Jörg, of Example",
        reply_to="answers@example.com",
    )
    seen = await preview(service, mailout, email="ANN@example.com")
    await service.send(mailout)

    async def accepted() -> list[dict[str, Any]]:
        return sandbox.accepted()

    [logged] = await eventually(accepted, until=lambda mails: len(mails) == 1)
    sent = sandbox.mail(logged["message_id"])
    assert seen["subject"] == sent["subject"] == "News for Ann <Zoë> in Köln & Bonn"
    for part in ("html", "text"):
        assert without_token(seen[part]) == without_token(sent[part])
    headers = {header["name"]: header["value"] for header in sent["headers"]}
    added_by_ses = {"Message-ID", "Date"}
    assert seen["headers"].keys() == headers.keys() - added_by_ses
    for name, value in seen["headers"].items():
        assert without_token(value) == without_token(headers[name])
    assert seen["tags"].keys() == sent["tags"].keys()
    assert seen["configuration_set"] == "sandbox"
    assert seen["from"] == '"Jörg, of Example" <news@example.com>'
    lines = [
        line for line in sent["raw"].split("\r\n") if not line.startswith(("Message-ID", "Date"))
    ]
    assert abs(seen["size"] - len("\r\n".join(lines))) <= 2 * 10, "boundaries differ in length"


async def test_its_link_changes_nobody(service: Service, arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com")
    seen = await preview(service, await arrange.mailout(), email="ann@example.com")
    [token] = {match[0].removeprefix("token=") for match in TOKEN.finditer(seen["html"])}
    assert token in seen["headers"]["List-Unsubscribe"]
    assert (
        UnsubscribeTokens(settings_for("postgresql://unused", None).unsubscribe_secrets)
        .verify(token)
        .test
    )
    answer = await service.http.post(f"/unsubscribe?token={token}", data={"x": "y"})
    assert answer.status_code == 200
    assert await arrange.one("select status from subscribers") == "active"


async def test_whose_mail_it_is(quiet: Service, arrange: Arrange) -> None:
    """A given subscriber's, one of the audience, or the one whose data fit worst."""
    mailout = await arrange.mailout(
        "draft", body_html="<p>{{ name }} in {{ fields.city }}, {{ fields['Shoe size'] }}</p>"
    )
    assert (await preview(quiet, mailout))["reader"]["who"] == "nobody"
    for email, name, fields in (
        ("complete@example.com", "Ann", {"city": "Bonn", "Shoe size": "38"}),
        ("longest@example.com", "A name that is very long", {"city": "Bonn", "Shoe size": "38"}),
        ("blank@example.com", "Bob", {"city": " "}),
        ("left@example.com", None, {}),
    ):
        status = "unsubscribed" if email.startswith("left") else "active"
        await arrange.subscriber(email, name=name, fields=fields, status=status)
    awkward = await preview(quiet, mailout, who="awkward")
    assert awkward["reader"] == {"email": "blank@example.com", "name": "Bob", "who": "awkward"}
    told = " ".join(problem["what"] for problem in awkward["problems"])
    assert "no fields.city" in told
    assert "Shoe size" in told
    await arrange.sql.execute("delete from subscribers where email like 'blank%'")
    longest = await preview(quiet, mailout, who="awkward")
    assert longest["reader"]["email"] == "longest@example.com"
    assert (await preview(quiet, mailout))["reader"]["who"] == "sample"
    left = await preview(quiet, mailout, email="left@example.com")
    assert left["headers"]["To"] == "left@example.com"
    answer = await quiet.http.post(
        f"/mailouts/{mailout}/preview", json={"email": "x@example.com"}, headers=BEARER
    )
    assert (answer.status_code, answer.json()["code"]) == (404, "subscriber_not_found")
    answer = await quiet.http.post(f"/mailouts/{uuid4()}/preview", headers=BEARER)
    assert (answer.status_code, answer.json()["code"]) == (404, "mailout_not_found")


async def test_what_is_not_saved_is_shown_and_stays_unsaved(
    quiet: Service, arrange: Arrange
) -> None:
    await arrange.subscriber("ann@example.com", name="Ann")
    mailout = await arrange.mailout("draft", subject="Stored", body_html="<p>Stored</p>")
    seen = await preview(
        quiet, mailout, content={"body_markdown": "Dear **{{ name }}**", "from_name": "Ann’s shop"}
    )
    assert "Dear <strong>Ann</strong>" in seen["html"]
    assert "Stored" not in seen["html"].partition("<body")[2]
    assert seen["subject"] == "Stored"
    assert "shop" in seen["from"]
    assert await arrange.one("select body_html from mailouts") == "<p>Stored</p>"
    for content, status, named in (
        ({"subject": "a\nb"}, 422, "subject"),
        ({"body_html": "{% for %}"}, 409, "body_html"),
        ({"status": "sent"}, 422, "status"),
    ):
        answer = await quiet.http.post(
            f"/mailouts/{mailout}/preview", json={"content": content}, headers=BEARER
        )
        assert answer.status_code == status, answer.text
        assert named in answer.text


async def test_the_caller_says_which_part(quiet: Service, arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", name="Ann")
    mailout = await arrange.mailout("sent", body_html="<p>Hi {{ name }}<script>alert(1)</script>")

    async def part(accept: str) -> Any:
        return await quiet.http.post(
            f"/mailouts/{mailout}/preview", headers=BEARER | {"Accept": accept}
        )

    html = await part("text/html,application/xhtml+xml,*/*;q=0.8")
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert "Hi Ann" in html.text
    policy = html.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'")
    text = await part("text/plain")
    assert text.headers["content-type"].startswith("text/plain")
    assert text.text.startswith("Hi Ann")
    for accept in ("*/*", "application/json", "image/png", "text/html;q=0.1, application/json"):
        assert (await part(accept)).json()["subject"] == "Hello"


@pytest.mark.short
async def test_a_mail_that_gmail_clips_is_named(quiet: Service, arrange: Arrange) -> None:
    long = "".join(f"<p>Paragraph {n} of a letter without end.</p>" for n in range(3000))
    seen = await preview(quiet, await arrange.mailout("draft", body_html=long))
    assert seen["html_size"] == len(seen["html"].encode()) > 102_000
    assert seen["size"] > seen["html_size"]
    assert any("Gmail" in problem["what"] for problem in seen["problems"])


async def test_it_works_before_sending_is_set_up(dsn: str, arrange: Arrange) -> None:
    settings = settings_for(
        dsn, None, SES_FROM_EMAIL=None, UNSUBSCRIBE_SECRET=None, ORG_NAME=None, ORG_ADDRESS=None
    )
    mailout = await arrange.mailout("draft")
    async with in_process(settings, with_sender=False) as service:
        seen = await preview(service, mailout)
    assert "Hi" in seen["html"]
    told = " ".join(problem["what"] for problem in seen["problems"])
    for name in ("SES_FROM_EMAIL", "UNSUBSCRIBE_SECRET", "ORG_NAME", "ORG_ADDRESS"):
        assert name in told


async def test_a_reader_for_whom_the_template_fails(quiet: Service, arrange: Arrange) -> None:
    """Told, since others get their mail."""
    await arrange.subscriber("ann@example.com", fields={"n": "0"})
    body = "{% if fields.n %}{{ 7 | divided_by: fields.n }}{% endif %}"
    mailout = await arrange.mailout("draft", body_html=f"<p>{body}</p>")
    seen = await preview(quiet, mailout, email="ann@example.com")
    assert seen["html"] == ""
    assert seen["problems"][0]["level"] == "fail"


@pytest.mark.short
async def test_the_command_writes_it_to_a_file(dsn: str, arrange: Arrange, tmp_path: Path) -> None:
    await arrange.subscriber("ann@example.com", name="Ann")
    mailout = await arrange.mailout("draft", subject="For {{ name }}")
    variables = environment(dsn, None)

    def run(*arguments: str) -> Any:
        return command(tmp_path, variables, "mailouts", "preview", str(mailout), *arguments)

    done = run("--as", "ann@example.com", "-o", "mail.html")
    assert done.returncode == 0, done.stderr
    assert "Hi Ann" in (tmp_path / "mail.html").read_text("utf-8")
    assert "Subject: For Ann" in done.stdout
    done = run("--awkward", "-o", "mail.txt")
    assert (tmp_path / "mail.txt").read_text("utf-8").startswith("Hi Ann")
    done = run("--as", "nobody@example.com", "-o", "other.html")
    assert done.returncode == 1
    assert "No subscriber has this address" in done.stderr
    assert not (tmp_path / "other.html").exists()


async def test_the_page_shows_it(visitor: Visitor, arrange: Arrange) -> None:
    await arrange.subscriber("ann@example.com", name="Ann")
    mailout = await arrange.mailout(
        "draft", subject="For <{{ name }}>", body_html="<p>Hi {{ name }}"
    )
    page = await visitor.get(f"/mailouts/{mailout}/preview?preview_pictures=yes")
    assert page.status_code == 200
    assert "For &lt;Ann&gt;" in page.text
    assert 'sandbox=""' in page.text
    assert "img-src data: https: http:;" in page.headers["content-security-policy"]
    written = {"subject": "Typed", "format": "markdown", "body": "Dear **{{ name }}**"}
    page = await visitor.post(f"/mailouts/{mailout}/preview", **written)
    assert "Typed" in page.text
    assert "Dear &lt;strong&gt;Ann" in page.text
    assert "img-src data:;" in page.headers["content-security-policy"]
    page = await visitor.post(f"/mailouts/{mailout}/preview", subject="", format="html", body="x")
    assert "subject" in page.text
    assert page.status_code == 200, "the frame has to show it"
    assert await arrange.one("select subject from mailouts") == "For <{{ name }}>"


@pytest.mark.parametrize("who", ["sample", "awkward"])
async def test_whoever_it_is_can_be_found_both_ways(
    store: Store, arrange: Arrange, who: str
) -> None:
    await arrange.subscriber("ann@example.com", name="Ann", fields={"city": ""})
    mailout = await arrange.mailout()
    if who == "sample":
        found = await store.sample_subscriber(mailout)
    else:
        found = await store.awkward_reader(mailout, ["name", "fields.city"])
    assert found is not None
    assert found["email"] == "ann@example.com"
