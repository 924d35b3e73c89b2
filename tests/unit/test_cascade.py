"""What outranks a style in the author's mail outranks it after it was copied to the tags, too.

Else the style isn't copied.
"""

from __future__ import annotations

import pytest

from app.domain.css.properties import overlap
from tests.support.mails import (
    mail,
    sheet_of,
    styles,
)


@pytest.mark.few_variants(8)
@pytest.mark.parametrize(
    ("css", "kept"),
    [(".wrap{background:#fff}"
      "@media (prefers-color-scheme:dark){.wrap{background:#222;color:#eee}}",
      ".wrap{background:#fff}"
      "@media (prefers-color-scheme:dark){.wrap{background:#222 !important;color:#eee}}"),
     (".wrap{background:#fff}@media x{.wrap{background-color : red/**/}}",
      ".wrap{background:#fff}@media x{.wrap{background-color : red !important/**/}}"),
     (".wrap{background-color:#fff}@media x{.wrap{background:red;}}",
      ".wrap{background-color:#fff}@media x{.wrap{background:red !important;}}"),
     (".wrap{border-color:red}@media x{.wrap{border-top:0\n}}",
      ".wrap{border-color:red}@media x{.wrap{border-top:0 !important\n}}"),
     (".wrap{line-height:1}@media x{.wrap{font:1px x}}",
      ".wrap{line-height:1}@media x{.wrap{font:1px x !important}}"),
     (".wrap{color:red}@media x{.wrap{all:unset}}",
      ".wrap{color:red}@media x{.wrap{all:unset !important}}"),
     (".wrap{color:red}.wrap:hover{color:blue}",
      ".wrap{color:red}.wrap:hover{color:blue !important}"),
     (".wrap{color:red}p:last-child{color:blue}.wrap::before{color:lime}",
      ".wrap{color:red}p:last-child{color:blue}.wrap::before{color:lime}"),
     (".wrap{color:red}.wrap{color:{{ name }}}", ".wrap{color:red}.wrap{color:Ann !important}"),
     (".wrap{color:red}{% if name %}.wrap{color:blue}{% endif %}",
      ".wrap{color:red}.wrap{color:blue !important}"),
     (".wrap{color:red}[data-ogsc] .wrap{color:blue}",  # Outlook's own, in the dark
      ".wrap{color:red}[data-ogsc] .wrap{color:blue !important}"),
     (".wrap{color:red}u + .body .wrap{color:blue}",  # Gmail's
      ".wrap{color:red}u + .body .wrap{color:blue !important}"),
     # What is important already, weaker, or of another property stays as it is.
     (".wrap{color:red}@media x{.wrap{color:blue!important;top:0}}",
      ".wrap{color:red}@media x{.wrap{color:blue!important;top:0}}"),
     ("p.wrap{color:red}@media x{.wrap{color:blue}}",
      "p.wrap{color:red}@media x{.wrap{color:blue}}"),
     ("@media x{.wrap{color:blue}}.wrap{color:red}", "@media x{.wrap{color:blue}}.wrap{color:red}"),
     (".wrap{margin-top:0}@media x{.wrap{margin-left:0;max-width:0}}",
      ".wrap{margin-top:0}@media x{.wrap{margin-left:0;max-width:0}}"),
     # What outranks a rule that is made important is made so, too.
     (".wrap{top:0}@media x{p{top:1px}div .wrap.wrap{top:2px}.wrap{top:3px}}",
      ".wrap{top:0}@media x{p{top:1px}div .wrap.wrap{top:2px !important}"
      ".wrap{top:3px !important}}")],
)  # fmt: skip
def test_what_outranks_an_inlined_declaration_is_made_important(css: str, kept: str) -> None:
    body = f'<style>{css}</style><div><p id=x class="wrap">x</p></div><body class=body>'
    assert sheet_of(body) == kept
    assert styles(body)["x"]


def test_liquid_among_other_attributes_is_no_hindrance() -> None:
    css = "p{color:red}@media x{p{color:blue}}"
    body = f"<style>{css}</style><p id=x>x</p><p {{% if name %}}class=a{{% endif %}}>y</p>"
    assert sheet_of(body) == "p{color:red}@media x{p{color:blue !important}}"
    assert styles(body)["x"] == {"color": "red"}


def test_a_style_of_outlook_alone_outranks_what_is_inlined() -> None:
    body = "<!--[if mso]><style>.a{color:red}</style><![endif]--><style>p{color:blue}</style>"
    html = mail(f"{body}<p class=a>x</p>").html
    assert "<!--[if mso]><style>.a{color:red !important}</style><![endif]-->" in html


def test_a_rule_made_important_outranks_nothing_more_than_before() -> None:
    """`.footer p` is stronger than the media query's `p`, and an own style than both."""
    css = "p{color:#333}.footer p{color:#999}@media x{p{color:#eee}}"
    html = "<p id=a>a</p><div class=footer><p id=b>b</p></div><p id=c style='color:red'>c</p>"
    body = f"<style>{css}</style>{html}"
    assert sheet_of(body) == (
        "p{color:#333}.footer p{color:#999 !important}@media x{p{color:#eee !important}}"
    )
    assert styles(body) == {
        "a": {"color": "#333"}, "b": {"color": "#999"}, "c": {"color": "red !important"}
    }  # fmt: skip
    assert "style='color: #333; color:red; color: red !important'" in mail(body).html


@pytest.mark.few_variants(7)
@pytest.mark.parametrize(
    ("css", "html"),
    [("p{color:red}@media x{p{color:blue}}", "<p style='color:{{ name }}'>y</p>"),
     ("p{color:red}@media x{p{color:blue}}", "<p style='{% if name %}color:red{% endif %}'>y</p>"),
     ("p{color:red}@media x{p{color:blue}}", "<p {% if name %}style='top:0'{% endif %}>y</p>"),
     ("p{color:red}@media x{p{color:blue}}", "<p {{ fields.css }}>y</p>"),
     ("p{color:red}@media x{p{color:blue}}.a{color:red!important}",
      "<p class=a style='color:red'>y</p>"),
     (".a{color:lime!important}p{color:red}@media x{p.b{color:blue}}", "<p class='a b'>y</p>"),
     ("p{color:red}@media x{p{color:{% if name %}red{% else %}blue{% endif %}}}", ""),
     ("td{color:red}@media x{td{color:blue}}.col1{color:lime!important}td.b{color:pink}",
      "<table>{% tablerow i in (1..2) %}a{% endtablerow %}</table>"),
     ("p{color:red}@media x{p{color:blue}}", "{{ name | prepend: '<p style=\"color:red\">' }}</p>"),
     ("p{color:red}@layer x{p{color:blue}}", ""), ("p{color:red}@scope (body){p{color:blue}}", ""),
     ("p{color:red}{{ fields.css }}", ""), ("p{color:red}p{ {{ fields.css }} }", ""),
     ("p{color:red}.{{ fields.css }}{color:blue}", "")],
)  # fmt: skip
def test_where_nothing_can_be_made_important_nothing_is_inlined(css: str, html: str) -> None:
    body = f"<style>{css}</style><p id=x class=b>x</p>{html}"
    assert styles(body, css="x")["x"] == {}
    assert " !important" not in sheet_of(body)


def test_the_footer_and_the_preheader_stay_as_they_are() -> None:
    """A rule for all links in the dark can't take the unsubscribe link's colour, nor show a div."""
    css = "a{color:red}div{display:flex}@media dark{a{color:white}div{display:block}}"
    body = f"<style>{css}</style><a id=x href=x>x</a><div id=y>y</div>"
    html = mail(body, preheader="pre").html
    assert "color:inherit!important;background:none!important;" in html
    assert "mso-hide:all; display: none !important" in html
    assert styles(body) == {"x": {"color": "red"}, "y": {"display": "flex"}}


def test_important_rules_keep_their_place_among_the_others() -> None:
    """In the attribute by their order: there `!important` would outrank conditional rules."""
    css = ".a{color:red!important}p{top:0!important}"
    html = mail(f"<style>{css}@media x{{p{{color:lime!important}}}}</style>"
                "<p class=a style='color:#111;left:0'>x</p>"
                "<p class=a style='top:2px!important'>y</p>"
                ).html  # fmt: skip
    assert "<p class=a style='color:#111;left:0; top: 0;color: red'>" in html
    assert "<p class=a style='top:2px!important; color: red'>" in html


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("background", "background-color", True), ("font", "line-height", True),
     ("border-top", "border-color", True), ("border-top-width", "border-color", False),
     ("margin-left", "margin-right", False), ("margin-left", "margin-inline-start", True),
     ("color", "background-color", False), ("color", "color-scheme", False),
     ("-webkit-transition", "transition-delay", True), ("text-align", "text-decoration", False),
     ("max-width", "max-height", False), ("max-width", "width", False), ("all", "color", True),
     ("--a", "--b", False), ("all", "--b", True), ("flex-flow", "flex-wrap", True),
     ("word-wrap", "overflow-wrap", True), ("list-style", "list-style-type", True),
     ("border", "border-collapse", False), ("inset", "top", True), ("gap", "row-gap", True)],
)  # fmt: skip
def test_which_properties_overlap(one: str, other: str, expected: bool) -> None:
    assert overlap(one, other) is overlap(other, one) is expected
