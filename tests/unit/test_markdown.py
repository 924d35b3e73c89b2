"""Markdown with Liquid in it is read as if the values stood there already."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from app.domain import markdown
from app.domain.content.masking import Masks
from tests.unit.test_render_properties import quick


def html_of(source: str) -> str:
    """The HTML, with its Liquid."""
    masks = Masks(source)
    return masks.unmask(markdown.to_html(masks.mask(source), masks)).strip()


def commonmark(source: str) -> str:
    """What the library makes of it by itself."""
    html: str = MarkdownIt("commonmark", {"html": True}).enable("table").render(source)
    return html.strip()


@pytest.mark.parametrize(
    ("source", "html"),
    [("**Hi,**{{ name }}!", "<strong>Hi,</strong>{{ name }}!"),
     ("_Dear_{{ name }}", "<em>Dear</em>{{ name }}"),
     ("{{ name }}**!** there", "{{ name }}<strong>!</strong> there"),
     ("{{ name }}_Dear_", "{{ name }}<em>Dear</em>"),
     ("**{{ a }}**text", "<strong>{{ a }}</strong>text"),
     ("text**{{ a }}**", "text<strong>{{ a }}</strong>"),
     ("**({{ a }})**{{ b }}", "<strong>({{ a }})</strong>{{ b }}"),
     ("***{{ a }},***{{ b }}", "<em><strong>{{ a }},</strong></em>{{ b }}"),
     ("*{{ a }}.*{{ b }}*!*", "<em>{{ a }}.</em>{{ b }}<em>!</em>"),
     ("**Sale!**{{ a }}**Now!**", "<strong>Sale!</strong>{{ a }}<strong>Now!</strong>"),
     ("[**Hi,**{{ a }}](https://e.com)",
      '<a href="https://e.com"><strong>Hi,</strong>{{ a }}</a>'),
     ("_{{ a }}_", "<em>{{ a }}</em>"),
     ("_{{ a }}_{{ b }}_", "<em>{{ a }}_{{ b }}</em>"),
     ("{% if a %}_b_{% endif %}", "{% if a %}<em>b</em>{% endif %}"),
     ("**Hi{% if a %}, {{ a }}{% endif %}**!",
      "<strong>Hi{% if a %}, {{ a }}{% endif %}</strong>!"),
     ("**Hi,**{% if a %}{{ a }}{% endif %}", "<strong>Hi,</strong>{% if a %}{{ a }}{% endif %}"),
     # No emphasis with any value:
     ("{{ a }}_{{ b }}_{{ c }}", "{{ a }}_{{ b }}_{{ c }}"),
     ("snake_{{ a }}_case", "snake_{{ a }}_case"),
     ("{{ a }} * {{ b }} * 2", "{{ a }} * {{ b }} * 2"),
     ("\\*{{ a }}\\*", "*{{ a }}*"),
     ("`*{{ a }}*`", "<code>*{{ a }}*</code>")],
)  # fmt: skip
def test_emphasis_beside_a_variable(source: str, html: str) -> None:
    """A variable is no letter."""
    assert html_of(source) == f"<p>{html}</p>"


@pytest.mark.parametrize(
    ("source", "html"),
    [("<{{ unsubscribe_url }}>", '<a href="{{ unsubscribe_url }}">{{ unsubscribe_url }}</a>'),
     ("<{{ fields.base }}/x>", '<a href="{{ fields.base }}/x">{{ fields.base }}/x</a>'),
     ("Write to <{{ email }}>.", 'Write to <a href="mailto:{{ email }}">{{ email }}</a>.'),
     ("<https://e.com/{{ a }}>", '<a href="https://e.com/{{ a }}">https://e.com/{{ a }}</a>'),
     ("<{{ a }}@e.com>", '<a href="{{ a }}@e.com">{{ a }}@e.com</a>'),
     ("3 <{{ n }} and {{ n }}> 1", "3 &lt;{{ n }} and {{ n }}&gt; 1"),
     ("`<{{ a }}>`", "<code>&lt;{{ a }}&gt;</code>"),
     ("[{{ a }}]({{ b }}) ![{{ c }}]({{ d }})",
      '<a href="{{ b }}">{{ a }}</a> <img src="{{ d }}" alt="{{ c }}" />'),
     ("a <b{% if a %} class='c'{% endif %}>x</b>",
      "a <b {% if a %} class='c' {% endif %}>x</b>"),
     ("a <i class='c'{{ a }}>x</i>", "a <i class='c' {{ a }}>x</i>")],
)  # fmt: skip
def test_links_and_tags_with_variables(source: str, html: str) -> None:
    assert html_of(source) == f"<p>{html}</p>"
    assert html_of(f"text\n\n{source}\n\ntext") == f"<p>text</p>\n<p>{html}</p>\n<p>text</p>"


@pytest.mark.parametrize(
    ("source", "html"),
    [("<div{% if a %} class='c'{% endif %}>\n\n*x*\n\n</div>",
      "<div {% if a %} class='c' {% endif %}>\n<p><em>x</em></p>\n</div>"),
     ("<h{{ n }}>*x*</h{{ n }}>", "<p><h{{ n }}><em>x</em></h{{ n }}></p>"),
     ("<!--{{ a }}-->", "<!--{{ a }}-->"),
     ("{% if a %}# x{% endif %}", "{% if a %}\n<h1>x</h1>\n{% endif %}"),
     ("{% assign a = 1 %}# x", "{% assign a = 1 %}\n<h1>x</h1>"),
     ("{% if a %}> x\n> y{% endif %}",
      "{% if a %}\n<blockquote>\n<p>x\ny</p>\n</blockquote>\n{% endif %}"),
     ("{% for i in l %}- {{ i }}{% if a %}!{% endif %}{% endfor %}",
      "<ul>\n{% for i in l %}\n<li>{{ i }}{% if a %}!{% endif %}</li>\n{% endfor %}</ul>"),
     ("{% if a %}\n- x\n- y{% endif %}",
      "{% if a %}\n<ul>\n<li>x</li>\n<li>y</li>\n</ul>\n{% endif %}"),
     ("> {% if a %}\n> x\n> {% endif %}",
      "<blockquote>\n<p>{% if a %}\nx\n{% endif %}</p>\n</blockquote>"),
     ("{% for i in l %}1. {{ i }}\n{% endfor %}",
      "<ol>\n{% for i in l %}\n<li>{{ i }}</li>\n{% endfor %}</ol>"),
     ("|a|\n|-|\n{% for i in l %}|{{ i }}|\n{% endfor %}",
      "<table>\n<thead>\n<tr>\n<th>a</th>\n</tr>\n</thead>\n<tbody>\n{% for i in l %}\n"
      "<tr>\n<td>{{ i }}</td>\n</tr>\n{% endfor %}\n</tbody>\n</table>"),
     ("{% if a %}<table><tr><td>x</td></tr></table>{% endif %}",
      "{% if a %}\n<table><tr><td>x</td></tr></table>\n{% endif %}"),
     ("{% for i in l %}{% if i %}\nx\n{% endif %}{% endfor %}",
      "{% for i in l %}{% if i %}\n<p>x</p>\n{% endif %}{% endfor %}"),
     ("```\n{% if a %}{% if b %}\nx\n```", "<pre><code>{% if a %}{% if b %}\nx\n</code></pre>"),
     ("```\n{% if a %}# x{% endif %}\n```",
      "<pre><code>{% if a %}# x{% endif %}\n</code></pre>")],
)  # fmt: skip
def test_blocks_with_liquid_around(source: str, html: str) -> None:
    """Tags show nothing, so what follows them begins the line."""
    assert re.sub(r"\n+", "\n", html_of(source)) == html


# Properties

WORD = "Wort"
MARKS = ["*", "**", "***", "_", "__"]
plain = st.sampled_from(["a", "b c", ", ", ".", "! ", " ", "(", ")", "„", "“", "é", "5"])
marked = st.sampled_from(["*", "**", "_", "__"]).flatmap(
    lambda mark: st.tuples(
        st.just(mark), st.lists(st.one_of(plain, st.just(mark), st.just("{{ v }}")), max_size=9)
    )
)
structure = st.sampled_from(
    ["# ", "- ", "  - ", "1. ", "> ", "\n", "\n\n", "| ", " |", "\n|---|---|\n", "`", "```\n",
     "    ", "[", "](", ")", "](https://e.com/", "![", "<b>", "</b>", "<div>\n", "</div>\n",
     "<i class='", "'>", "&amp;", "\\", "---\n", "===\n", "*", "**", "_", "{{ v }}", " {{ v }} ",
     "x", "y z ", ". ", "<https://e.com/", "> "]
)  # fmt: skip


def with_word(html: str) -> str:
    return html.replace("{{ v }}", WORD)


@quick
@given(st.lists(structure, max_size=14).map("".join))
def test_a_variable_is_read_like_a_word(source: str) -> None:
    """Writing the value before Markdown or after it makes one and the same document; but for
    emphasis at its side, links in angle brackets and tags of HTML."""
    assume(not re.search(r"[*_<]\{\{|\}\}[*_]|\\\{", source))
    assert with_word(html_of(source)) == html_of(with_word(source))


@quick
@given(marked)
def test_emphasis_beside_a_variable_is_never_lost(drawn: tuple[str, list[str]]) -> None:
    """Where a word would leave no mark as it is, a variable leaves none."""
    mark, parts = drawn
    source = f"x {''.join(parts)} y"
    assume(mark + mark[0] not in source)
    ours, words = with_word(html_of(source)), commonmark(with_word(source))
    assert ours.count(mark[0]) <= words.count(mark[0])
    assert re.sub(r"<[^>]+>|[*_]", "", ours) == re.sub(r"<[^>]+>|[*_]", "", words)


@quick
@given(st.sampled_from(MARKS), st.sampled_from([*"ab.,!?)“", "a.", "b, c!"]), st.booleans())
def test_marks_around_any_text_beside_a_variable_are_emphasis(
    mark: str, text: str, before: bool
) -> None:
    marks = f"{mark}{text}{mark}"
    html = html_of(f"{{{{ v }}}}{marks}" if before else f"{marks}{{{{ v }}}}")
    assert mark[0] not in html
    assert "<em>" in html or "<strong>" in html
