# ruff: noqa: E501  hostile inputs are read as they are written
"""Readers' data is text wherever it stands: in mails, in previews, in the dashboard."""

from __future__ import annotations

from html.parser import HTMLParser

import pytest

from app.domain.content.render import Content, Footer, compile_content, template_variables
from app.domain.guarding.filters import scheme_of
from tests.security.fortress import BEARER, SECRET, Fortress

SCRIPTS = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "'><svg onload=alert(1)>",
    "</title><script>", "--><script>", "]]><script>", "</style><script>", "&lt;script&gt;", "${alert(1)}",
    "{{ email }}", "\u2028<script>", "<\x00script>", "<ſcript>", "＜script＞",
]  # fmt: skip
PROGRAMS = [
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "\x01javascript:alert(1)",
    "jav\tascript:alert(1)", "jav\nascript:alert(1)", "java\x00script:alert(1)", "javascript\t:alert(1)",
    "jav&#x09;ascript:alert(1)", "&#106;avascript:alert(1)", "javascript&colon;alert(1)",
    "&amp;#106;avascript:alert(1)", "\u00adjavascript:alert(1)", "\u200bjavascript:alert(1)",
    "vbscript:msgbox(1)", "data:text/html,<script>alert(1)</script>", "data:image/svg+xml,<svg onload=1>",
    "livescript:x", "file:///etc/passwd", "blob:https://x/y", "view-source:x", "feed:javascript:alert(1)",
]  # fmt: skip
PLACES = [
    '<a href="{{ fields.x }}">', "<a href='{{ fields.x }}'>", "<a href={{ fields.x }}>",
    '<a href=" {{ fields.x }}">', '<a href="{{ fields.x | strip }}">', "<a href=\"{% if name %}{{ fields.x }}{% endif %}\">",
    '{% assign u = fields.x %}<a href="{{ u }}">', '{% capture u %}{{ fields.x }}{% endcapture %}<a href="{{ u }}">',
    '<a href="{% echo fields.x %}">', '<a href="{% for a in (1..1) %}{{ fields.x }}{% endfor %}">',
    '<img src="{{ fields.x }}">', '<form action="{{ fields.x }}">', '<button formaction="{{ fields.x }}">x</button>',
    '<svg><a xlink:href="{{ fields.x }}">x</a></svg>', '<img srcset="https://x.test/1 1x, {{ fields.x }} 2x">',
    '<video poster="{{ fields.x }}"></video>', '<table background="{{ fields.x }}"></table>',
    '<object data="{{ fields.x }}"></object>', '<iframe src="{{ fields.x }}"></iframe>',
    '<!--[if mso]><a href="{{ fields.x }}">x</a><![endif]-->', '<svg><set attributeName=href to="{{ fields.x }}"></set></svg>',
    '<p style="background:url({{ fields.x }})">', "<p style=\"background:url('{{ fields.x }}')\">",
    '<style>p{background:url("{{ fields.x }}")}</style>',
]  # fmt: skip


def shown(body: str, x: str) -> str:
    """The author's part of a mail whose reader has that field."""
    content = Content("Hello", body, None, "text")
    compiled = compile_content(content, Footer("Example Org", "1 Street"))
    reader = template_variables(
        email="a@example.com", name="Ann", fields={"x": x}, mailout_id="1",
        unsubscribe_url="https://example.com/unsubscribe?token=1",
    )  # fmt: skip
    return compiled.paste(compiled.values(reader)).html


class Read(HTMLParser):
    """Start tags as a browser would read them, those of conditional comments too."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.feed(html.replace("<!--[if mso]>", "").replace("<![endif]-->", ""))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("place", PLACES)
def test_35_no_address_in_readers_data_runs_anything(place: str) -> None:
    for program in PROGRAMS:
        html = shown(place, program)
        for _, attributes in Read(html).tags:
            for name, value in attributes:
                if name in ("style", "srcset"):
                    assert not any(
                        f"{each}:" in (value or "") for each in ("script", "file", "blob")
                    )
                elif name in (
                    "href",
                    "src",
                    "action",
                    "formaction",
                    "xlink:href",
                    "poster",
                    "data",
                    "background",
                    "to",
                ):
                    assert scheme_of(value or "") in ("", "https", "http", "mailto", "tel"), (
                        html,
                        program,
                    )
        assert "url(javascript" not in html


@pytest.mark.parametrize(
    "address",
    [
        "https://x.test/a?b=c&d=e#f",
        "http://x.test",
        "mailto:a@x.test?subject=b",
        "tel:+49123",
        "//x.test/y",
        "/a:b",
    ],
)
def test_35_honest_ones_arrive(address: str) -> None:
    for place in PLACES[:2]:
        hrefs = [
            dict(attrs)["href"]
            for tag, attrs in Read(shown(place + "x", address)).tags
            if tag == "a"
        ]
        assert hrefs[0] == address


@pytest.mark.few_variants(1)
@pytest.mark.parametrize(
    "body",
    [
        "<a href='javascript:alert(1)'>x</a>", "<a href=JAVASCRIPT:x>x</a>", "<a href='jav&#x09;ascript:1'>x</a>",
        "<a href='&#x01;javascript:1'>x</a>", "<a href='vbscript:x'>x</a>", "<a href='data:text/html,x'>x</a>",
        "<form action='javascript:x'>", "<img src='data:image/svg+xml,<svg>'>", "<img srcset='javascript:x'>",
        "<svg><a xlink:href='javascript:x'>x</a></svg>", "<meta http-equiv=refresh content='0;url=https://x.test'>",
        "<meta http-equiv='&#114;efresh' content='0'>", "<!--[if mso]><a href='javascript:x'>x</a><![endif]-->",
    ],
)  # fmt: skip
async def test_35_what_an_author_writes_himself_is_refused(fortress: Fortress, body: str) -> None:
    mailout = await fortress.arrange.mailout(body_html=body)
    async with fortress.untouched():
        refused = await fortress.http.post(
            "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
        )
    assert (refused.status_code, refused.json()["code"]) == (409, "template_invalid")


@pytest.mark.parametrize(
    ("body", "x"),
    [
        ("<p title={{ fields.x }}>", "a onmouseover=alert(1)"),
        ("<p {{ fields.x }}>", "onmouseover=alert(1)"), ("<p {{ fields.x }}>", "hidden"),
        ("<p {{ fields.x }}=y>", "onclick"), ("<p onclick=\"f('{{ fields.x }}')\">", "');alert(1);('"),
        ("<h{{ fields.x }}>y</h{{ fields.x }}>", "1 onclick=alert(1)"),
    ],
)  # fmt: skip
def test_35_no_attribute_is_made_of_data(body: str, x: str) -> None:
    for _, attributes in Read(shown(body, x)).tags:
        for name, value in attributes:
            assert name not in ("onmouseover", "hidden")
            assert "alert" not in (value or "") or name == "title"


def test_35_no_style_is_made_of_data() -> None:
    for look in (
        "red;position:fixed",
        "red}body{display:none",
        "expression(alert(1))",
        "\\75rl(x)",
        "url(x)",
        "@import 'x'",
    ):
        for place in (
            "<p style='color:{{ fields.x }}'>y",
            "<style>p{color:{{ fields.x }}}</style>",
        ):
            assert look not in shown(place, look)
            assert "color:" in shown(place, look)
    for look in ("red", "#fff", "rgb(1, 2, 3)", "1.5em", "12px !important"):
        assert f"color:{look}" in shown("<p style='color:{{ fields.x }}'>y", look)


async def test_35_in_previews_and_the_dashboard_it_is_text(fortress: Fortress) -> None:
    """Pages that show it have a policy that runs nothing, and none of it is a tag there."""
    http, arrange = fortress.http, fortress.arrange
    async with fortress.sql.transaction():
        for number, script in enumerate(each for each in SCRIPTS if "\x00" not in each):
            await arrange.subscriber(
                f"reader{number}@example.com", name=script, fields={"x": script}
            )
    mailout = await arrange.mailout(
        subject="{{ name }} <script>alert(1)</script>", body_html="<p>{{ name }} {{ fields.x }}</p>",
    )  # fmt: skip
    await http.post("/dashboard/login", data={"secret": SECRET})
    signed_in = await http.post(
        "/dashboard/login", data={"secret": SECRET}, headers={"Origin": str(http.base_url)}
    )
    cookies = {"Cookie": "; ".join(f"{k}={v}" for k, v in signed_in.cookies.items())}
    for path in (f"/dashboard/mailouts/{mailout}", "/dashboard/subscribers", "/dashboard"):
        page = await http.get(path, headers=cookies, follow_redirects=True)
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "<svg onload" not in page.text
        assert (
            "script-src" in page.headers["content-security-policy"]
            or "default-src 'none'" in page.headers["content-security-policy"]
        )
    for number in range(3):
        shown_mail = await http.post(
            f"/mailouts/{mailout}/preview",
            json={"email": f"reader{number}@example.com"}, headers={**BEARER, "Accept": "text/html"},
        )  # fmt: skip
        policy = shown_mail.headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")
        assert "frame-ancestors 'self'" in policy
        assert not [tag for tag, _ in Read(shown_mail.text).tags if tag in ("script", "svg", "img")]
