"""A click finds the link of the document, however the address was written on its way."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote
from uuid import UUID

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from app.domain.content.render import Content, Footer
from app.domain.engagement.document import tracked_links
from app.domain.engagement.links import MAX_CHARS, tidy_link
from app.domain.mailouts import MailoutContent
from app.domain.timed_tokens import SignupTokens
from app.domain.tokens import UnsubscribeTokens
from app.services.rendering.tasks import links_tracked
from tests.support.service import settings_for
from tests.support.wide import examples

FOOTER = Footer("Org", "1 Street", html='<a href="https://example.org/imprint">Imprint</a>')


def links(html: str | None = None, markdown: str | None = None) -> list[dict[str, str | None]]:
    return tracked_links(Content("Hi", html, markdown, None), FOOTER)


def matches(pattern: str, url: str) -> bool:
    """SQL's `like`."""
    parts = re.findall(r"\\(.)|(%)|(.)", pattern, re.DOTALL)
    regex = "".join(".*" if hole else re.escape(a or b) for a, hole, b in parts)
    return re.fullmatch(regex, url, re.DOTALL) is not None


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("https://example.com/p", "https://example.com/p"),
        ("HTTPS://Example.COM:443", "https://example.com/"),
        ("http://example.com:80?q", "http://example.com/?q"),
        (" https://example.com/a b ", "https://example.com/a%20b"),
        ("https://example.com/ä", "https://example.com/%C3%A4"),
        ("https://example.com/%c3%a4", "https://example.com/%C3%A4"),
        ("https://example.com/%7Eann?x=%2c", "https://example.com/~ann?x=,"),
        ("https://example.com/?a=1&amp;b=2&#38;c=3", "https://example.com/?a=1&b=2&c=3"),
        ("https://example.com/?a=1&copy=2", "https://example.com/?a=1&copy=2"),
        ("https://example.com/?a[]=1", "https://example.com/?a%5B%5D=1"),
        ("https://example.com/100%", "https://example.com/100%25"),
        ("https://example.com/?a=%26&b=%3D", "https://example.com/?a=%26&b=%3D"),
        ("https://us.example/unsubscribe?token=AbC.d-e_f&x", "https://us.example/unsubscribe?token=***&x"),
        ("https://r.example/?to=https%3A%2F%2Fus.example%2Fconfirm%3Ftoken%3DAbC%26x",
         "https://r.example/?to=https:%2F%2Fus.example%2Fconfirm%3Ftoken%3D***%26x"),
        ("not an address", "not%20an%20address"),
        ("https://example.com/" + "x" * 3000, ("https://example.com/" + "x" * 3000)[:MAX_CHARS]),
    ],
)  # fmt: skip
def test_one_spelling(written: str, told: str) -> None:
    assert tidy_link(written) == told
    assert tidy_link(told) == told


TOKENS = (
    UnsubscribeTokens(["secret"]).sign(UUID(int=7), UUID(int=8)),
    UnsubscribeTokens(["secret"]).sign(UUID(int=7), None),
    SignupTokens(["secret"]).sign(UUID(int=7)),
)


@pytest.mark.parametrize("token", TOKENS, ids=["unsubscribe", "test", "sign-up"])
@pytest.mark.parametrize(
    "written",
    [
        "https://us.example/unsubscribe?token={token}",
        "https://us.example/mail/unsubscribe?TOKEN={token}#top",
        "https://us.example/unsubscribe?%74oken={token}",
        "https://us.example/unsubscribe?token=%20{token}",
        "https://us.example/unsubscribe?token={coded}",
        "https://us.example/unsubscribe?token[]={token}",
        "https://us.example/unsubscribe/{token}",
        "https://us.example/#/{token}",
        "HTTPS://US.EXAMPLE/u/?t={coded}&x=1",
        "https://check.example/?u=https%3A%2F%2Fus.example%2Funsubscribe%3Ftoken%3D{coded}%26x",
        "https://check.example/v1/{twice}/",
        "https://check.example/?u=%2574oken%253D{twice}",
        "https://check.example/?u={all_twice}",
        "mailto:us@example.com?subject={token}",
    ],
)
def test_no_capability_of_ours_is_in_a_link(token: str, written: str) -> None:
    coded = re.sub(r"[._-]", lambda sign: f"%{ord(sign[0]):02x}", token)
    twice = coded.replace("%", "%25")
    all_twice = "".join(f"%25{ord(sign):02X}" for sign in token)
    url = written.format(token=token, coded=coded, twice=twice, all_twice=all_twice)

    told = tidy_link(url)

    assert "***" in told
    assert token[-30:] not in unquote(unquote(unquote(told)))
    assert tidy_link(told) == told


@settings(max_examples=examples(50))
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_whether_a_sign_is_encoded_makes_no_difference(path: str) -> None:
    """Whatever stands in a path: as it is where it may stand so, and wholly encoded."""
    encoded = quote(path, safe="")
    assert tidy_link(f"https://example.com/x/{encoded}/x") == tidy_link(
        f"https://EXAMPLE.com/x/{re.sub('%..', lambda code: code[0].lower(), encoded)}/x"
    )
    plain = re.sub(r"[%&#+=?/]", "", path).strip()
    if "token" not in plain.lower():
        assert tidy_link(f"https://example.com/x{plain}x") == tidy_link(
            f"https://example.com/x{quote(plain, safe='')}x"
        )


def test_the_links_of_a_document_in_their_order() -> None:
    found = links(
        '<p><a href="https://example.com/a?x=1&amp;y={{ fields.id }}">A</a> '
        "<a href='https://example.com/b'>B</a> <a href=https://example.com/b>B again</a> "
        '<a href="{{ fields.shop }}/sale">C</a> <a href="mailto:a@example.com">Mail</a> '
        '<a href="#top">Up</a> <a href="{{ unsubscribe_url }}">Leave</a> '
        '<map><area href="https://example.com/map"></map></p>'
        '{% if fields.vip %}<a href="https://example.com/vip">V</a>{% endif %}'
        '<!--[if mso]><a href="https://example.com/button">D</a><![endif]-->'
        '<footer><a href="https://example.com/contact">Contact</a> '
        '<a href="https://example.com/b">B below</a></footer>'
    )
    assert [(link["url"], link["place"]) for link in found] == [
        ("https://example.com/a?x=1&y={{ fields.id }}", "body"),
        ("https://example.com/b", "body"),
        ("{{ fields.shop }}/sale", "body"),
        ("https://example.com/map", "body"),
        ("https://example.com/vip", "body"),
        ("https://example.com/button", "body"),
        ("https://example.com/contact", "footer"),
        ("https://example.org/imprint", "footer"),
    ]
    patterns = {link["url"]: link["pattern"] for link in found if link["pattern"]}
    assert patterns == {
        "https://example.com/a?x=1&y={{ fields.id }}": "https://example.com/a?x=1&y=%",
        "{{ fields.shop }}/sale": "%/sale",
    }


@settings(max_examples=examples(30))
@given(
    path=st.text(st.sampled_from("aZ09-_.~/%ä &;=?"), max_size=12),
    value=st.text(st.sampled_from("aZ0@/%_\\ä&=#?"), max_size=12),
)
def test_a_filled_link_fits_its_pattern(path: str, value: str) -> None:
    href = f"https://example.com/{path}/{{{{ fields.x }}}}/end"
    [link, _] = links(f'<a href="{href}">A</a>')
    assert link["pattern"] is not None
    sent = re.sub("&amp;", "&", href).replace("{{ fields.x }}", value)
    if "token" not in sent:
        assert matches(link["pattern"], tidy_link(sent)), (link, tidy_link(sent))


def test_markdown_and_what_every_mail_ends_with() -> None:
    content = MailoutContent(
        subject="Hi", preheader=None, body_html=None, body_text=None, from_email=None,
        body_markdown="[A](https://example.com/a?n={{ name }}) and <https://example.com/b>",
        from_name=None, reply_to=None, configuration_set=None,
    )  # fmt: skip
    settings = settings_for("postgresql://nobody@127.0.0.1/none", None)
    assert [link["url"] for link in links_tracked(settings, content)] == [
        "https://example.com/a?n={{ name }}",
        "https://example.com/b",
    ]
