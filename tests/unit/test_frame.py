"""Each mail has a language, a title and a footer that fits it."""

from __future__ import annotations

import re
from typing import Any

import pytest

from app.domain.content.masking import Masks
from app.domain.content.render import Compiled, Content, Footer, compile_content, template_variables
from app.domain.css.surroundings import Look, surroundings
from tests.support.mails import mail, styles


def compiled(html: str, subject: str = "News & more", **options: Any) -> Compiled:
    return compile_content(Content(subject, html, None, None), Footer("Org", "Street"), **options)


def html_of(html: str, subject: str = "News & more", name: str = "Ann", **options: Any) -> str:
    made = compiled(html, subject, **options)
    variables = template_variables(
        email="a@example.com", name=name, fields={}, mailout_id="m", unsubscribe_url="https://e.com"
    )
    return made.paste(made.values(variables)).html


# Language and title


@pytest.mark.parametrize(
    ("document", "lang"),
    [("<p>x</p>", "de-CH"), ("<html><body>x</body></html>", "de-CH"), ("<body>x</body>", "de-CH"),
     ("<!doctype html><body>x</body>", "de-CH"), ('<html lang="fr"><p>x</html>', "fr"),
     ("<html LANG=fr><p>x</html>", "fr"), ('<html xml:lang="fr"><p>x</html>', "fr"),
     ("<html{% if name %} lang='fr'{% endif %}><p>x</html>", "fr"),
     ("<html lang='{{ name }}'><p>x</html>", "Ann"),
     ("{% if name %}<html class=a>{% else %}<html>{% endif %}<p>x</html>", "de-CH")],
)  # fmt: skip
def test_the_language_is_the_authors_or_the_settings(document: str, lang: str) -> None:
    html = html_of(document, language="de-CH")
    assert re.findall(r"<html[^>]*?\slang=[\"']?([\w-]+)", html, re.IGNORECASE) == [lang]


@pytest.mark.parametrize(
    ("document", "title"),
    [("<p>x</p>", "News &amp; more"), ("<html><body>x</body></html>", "News &amp; more"),
     ("<html><head></head><body>x</body></html>", "News &amp; more"), ("<b>x", "News &amp; more"),
     ("<html><head><title> </title></head><body>x</body></html>", "News &amp; more"),
     ("<html><head><title>Mine</title></head><body>x</body></html>", "Mine"),
     ("<html><head><title>{{ name }}</title></head><body>x</body></html>", "Ann"),
     ("<html><body><svg><title>Icon</title></svg></body></html>", "News &amp; more")],
)  # fmt: skip
def test_the_title_is_the_authors_or_the_subject(document: str, title: str) -> None:
    head = re.split(r"<svg|<body", html_of(document))[0]
    assert re.findall(r"<title>(.*?)</title>", head) == [title]


def test_the_title_is_the_subject_that_this_reader_gets() -> None:
    html = html_of("<p>x</p>", "For {{ name }} {% raw %}{{ x }}{% endraw %}", name="A<b>")
    assert "<title>For A&lt;b&gt; {{ x }}</title>" in html


# The footer's place


@pytest.mark.few_variants(6)
@pytest.mark.parametrize(
    "document",
    ["<body><div>HERE</div></body>", "<body><div><center><p>a</p>HERE</center></div></body>",
     "<body><div style='display:none'>pre</div><div>HERE</div><img width=1 height=1></body>",
     "<style>.pre{display:none}</style><body><p class=pre>pre</p><div>HERE</div></body>",
     "<body><table width=600><tr><td><p>x</p>HERE</td></tr></table></body>",
     "<body><center><table class=a><tr><td><table class=b><tr><td>1</td></tr><tr><td>2</td></tr>"
     "</table>HERE</td></tr></table></center></body>",
     "<body><div><!--[if mso]><table><tr><td><![endif]--><p>x</p>"
     "<!--[if mso]></td></tr></table><![endif]-->HERE</div></body>",
     "<body><div>{% if name %}<p>x</p>{% endif %}HERE</div></body>",
     # Where there is no wrapper for sure, or it couldn't be seen whole:
     "<body><div>a</div><div>b</div>HERE</body>", "<body>text<div>b</div>HERE</body>",
     "<body>{% if name %}<div>a</div>{% else %}<div>b</div>{% endif %}HERE</body>",
     "<body><table><tr><td>1</td></tr></table>HERE</body>", "<body><p>x</p>HERE</body>",
     "<body><div style='display:flex'><p>a</p></div>HERE</body>",
     "<body><div style='position:absolute'><p>a</p></div>HERE</body>",
     "<body><div style='height:90px;overflow:hidden'><p>a</p></div>HERE</body>",
     "<body><div>a</div><p>b</div>HERE</body>", "<body><div><div>aHERE</div></body>"],
)  # fmt: skip
def test_the_footer_stands_in_the_innermost_wrapper(document: str) -> None:
    masks = Masks(document)
    masked = masks.mask(document)
    place = surroundings(masked.replace("HERE", ""), masks).place
    found = html_of(document.replace("HERE", ""))
    before = found[: found.index('<div class="mail-footer"')]
    after = found[found.index("</div>\n", len(before)) + len("</div>\n") :]
    expected = re.sub(r"{%.*?%}", "", document).split("HERE")[1]
    assert after == expected, before
    assert place is None or masked.replace("HERE", "")[place:].startswith(expected)


@pytest.mark.parametrize(
    ("body", "width"),
    [("<div style='max-width:560px'><p>x</p></div>", 560), ("<p>x</p>", 600),
     ("<style>.w{width:640px}</style><div class=w><p>x</p></div>", 640),
     ("<table width=480 align=center><tr><td><p>x</p></td></tr></table>", 480),
     ("<table width='100%'><tr><td><table width=520><tr><td>1</td></tr><tr><td>2</td></tr></table>"
      "</td></tr></table>", 520),
     ("<div><div style='max-width:500px'>a</div><div style='max-width:500px'>b</div></div>", 500),
     ("<div style='width:100%'><p>x</p></div>", 600),
     ("<div style='width:20px'><p>x</p></div>", 600)],
)  # fmt: skip
def test_the_footer_is_as_wide_as_the_mail(body: str, width: int) -> None:
    assert surroundings(body, Masks(body)).width == width


# Its colours


@pytest.mark.few_variants(6)
@pytest.mark.parametrize(
    ("css", "light", "dark"),
    [(".w{background:#fff;color:#222}", Look("#646464"), None),
     (".w{background:#fff;color:#222}"
      "@media (prefers-color-scheme:dark){.w{background:#222;color:#eee}}",
      Look("#646464"), Look("#b1b1b1")),
     (".w{background:#fff url(x.png)}", Look("#595959", "#ffffff"), None),
     (".w{background:#fff}@media (prefers-color-scheme: dark){.w{background:#222 !important}}",
      Look("#595959"), Look("#c8c8c8")),
     ("@media screen and (prefers-color-scheme:dark){body{background:#000;color:#fff}}",
      Look("inherit"), Look("#b2b2b2")),
     ("body{background:#111}p{color:#eee}", Look("#c8c8c8"), None),
     ("body{color:#333}", Look("#333333"), None), ("", Look("inherit"), None),
     ("@media print{.w{background:#000}}@media (max-width:400px){.w{background:#000}}",
      Look("inherit"), None),
     (".w:hover{background:#000}.other{background:#000}", Look("inherit"), None),
     ("body{background:#fff;color:#fff}", Look("#595959"), None),
     (".w{background:url(x.png)}", Look("#595959", "#ffffff"), None),
     (".w{background:linear-gradient(#000,#111);color:#eee}", Look("#eeeeee"), None),
     (".w{background:var(--b);color:var(--c)}", Look("inherit"), None),
     (".w{color:rgba(0,0,0,.5);background:white}", Look("inherit"), None)],
)  # fmt: skip
def test_the_footer_has_the_colours_of_where_it_stands(
    css: str, light: Look, dark: Look | None
) -> None:
    body = f"<style>{css}</style><body><div class=w><p>x</p></div></body>"
    found = surroundings(body, Masks(body))
    assert (found.light, found.dark) == (light, dark)
    html = mail(body).html
    assert f"color:{light.color};" in html
    assert (dark is None) or f"a {{ color: {dark.color} !important; }}" in html


def test_colours_of_attributes_count() -> None:
    body = "<body bgcolor='#000000' text='#ffffff'><p>x</p></body>"
    assert surroundings(body, Masks(body)).light == Look("#b2b2b2")


# Pictures


@pytest.mark.parametrize(
    ("css", "width"),
    [("width:300px", "300"), ("width:100%;max-width:480px", "480"), ("width:99.5px", "99"),
     ("width:50%", None), ("max-width:100%", None), ("", None), ("max-width:300px", None),
     ("width:{{ fields.w }}px", None)],
)  # fmt: skip
def test_pictures_get_the_width_of_their_css_for_outlook(css: str, width: str | None) -> None:
    for body in (
        f"<style>img{{{css}}}</style><img id=x src=a>",
        f"<img id=x src=a style='{css}'>",
    ):
        found = re.search(r"<img[^>]*?\swidth=\"(\d+)\"", mail(body).html)
        assert (found and found[1]) == width


def test_a_width_of_the_authors_stays() -> None:
    body = "<style>img{width:300px}</style><img id=x width=600 src=a>"
    assert re.findall(r"width=\"?(\d+)", mail(body).html.split("<img")[1]) == ["600"]
    body = "<style>img{width:300px}img[width]{top:0}</style><img id=x src=a>"
    assert " width=" not in mail(body).html.split("<img")[1]
    assert styles(body)["x"] == {"width": "300px"}
    body = "<style>@media print{img{width:300px}}</style><img id=x src=a>"
    assert " width=" not in mail(body).html.split("<img")[1]


def test_the_footers_own_colours_keep_no_rule_from_being_inlined() -> None:
    """In the dark it has others, which outrank the author's; else its colours are its own."""
    css = (
        ".w{background:#fff;color:#222}.w a{color:#b3261e}@media (prefers-color-scheme:dark)"
        "{.w{background:#222;color:#eee}.w a{color:#f2b8b5}}"
    )
    body = f"<style>{css}</style><body><div class=w><a id=x href=x>x</a></div></body>"
    assert styles(body)["x"] == {"color": "#b3261e"}
    html = mail(body).html
    assert ".w a{color:#f2b8b5 !important}" in html
    assert 'style="color:#646464;text-decoration:underline;display:inline!important;' in html
