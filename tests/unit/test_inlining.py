"""Which rules of style elements are copied to the tags.

The cases in brackets are reports from other programs' trackers.
"""

from __future__ import annotations

from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import TemplateInvalid
from tests.support.mails import (
    declared,
    inlined,
    mail,
    styles,
)
from tests.support.wide import examples

# Conditions [christiaan/InlineStyle#31]


@pytest.mark.few_variants(14)
@pytest.mark.parametrize(
    "sheet",
    ['<style media="print">.web{display:none}</style>',
     "<style media=print>.web{display:none}</style>",
     '<style media="only screen and (max-width:480px)">.web{display:none}</style>',
     '<style MEDIA="Print, (max-width: 480px)">.web{display:none}</style>',
     '<style media="not screen">.web{display:none}</style>',
     '<style media="{{ fields.media }}">.web{display:none}</style>',
     '<style type="text/less">.web{display:none}</style>',
     '<style title="Large print">.web{display:none}</style>',
     '<style data-css-inline="ignore">.web{display:none}</style>',
     "<style>@media print{.web{display:none}}</style>",
     "<style>@media screen{.web{display:none}}</style>",
     "<style>@MEDIA all{.web{display:none}}</style>",
     "<style>@media (min-width:1px){@media (max-width:480px){.web{display:none}}}</style>",
     "<style>@supports (display:grid){.web{display:none}}</style>",
     "<style>@layer base{.web{display:none}}</style>",
     "<style>@container (width > 1px){.web{display:none}}</style>",
     "<style>@scope (body){.web{display:none}}</style>",
     "<style>@-moz-document url-prefix(){.web{display:none}}</style>",
     "<style>@unheard-of{.web{display:none}}</style>",
     "<style>.web{@media print{display:none}}</style>",
     "<style>@font-face{display:none}@page{display:none}@keyframes web{to{display:none}}</style>",
     "<style>.web:hover,.web:focus,.web:visited,.web::before,.web::selection{top:0}</style>",
     "{% if fields.a %}<style>.web{display:none}</style>{% endif %}",
     "{% for i in fields.list %}<style>.web{display:none}</style>{% endfor %}",
     "{% if fields.a %}x{% else %}<style>.web{display:none}</style>{% endif %}",
     "{% capture c %}<style>.web{display:none}</style>{% endcapture %}",
     "<style>{% if fields.a %}.web{display:none}{% endif %}</style>",
     "<style>{% unless fields.a %}.other{top:0} .web{display:none}{% endunless %}</style>",
     "<style>.web{ {% if fields.a %}display:none{% endif %} }</style>",
     "<style>.web{ {% if fields.a %}top:0{% else %}display:none{% endif %} }</style>",
     "<style>.web{display:{% if fields.a %}none{% else %}block{% endif %}}</style>",
     "<style>.web{display:{{ fields.display }}}</style>",
     "<style>.web{ {{ fields.css }} }</style>",
     "<style>.{{ fields.class }}{display:none}</style>",
     "<style>.{{ fields.class }}{&{display:none}}</style>",
     "<style>.w{% if fields.a %}x{% else %}eb{% endif %}{&{display:none}}</style>",
     "<style>{.web{display:none}}v\\:*{.web{display:none}}.web::before{&{display:none}}</style>",
     "<style>{{ fields.css }}</style>",
     "<!--[if mso]><style>.web{display:none}</style><![endif]-->",
     "<!--[if !mso]><!--><style>.web{display:none}</style><!--<![endif]-->",
     "<![if !mso]><style>.web{display:none}</style><![endif]>",
     "<!-- <style>.web{display:none}</style> -->"],
)  # fmt: skip
def test_what_holds_on_a_condition_stays_in_its_style_element(sheet: str) -> None:
    fields = {"media": "print", "class": "web", "display": "none", "css": ".x{top:0}"}
    assert inlined(sheet, **fields) == {}
    assert inlined(f"<style>.web{{color:red}}</style>{sheet}", list=[], **fields) in (
        {"color": "red"},
        {},  # where the other sheet may hold anything
    )


@pytest.mark.few_variants(10)
@pytest.mark.parametrize(
    "sheet",
    ["<style>.web{color:red}</style>", '<style media="">.web{color:red}</style>',
     "<style media=all>.web{color:red}</style>", '<style media=" Screen ">.web{color:red}</style>',
     '<style media="print, screen">.web{color:red}</style>',
     '<style media="only screen">.web{color:red}</style>',
     '<style type="text/css">.web{color:red}</style>',
     "<STYLE TYPE=TEXT/CSS>.web{color:red}</STYLE>",
     "<style><!--\n.web{color:red}\n--></style>",
     "<style>/* {} */.web{/*;*/color/**/:red/**/}</style>",
     "<style>@import url(x.css);@charset 'x';.web{color:red}</style>",
     "<style>@media print{.web{display:none}}.web{color:red}</style>",
     "<style>@font-face{font-family:x;src:url(x)}.web{color:red;}}</style>",
     "<style>{% comment %}x{% endcomment %}.web{color:red}{% assign a = 1 %}</style>",
     "<style>{% if fields.a %}.a{top:0}{% endif %}.web{color:red}</style>",
     "<!--[if mso]><style>.other{top:0}</style><![endif]--><style>.web{color:red}</style>",
     "<!--[if !mso]><!--><!--<![endif]--><style>.web{color:red}</style>",
     "<style>.web{color:red</style>", "<style>body .web,#nobody{color:red}</style>",
     "<style>:is(.web,:nonsense){color:red} v\\:*,.web{top:0}</style>",
     "<style>p|,.web{top:0}p|{top:0}.web{color:red}</style>",
     "<style>p{&.web{color:red}}</style>", "<style>body{.web{color:red}}</style>"],
)  # fmt: skip
def test_what_holds_for_everybody_is_inlined(sheet: str) -> None:
    assert inlined(sheet) == {"color": "red"}


def test_a_style_element_in_the_body_counts_too() -> None:
    assert inlined("<p id=x class=web>x</p><style>p{color:red}</style>", "")["color"] == "red"


# Structure that Liquid may change [SparkPost/support-docs#315]


@pytest.mark.few_variants(12)
@pytest.mark.parametrize(
    ("css", "html"),
    [("li:last-child{top:0}", "<ul>{% for i in (1..3) %}<li id=x>{{ i }}</li>{% endfor %}</ul>"),
     ("li:not(:last-child){top:0}", "<ul>{% for i in (1..3) %}<li id=x>i</li>{% endfor %}</ul>"),
     ("li:first-child{top:0}", "<ul>{% for i in (1..3) %}<li id=x>i{% endfor %}</ul>"),
     ("tr:nth-child(even){top:0}",
      "<table><tr><td>a</td></tr>{% for i in (1..2) %}<tr id=x></tr>{% endfor %}</table>"),
     ("li:nth-last-of-type(1),li:only-child,li:only-of-type{top:0}",
      "<ul>{% if name %}<li>a</li>{% endif %}<li id=x>b</li></ul>"),
     ("p + p{top:0}", "<p>a</p>{% if name %}<p>b</p>{% endif %}<p id=x>c</p>"),
     ("h1 ~ p{top:0}", "{% if name %}<h1>a</h1>{% endif %}<p id=x>b</p>"),
     ("p:first-child{top:0}", "<div>{% if name %}<p>a</p>{% endif %}<p id=x>b</p></div>"),
     ("p:first-child{top:0}", "<div>{% unless name %}<i>a</i>{% endunless %}<p id=x>b</p></div>"),
     ("p:last-child{top:0}", "<div><p id=x>a</p>{{ fields.text | newline_to_br }}</div>"),
     ("tr:last-child{top:0}",
      "<table><tr id=x></tr>{% tablerow i in fields.list %}{% endtablerow %}</table>"),
     ("p:first-child{top:0}",
      "{% capture c %}<i>a</i>{% endcapture %}<div>{{ c }}<p id=x>b</p></div>"),
     ("p:first-child{top:0}", "{% assign c = '<i>a</i>' %}<div>{{ c }}<p id=x>b</p></div>"),
     ("div:has(b){top:0}", "<div id=x>{% if name %}<b>a</b>{% endif %}</div>"),
     ("div:not(:has(b)){top:0}", "<div id=x>{% if name %}<b>a</b>{% endif %}</div>"),
     (".a b{top:0}",
      "{% if name %}<p class=a>{% endif %}<b id=x>x</b>{% if name %}</p>{% endif %}"),
     (".a b{top:0}",
      "{% if name %}<p class=a>{% else %}<p class=c>{% endif %}<b id=x>x</b></p>"),
     ("div > b{top:0}",
      "<div>{% if name %}<a>{% endif %}<b id=x>x</b>{% if name %}</a>{% endif %}</div>"),
     (".a b{top:0}", "<div class=a>{% if name %}</div><div>{% endif %}<b id=x>x</b></div>"),
     (".a b{top:0}", "<p class=a>{% if name %}<p>{% endif %}<b id=x>x</b>"),
     (".a b{top:0}", "<div class=a>{% capture c %}<b id=x>x</b>{% endcapture %}</div>{{ c }}"),
     (".a b{top:0}", "<p class=a>{% if name %}<div>c</div>{% endif %}<b id=x>x</b></p>"),
     (".a b{top:0}", "<p class=a>{% if name %}<hr>{% endif %}<b id=x>x</b></p>"),
     (".a ul,ul:last-child{top:0}",
      "<p>{% if fields.no %}<div></div>{% else %}<a class=a><ul id=x></ul></a>{% endif %}</p>"),
     ("td.a b{top:0}",
      "<table><tr><td class=a>a{% if name %}<td>{% endif %}<b id=x>x</b></td></table>"),
     (".{{ name }} b{top:0}", "<b id=x>x</b>"),
     (".a b{top:0}", '<p class="{% if name %}a{% endif %}"><b id=x>x</b></p>'),
     ("[title=Ann] b{top:0}", '<p title="{{ name }}"><b id=x>x</b></p>'),
     ("p:not([title=Ann]) b{top:0}", '<p title="{{ name }}"><b id=x>x</b></p>'),
     ("p b{top:0}", "<h{{ fields.n }}><b id=x>x</b></h{{ fields.n }}>"),
     (".a{top:0}", "<p id=x class='{{ fields.c }}'>x</p>"),
     (".a{top:0}", "<p id=x {% if name %}class=a{% endif %}>x</p>")],
)  # fmt: skip
def test_rules_that_depend_on_what_liquid_changes_stay(css: str, html: str) -> None:
    assert inlined(css, html, n=1, c="a", text="a\nb", list=["p"]) == {}


@pytest.mark.few_variants(8)
@pytest.mark.parametrize(
    ("css", "html"),
    [("li:last-child{top:0}", "<ul><li>a</li><li id=x>{{ name }}</li></ul>"),
     ("li:not(:last-child){top:0}", "<ul><li id=x>a<li>b</ul>{% if name %}<p>c</p>{% endif %}"),
     ("li:first-child{top:0}",
      "{% for i in (1..3) %}<ul><li id=x>a</li><li>b</li></ul>{% endfor %}"),
     ("tr:nth-child(even){top:0}", "<table><tr><td>a</td></tr><tr id=x><td>b</td></tr></table>"),
     ("tr:nth-child(2n of tr),tbody > tr:nth-last-child(-n + 1){top:0}",
      "<table><tr><td>a</td></tr><tr id=x><td>b</td></tr></table>"),
     ("p + p{top:0}", "<p>a</p><p id=x>{% if name %}b{% endif %}</p>"),
     ("h1 ~ p{top:0}", "<h1>{{ name }}</h1><i>a</i><p id=x>b</p>"),
     ("p:first-of-type:nth-last-of-type(2){top:0}", "<div><i>a</i><p id=x>b</p><p>c</p></div>"),
     ("div:has(> b):not(:has(i)){top:0}", "<div id=x><b>{{ name }}</b></div>"),
     (":root > body > p:only-of-type{top:0}", "<p id=x>{{ name }}</p>"),
     (".a b{top:0}", "{% if name %}<p class=a><b id=x>x</b></p>{% endif %}"),
     (".a td{top:0}",
      "<table class=a>{% for i in (1..2) %}<tr><td id=x>a</td></tr>{% endfor %}</table>"),
     (".a b{top:0}",
      "<p class=a>{% if name %}<a>{% endif %}<b id=x>x</b>{% if name %}</a>{% endif %}</p>"),
     (".a > b{top:0}",
      "<p class=a><b id=x>{% if name %}<i>{% endif %}x{% if name %}</i>{% endif %}</b></p>"),
     ("tr td b{top:0}", "<table>{% tablerow i in (1..2) %}<b id=x>x</b>{% endtablerow %}</table>"),
     ("[href^=https] b,[title] b{top:0}", '<a title="{{ name }}"><b id=x>x</b></a>'),
     ("a:link,a:visited{top:0}", "<a id=x href='{{ fields.u }}'>x</a>"),
     ("p:where(.a, .b):is(p, i){top:0}", '<p id=x class="b c">x</p>'),
     ("P.A{top:0}", '<P ID=x CLASS=A>x</P>'),
     ("[lang|=de][class~=b][class$=c][class*='b c']{top:0}",
      '<p id=x lang=de-AT class="b c">x</p>')],
)  # fmt: skip
def test_rules_that_nothing_changes_are_inlined(css: str, html: str) -> None:
    assert inlined(css, html) == {"top": "0"}


def test_of_several_selectors_each_is_judged_by_itself() -> None:
    css = "<style>h1,p:first-child,i:not(p + i){color:red}</style>"
    body = "{% if name %}<p>a</p>{% endif %}<p id=a>b</p><i id=b>c</i><h1 id=c>d</h1>"
    assert styles(f"{css}<div>{body}</div>") == {"a": {}, "b": {}, "c": {"color": "red"}}


def test_the_preheader_and_the_footer_are_among_the_children_of_the_body() -> None:
    body = "<style>p:first-child,div:last-of-type{top:0}</style><p id=x>x</p><div id=y>y</div>"
    assert styles(f"<body>{body}</body>", preheader="pre") == {"x": {}, "y": {}}


# Emptiness [jgthms/wysiwyg.css#3]


@pytest.mark.few_variants(6)
@pytest.mark.parametrize(
    "element",
    ["<p id=x>full</p>", "<p id=x>{{ name }}</p>", "<p id=x> </p>", "<p id=x><br></p>",
     "<p id=x>{% if name %}x{% endif %}</p>", "<p id=x>&nbsp;</p>", "<p id=x>1 < 2</p>",
     "<p id=x>{% echo name %}</p>", "<p id=x>{% cycle 'a', 'b' %}</p>",
     "<p id=x>{% if name %}<b>x</b>{% endif %}</p>",
     "<p id=x>{% for i in (1..2) %}i{% endfor %}</p>",
     "<p id=x>{% liquid\n echo name\n %}</p>", "<p id=x><!-- c -->x</p>",
     "{% if name %}<p id=x>x</p>{% endif %}", "<p id=x>x"],
)  # fmt: skip
def test_what_holds_something_or_may_is_not_empty(element: str) -> None:
    css = "p:empty,div :empty{display:none} p:is(:empty){height:0}"
    assert inlined(css, f"<div>{element}</div>") == {}


@pytest.mark.parametrize(
    "element", ["<p id=x></p>", "<p id=x><!-- c --></p>", "<p id=x>{% assign a = 1 %}</p>"]
)
def test_what_holds_nothing_is_empty(element: str) -> None:
    assert inlined("p:empty{display:none}", element) == {"display": "none"}
    assert inlined("p:not(:empty){top:0}", element) == {}


def test_what_holds_of_one_mail_says_nothing_of_the_next() -> None:
    """A sheet without Liquid is read once for many mails."""
    css = "div :empty{display:none}"
    for _ in range(20):
        assert inlined(css, "<div><p id=x></p></div>") == {"display": "none"}
        assert inlined(css, "<div><p id=x>full</p></div>") == {}


def test_an_element_that_may_be_empty_gets_what_holds_either_way() -> None:
    css = ".card{height:9px}.card:empty{height:0}"
    body = f"<style>{css}</style><p id=x class=card>{{{{ name }}}}</p>"
    assert styles(body)["x"] == {"height": "9px"}
    assert ".card:empty{height:0 !important}" in mail(body).html


# Values [Stranger6667/css-inline#333]

VALUES = [
    "\"Joe's Font\", serif", '"A B", \'C "D"\'', "url(\"https://x.example/it's.png\")",
    "url(\"data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'/>\") no-repeat",
    "url('data:image/svg+xml;utf8,<svg xmlns=\"http://www.w3.org/2000/svg\"/>')",
    "url(data:image/png;base64,iVBORw0KGgo=)", "'\"'", '"\\""', "'\\''", '"&amp;"', "a&b", '""',
    '"a;b:c}d"', "'\\201C' attr(x)", '"<!-- -->"', "'</p>'", "calc(100% - (2 * 3px))", "\\26 x",
    "red\\9", "rgb(0 0 0 / 50%)", '"ü😀"', "progid:x.y(a='b',c=\"d\")", "'a\\\nb'",
]  # fmt: skip


@given(
    values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=4),
    own=st.sampled_from(["", ' style="top:0"', " style='top:0'", " style=top:0", " style"]),
    important=st.booleans(),
)
@settings(max_examples=examples(60), deadline=None)
def test_a_parser_reads_the_same_values_before_and_after(
    values: list[str], own: str, important: bool
) -> None:
    """Whatever quotes they hold, and whichever are around the attribute."""
    block = ";".join(f"p{i}:{value}{'!important' * important}" for i, value in enumerate(values))
    expected = {name: value.removesuffix(" !important") for name, value in declared(block).items()}
    found = inlined(f".web{{{block}}}", f"<p id=x class=web{own}>x</p>")
    assert found == expected | ({"top": "0"} if "top" in own else {})


def test_fallbacks_of_a_rule_stay_together() -> None:
    """Outlook takes the first, the others the last; a weaker rule's are superseded."""
    css = "p{background:red;top:0}.web{background:#fff;background:linear-gradient(red,blue)}"
    html = mail(f"<style>{css}</style><p class=web>x</p>").html
    assert 'style="top: 0;background: #fff;background: linear-gradient(red,blue)"' in html


def test_what_no_program_understands_replaces_nothing_that_it_does() -> None:
    css = "p{color:red;color:nonsense!important}.web{color:blue}"
    html = mail(f"<style>{css}</style><p class=web>x</p>").html
    assert 'style="color: blue; color: nonsense"' in html


@pytest.mark.parametrize(
    ("css", "element", "expected"),
    [("[style]{top:0}", "<p id=x class=web>x</p>", {}),
     ("p:not([style]){top:0}", "<p id=x class=web>x</p>", {}),
     ("[style*=red] b{top:0}", "<p id=x class=web>x</p>", {}),
     ("[style*=blue]{top:0}", "<p id=x class=web>x</p>", {"color": "red"}),
     ("[style]{top:0}", "<p id=x class=web style='left:0'>x</p>",
      {"color": "red", "top": "0", "left": "0"}),
     ("[style^=left]{top:0}", "<p id=x class=web style='left:0'>x</p>", {"left": "0"}),
     ("[style^=left]{top:0}", "<p id=x class=web style='top:{{ name }}'>x</p>", {"top": "Ann"})],
)  # fmt: skip
def test_rules_about_style_attributes_see_the_authors(
    css: str, element: str, expected: dict[str, str]
) -> None:
    assert inlined(f".web{{color:red}}{css}", element) == expected


def test_tags_may_be_left_alone() -> None:
    assert inlined("p{color:red}", "<p id=x data-css-inline=ignore>x</p>") == {}


def test_absurd_nesting_leaves_the_styles_where_they_are() -> None:
    for css in (":not(" * 3000 + "p" + ")" * 3000 + "{top:0}", "p{" * 5000):
        assert inlined(f"{css}</style><style>p{{top:0}}</style>") in ({}, {"top": "0"})


PIECES = [
    *"{}()[];:,.#*>+~&@!\"'\\/ \n\r\f\t|^=0", "<!--", "-->", "/*", "*/", "{{ name }}", "url(",
    "{% if name %}p{top:0}{% endif %}", "{% if name %}{{% else %}}{% endif %}", "!important",
    "{% if name %};top:{% endif %}", "{% assign a = 1 %}", "@media", "@layer", "color", "red", "p",
    ".a", ":not(", ":is(", ":has(", ":nth-child(", ":empty", "::before", "\0", "--x", "p|", "\\26",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
@settings(max_examples=examples(60), deadline=None)
def test_any_css_makes_a_mail(css: str) -> None:
    """And no value of Liquid's is lost by what CSS makes of the pieces around it."""
    try:
        html = mail(f'<style>p{{color:red}}{css}</style><p style="{escape(css)}">x</p>').html
    except TemplateInvalid:  # the pieces happened to make bad Liquid
        return
    assert html.count("Ann") == 2 * css.count("{{ name }}")


def test_a_broken_tag_makes_the_structure_unknown() -> None:
    """Browsers go on somehow; which element is inside of which is theirs to say."""
    css = ".a b{top:0} b{left:0}"
    assert inlined(css, "<div class=a><i <u>x</i></div><b id=x>x</b>") == {"left": "0"}
    assert inlined(css, '<div class="a""><b id=x>x</b></div>') == {"top": "0", "left": "0"}


def test_selectors_that_could_take_long_do_not() -> None:
    css = " ".join(["div"] * 60) + " p{top:0}"
    assert inlined(css, "<div>" * 150 + "<p id=x>x</p>" + "</div>" * 150) == {"top": "0"}
