"""What large mail programs don't show is named with its lines; designers' ordinary means aren't."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.domain.content.render import Content
from app.domain.mailcheck.caniemail import FEATURES, table
from app.domain.mailcheck.check import check
from app.services.checks.writing import check_writing
from tests.support.mails import mail

MAILS = sorted((Path(__file__).parent.parent / "mails").glob("*.html"))


@pytest.mark.parametrize("path", MAILS, ids=lambda path: path.stem)
def test_mails_as_editors_export_them_have_nothing_against_them(path: Path) -> None:
    assert check_writing(Content("Hello", path.read_text(), None, None)) == []


@pytest.mark.parametrize(
    ("source", "what", "program"),
    [("<p style='position:absolute'>", "position: absolute", "Gmail and Outlook on Windows"),
     ("<style>.a{top:0;Position: Fixed !important}</style>", "position: fixed", "Gmail"),
     ("<div style='display:flex'>", "display: flex", "Outlook on Windows"),
     ("<style>p{display:inline-grid}</style>", "display: inline-grid", "Gmail"),
     ("<style>p{color:var(--x)}</style>", "var()", "Gmail"),
     ("<p style='color:oklch(1 0 0)'>", "oklch()", "Gmail"),
     ("<style>p{color:light-dark(#000,#fff)}</style>", "light-dark()", "Gmail"),
     ("<style>p{top:0; b{top:0}}</style>", "A rule inside of a rule", "Gmail"),
     ("<style>@import 'https://e.com/x.css';</style>", "@import", "Gmail"),
     ("<link rel=stylesheet href='https://e.com/x.css'>", '<link rel="stylesheet">', "Gmail"),
     ("<video src=x></video>", "<video>", "Gmail"), ("<svg></svg>", "<svg>", "Outlook"),
     ("<form action=x></form>", "<form>", "Outlook on Windows"),
     ("<iframe src=x></iframe>", "<iframe>", "no mail program"),
     ("<script>x</script>", "<script>", "no mail program"),
     ("<img src='https://e.com/a.webp?x=1'>", "A picture in WEBP", "Outlook on Windows"),
     ("<img src='https://e.com/a.SVG'>", "A picture in SVG", "Gmail"),
     ("<img src='data:image/png;base64,AA=='>", "A picture in the mail itself", "Gmail"),
     ("<style>@media screen{ @font-face{src:url(x)} }</style>", "@font-face inside of @media",
      "Gmail drop the whole"),
     (f"<style>{'a{top:0} ' * 1000}</style>", "A style element of 9,000 characters", "8,192")],
)  # fmt: skip
def test_what_is_not_shown_is_named(source: str, what: str, program: str) -> None:
    (problem,) = check(f"<p>Hi</p>\n\n{source}")
    assert what in problem.what
    assert program in problem.lack
    assert problem.remedy
    assert problem.lines == (3,)


@pytest.mark.parametrize(
    "source",
    ["<style>@media (min-width:480px){p{display:flex;position:absolute}}</style>",
     "<style>@supports (display:grid){p{display:grid;color:var(--x)}}</style>",
     "<style media=print>p{position:absolute}</style>",
     "<style>:root{--x:red}p{color:red;color:var(--x)}</style>", "<p style='position:relative'>",
     "<style>@import url(https://fonts.example.com/x);@font-face{src:url(x.woff2)}</style>",
     "<link href='https://fonts.example.com/x' rel=stylesheet><link rel=icon href=x.svg>",
     "<!--[if mso]><v:rect style='position:absolute'></v:rect><xml></xml><![endif]-->",
     "<!-- <video></video> -->", "<video src=x><a href=y><img src=z.png></a></video>",
     "<img src='https://e.com/webp.png'><img src=a.jpg><img src='https://e.com/?f=a.svg'>",
     "<p style='border-radius:3px;box-shadow:0 0 1px red;transform:none;max-width:600px'>"],
)  # fmt: skip
def test_what_does_no_harm_is_not(source: str) -> None:
    assert check(source) == []


def test_findings_gather_lines_and_leave_code_and_liquid_alone() -> None:
    flex = "<b style='display:flex'>x</b>"
    body = f"{flex}\n{flex}\n{{% comment %}}<video></video>{{% endcomment %}}\n{flex}"
    (finding,) = check_writing(Content("s", body, None, None))
    assert finding.level == "warn"
    assert "display: flex isn't supported by Outlook on Windows" in finding.what
    assert "(body_html, lines 1, 2, 4)" in finding.what
    assert "caniemail.com/features/css-display-flex" in finding.remedy
    source = f"`<video>`\n\n```\n{flex}\n```\n![a](https://e.com/x.webp)\n\n{flex}"
    found = [each.what for each in check_writing(Content("s", None, source, None))]
    assert [re.findall(r"lines? [\d, ]+", what) for what in found] == [["line 6"], ["line 8"]]
    docs = "![][image1]\n\n[image1]: <data:image/png;base64,AAAA>"
    assert "data:" in check_writing(Content("s", None, docs, None))[0].what


def test_a_template_is_checked_like_a_body() -> None:
    row = {"name": "Frame", "body_html": "<div style='display:grid'>{{ content }}*|FNAME|*</div>",
           "body_markdown": None}  # fmt: skip
    content = Content("s", "<p>x</p>", None, None, sources={"templates": [row]})
    leftover, grid = check_writing(content)
    assert "template “Frame”" in leftover.what
    assert "template “Frame”" in grid.what


def test_the_table_has_every_feature_that_is_looked_for() -> None:
    assert set(table()) == set(FEATURES)
    assert all(support.without and support.url for support in table().values())


def test_our_own_layout_passes() -> None:
    html = mail(body_markdown="# Hi\n\n[Buy](https://e.com){.button}\n\n> [!NOTE]\n> x").html
    assert check(html) == []


# Where Gmail reads styles


@pytest.mark.parametrize(
    ("body", "in_head"),
    [("<style>p{top:0}</style><p>x</p>", 1), ("<p>x</p><div><style>p{top:0}</style></div>", 1),
     ("<html><head></head><body><style>p{top:0}</style>x</body></html>", 1),
     ("<html><body><style>p{top:0}</style>x</body></html>", 1),
     ("<style>p{color:{{ fields.c }}}</style>x", 1),
     ("<style>{% if name %}p{top:0}{% endif %}</style>x", 1),
     ("{% if name %}<style>p{top:0}</style>{% endif %}x", 0),
     ("{% assign c = 'red' %}<style>p{color:{{ c }}}</style>x", 0),
     ("<!--[if !mso]><!--><style>p{top:0}</style><!--<![endif]-->x", 0),
     ("<!--[if mso]><style>p{top:0}</style><![endif]-->x", 0)],
)  # fmt: skip
def test_styles_of_the_body_stand_in_the_head(body: str, in_head: int) -> None:
    html = mail(body, c="red").html
    head = re.split(r"</head>|<body", html)[0]
    assert head.count("<style") == in_head
    assert html.count("<style") == 1


def test_styles_keep_their_order() -> None:
    body = "<style>p{top:1px}</style><p id=x>x</p><style>p{top:2px}</style>"
    html = mail(f"<html><head><style>p{{top:0}}</style></head><body>{body}</body></html>").html
    assert re.findall(r"<style>p{top:(\w+)}", html) == ["0", "1px", "2px"]
    assert 'style="top: 2px"' in html
