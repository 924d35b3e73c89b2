"""What SES must never track, whatever is written: the links by which people leave or confirm."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import fields
from types import SimpleNamespace
from typing import Any, cast

import pytest

from app.adapters.aws.notice import bulk_request, single_request
from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.domain.mailouts import MailoutContent
from app.domain.notion.blocks.document import document
from app.domain.ses.mail import Notice
from app.sandbox.config import SandboxConfig
from app.sandbox.server import SandboxServer
from app.sandbox.ses.sets import Tracked
from app.sandbox.store import Mail
from app.sandbox.tracking.rewriting import Delivered, Tracker
from app.services.checks.mail import check_mail
from tests.support.factories import Arrange
from tests.support.mails import UNSUBSCRIBE, mail
from tests.support.notion_blocks import paragraph, text
from tests.support.service import BEARER, Service, in_process, settings_for
from tests.support.signup import ANN, ask, confirmation_mail
from tests.support.waiting import eventually

HOME = '<a href="https://example.com/home">home</a>'
WRITTEN_OUT = "https://mail.example.com/unsubscribe?utm=x&amp;token=abc"


def delivered(html: str) -> Delivered:
    """What arrives of the HTML part of a mail whose opens and clicks SES tracks."""
    call = SimpleNamespace(html=html, tracked=Tracked(opens=True, clicks=True))
    sent = SimpleNamespace(call=call, message_id="m", render=lambda part: part)
    made = Tracker("https://tracking.example").delivered(cast("Mail", sent))
    assert made is not None
    return made


@pytest.mark.parametrize(
    "body",
    [
        '<a href="{{ unsubscribe_url }}">out</a>',
        "<A class=b HREF='{{ unsubscribe_url | append: \"&x=1\" }}' title='ses:no-track'>out</A>",
        '<a href="{% if name %}{{ unsubscribe_url }}{% else %}https://e.com{% endif %}">out</a>',
        '<a {% if name %}href="{{ unsubscribe_url }}"{% endif %}>out</a>',
        '{% assign out = unsubscribe_url %}<a href="{{ out }}">out</a>',
        '{% assign a = unsubscribe_url %}{% assign b = a | strip %}<a href="{{ b }}">out</a>',
        '{% capture out %}{{ unsubscribe_url }}{% endcapture %}<a href="{{ out }}">out</a>',
        '{% liquid\n assign out = unsubscribe_url\n%}<a href="{{ out }}">out</a>',
        '{% for x in (1..2) %}<a href="{{ unsubscribe_url }}">out</a>{% endfor %}',
        '<map name="m"><area href="{{ unsubscribe_url }}" alt="out"></map>',
        f'<a href="{WRITTEN_OUT}">out</a>',
        "<style>a { color: red }</style><a style='top:0' href='{{ unsubscribe_url }}'>out</a>",
    ],
)
def test_however_it_is_written_a_link_to_unsubscribe_is_not_tracked(body: str) -> None:
    """In the body and in our footer; other links are, so that the test would see it."""
    made = delivered(mail(f"{body}{HOME}").html)
    assert [link.url for link in made.tracked_links] == ["https://example.com/home"]
    untracked = {link.url for link in made.links if not link.tracked}
    assert UNSUBSCRIBE in untracked
    assert "L0/https:%2F%2Fexample.com%2Funsub" not in made.html


def test_a_variable_of_the_same_beginning_is_another() -> None:
    """Only what is made of the link: others are tracked as they should be."""
    body = (
        '{% assign out = unsubscribe_url %}{% assign outer = "https://example.com/o" %}'
        '<a href="{{ outer }}">o</a><a href="https://example.com/unsubscribed">u</a>'
        '<a href="https://example.com/?token=x">t</a>{{ out }}'
    )
    made = delivered(mail(body).html)
    assert [link.url for link in made.tracked_links] == [
        "https://example.com/o",
        "https://example.com/unsubscribed",
        "https://example.com/?token=x",
    ]


def test_a_button_for_outlook_says_so_too() -> None:
    """It stands in a conditional comment, which some programs read as markup."""
    button = (
        '<!--[if mso]><v:roundrect href="{{ unsubscribe_url }}" style="width:9px"><a '
        'href="{{ unsubscribe_url }}">out</a></v:roundrect><v:rect href="https://e.com"><![endif]-->'
        '<!--[if !mso]><!--><a href="{{ unsubscribe_url }}">out</a><!--<![endif]-->'
    )
    html = mail(button).html
    assert html.count("<v:roundrect ses:no-track href=") == 1
    assert html.count("<a ses:no-track href=") == 2
    assert '<v:rect href="https://e.com"><![endif]-->' in html
    assert not delivered(html).tracked_links
    nested = mail(f"{'<!-- ' * 3000}<a href='{{{{ unsubscribe_url }}}}'>out</a> -->").html
    assert nested.count("<a ses:no-track href=") == 1


@pytest.mark.parametrize("escaped", ["{{ unsubscribe_url }}", "%7B%7B%20unsubscribe_url%20%7D%7D"])
def test_nor_is_one_in_markdown_or_of_a_page_in_notion(escaped: str) -> None:
    markdown = mail(body_markdown=f"[out](<{escaped}>)\n\n[home](https://example.com/home)").html
    page = document([paragraph([text("out", link=escaped)]),
                     paragraph([text("home", link="https://example.com/home")])])  # fmt: skip
    for html in (markdown, mail(body_markdown=page.markdown).html):
        made = delivered(html)
        assert [link.url for link in made.tracked_links] == ["https://example.com/home"]
        assert sum(link.url == UNSUBSCRIBE for link in made.links) == 2


def test_nor_is_one_in_a_template_or_in_the_footers_own_html() -> None:
    frame = "{% assign out = unsubscribe_url %}{{ content }}<a href='{{ out }}'>out</a>"
    body = HOME + "{% render 'button', link: unsubscribe_url %}"
    button = "<a href='{{ link }}'>leave</a>"
    rows = [
        {"id": name, "name": name, "body_html": html, "body_markdown": None, "layout_id": None}
        for name, html in (("frame", frame), ("button", button))
    ]
    sources = {"template_id": "frame", "templates": rows}
    content = Content("s", body, None, None, sources=sources)
    footer = Footer("Org", "Street", html=f'<a href="{WRITTEN_OUT}">leave</a>')
    compiled = compile_content(content, footer)
    reader = template_variables(
        email=ANN, name="Ann", fields={}, mailout_id="m", unsubscribe_url=UNSUBSCRIBE
    )
    made = delivered(compiled.paste(compiled.values(reader)).html)
    assert [link.url for link in made.tracked_links] == ["https://example.com/home"]
    assert len(made.links) == 5


@pytest.mark.parametrize(("tracking", "links", "said"), [(True, 251, 1), (True, 250, 0),
                                                        (False, 251, 0)])  # fmt: skip
def test_more_links_than_ses_tracks_are_a_finding(tracking: bool, links: int, said: int) -> None:
    """Our own, which isn't tracked, doesn't count."""
    body = "".join(f'<a href="https://example.com/{n}">{n}</a>' for n in range(links))
    made = mail(body)
    unset: dict[str, Any] = dict.fromkeys(field.name for field in fields(MailoutContent))
    content = MailoutContent(**{**unset, "body_html": body, "tracking": tracking})
    found = [each for each in check_mail(content, made, []) if "links" in each.what]
    assert len(found) == said
    assert len(delivered(made.html).tracked_links) == 250


def test_a_mail_of_ours_names_no_configuration_set() -> None:
    """Neither that to the owner nor that which asks for a confirmation."""
    ours = Notice("s", "t", "<a href='https://e.com/?token=x'>y</a>")
    for request in (single_request, bulk_request):
        assert "ConfigurationSetName" not in request(ours, "us@e.com", "you@e.com", [])


@pytest.fixture(scope="module")
def tracking_sandbox() -> Iterator[SandboxServer]:
    with SandboxServer(SandboxConfig(max_send_rate=100_000, max_24h_send=-1)) as server:
        yield server


@pytest.fixture
async def service(dsn: str, tracking_sandbox: SandboxServer) -> AsyncIterator[Service]:
    """With sign-up, and an account whose manager tracks everything that doesn't say no."""
    tracking_sandbox.reset()
    tracking_sandbox.account(engagement_metrics="ENABLED")
    settings = settings_for(
        dsn,
        tracking_sandbox.url,
        SES_TRACKING_CONFIGURATION_SET="sandbox-tracking",
        SIGNUP="true",
    )
    async with in_process(settings) as running:
        yield running


def tracked(found: dict[str, Any]) -> list[str]:
    return [link["url"] for link in found["links"] if link["tracked"]]


async def test_even_where_the_account_tracks_all_nothing_of_ours_is(
    service: Service, tracking_sandbox: SandboxServer, arrange: Arrange
) -> None:
    """A mailout's links are, but not the one to unsubscribe, in either part or in the header; the
    mail that asks for a confirmation has none. Tests and mails of ours never use the tracking set.
    """
    await arrange.subscriber("reader@example.com")
    mailout = await arrange.mailout(tracking=True, body_html=HOME)
    await service.http.post(
        f"/mailouts/{mailout}/test",
        json={"to": ["me@example.com"]},
        headers=BEARER,
    )
    await ask(service.http, ANN)
    asking = await confirmation_mail(tracking_sandbox, ANN)
    assert tracked(asking) == []
    assert "/L0/" not in asking["html"]

    async def test_mails() -> list[dict[str, Any]]:
        return tracking_sandbox.mails("me@example.com")

    [test] = await eventually(test_mails, until=bool)
    await service.send(mailout)

    async def mails() -> list[dict[str, Any]]:
        return tracking_sandbox.mails("reader@example.com")

    [sent] = await eventually(mails, until=bool)
    found = tracking_sandbox.mail(sent["message_id"])
    assert tracked(found) == ["https://example.com/home"]
    [header] = [h["value"] for h in found["headers"] if h["name"].lower() == "list-unsubscribe"]
    link = header.strip("<>")
    assert link.startswith("http://localhost:8000/unsubscribe?token=")
    assert f'href="{link}"' in found["html"]
    assert link in found["text"]
    assert "/L0/" not in found["text"]
    assert found["configuration_set"] == "sandbox-tracking"
    test_mail = tracking_sandbox.mail(test["message_id"])
    assert test_mail["configuration_set"] == "sandbox"
    assert asking["configuration_set"] is None
