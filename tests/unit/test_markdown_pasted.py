"""Markdown as people paste it: GitHub's, Notion's and Google Docs', buttons and figures."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mails import mail
from tests.unit.test_markdown import commonmark, html_of
from tests.unit.test_render_properties import quick


def flat(source: str) -> str:
    return re.sub(r"\n+", "", html_of(source))


@pytest.mark.parametrize(
    ("source", "html"),
    [("~~gone~~ H~2~O", "<p><s>gone</s> H~2~O</p>"),
     ("- [ ] open\n- [x] done", '<ul class="contains-task-list">'
      '<li class="task-list-item">☐\xa0open</li><li class="task-list-item">☑\xa0done</li></ul>'),
     ("- [ ] a\n\n- [x] {{ b }}", '<ul class="contains-task-list">'
      '<li class="task-list-item"><p>☐\xa0a</p></li>'
      '<li class="task-list-item"><p>☑\xa0{{ b }}</p></li></ul>'),
     ("| a | b |\n|---|--:|\n| ~~1~~ | {{ n }} |",
      '<table><thead><tr><th>a</th><th style="text-align:right">b</th></tr></thead>'
      '<tbody><tr><td><s>1</s></td><td style="text-align:right">{{ n }}</td></tr></tbody></table>'),
     ("a[^1] b[^n].\n\n[^1]: One\n[^n]: *Two* {{ n }}",
      '<p>a<sup>[1]</sup> b<sup>[2]</sup>.</p><hr><ol class="footnotes">'
      "<li><p>One</p></li><li><p><em>Two</em> {{ n }}</p></li></ol>"),
     ("> [!NOTE]\n> Text", '<div class="markdown-alert markdown-alert-note">'
      '<p class="markdown-alert-title">Note</p><p>Text</p></div>')],
)  # fmt: skip
def test_github_s_markdown(source: str, html: str) -> None:
    assert flat(source) == html


@pytest.mark.parametrize(
    ("source", "html"),
    [("See https://e.com/a_b?c=1.",
      'See <a href="https://e.com/a_b?c=1">https://e.com/a_b?c=1</a>.'),
     ("(https://e.com/a_(b))", '(<a href="https://e.com/a_(b)">https://e.com/a_(b)</a>)'),
     ("www.e.com, a@e.com!", '<a href="http://www.e.com">www.e.com</a>, '
      '<a href="mailto:a@e.com">a@e.com</a>!'),
     ("https://e.com/{{ a }}/x, y",
      '<a href="https://e.com/{{ a }}/x">https://e.com/{{ a }}/x</a>, y'),
     ("{% if a %}https://e.com/x{% else %}www.e.com{% endif %}.",
      '{% if a %}<a href="https://e.com/x">https://e.com/x</a>{% else %}'
      '<a href="http://www.e.com">www.e.com</a>{% endif %}.'),
     ("{% if a %}ann@e.com{% endif %}",
      '{% if a %}<a href="mailto:ann@e.com">ann@e.com</a>{% endif %}'),
     ("[https://e.com](https://e.com)", '<a href="https://e.com">https://e.com</a>'),
     ("<a href='https://e.com'>https://e.com</a>", "<a href='https://e.com'>https://e.com</a>"),
     ("[x]({% if a %}https://e.com{% else %}https://f.com{% endif %})", None),
     ("`https://e.com` node.js e.com 3:4", "<code>https://e.com</code> node.js e.com 3:4")],
)  # fmt: skip
def test_bare_addresses(source: str, html: str | None) -> None:
    """They are links and end where they end; where there is a link, nothing changes."""
    assert html_of(source) == f"<p>{html}</p>" or html is None


BUTTON = '<a href="https://e.com" class="button">Read *on*</a>'.replace("*on*", "<em>on</em>")
BOX = (
    '<table class="button-box" role="presentation" border="0" cellpadding="0" cellspacing="0">'
    f'<tr><td class="button-cell">{BUTTON}</td></tr></table>'
)


@pytest.mark.parametrize(
    ("source", "html"),
    [("[Read *on*](https://e.com){.button}", BOX),
     ("[Read *on*](https://e.com){.button} [Read *on*](https://e.com){.button}", BOX + BOX),
     ("{% if a %}[Read *on*](https://e.com){.button}{% endif %}",
      f"{{% if a %}}{BOX}{{% endif %}}"),
     ("Now: [Read *on*](https://e.com){.button}!", f"<p>Now: {BUTTON}!</p>"),
     ("- [Read *on*](https://e.com){.button}", f"<ul><li>{BOX}</li></ul>")],
)  # fmt: skip
def test_buttons(source: str, html: str) -> None:
    """One that stands alone is a cell, too: Outlook knows no padding of links."""
    assert flat(source) == html


def test_a_button_in_the_mail() -> None:
    made = mail(None, body_markdown="Hi\n\n[Buy]({{ unsubscribe_url }}){.button}\n\nBye")
    link = re.search(r"<a [^>]*class=\"button\"[^>]*>", made.html)
    cell = re.search(r"<td [^>]*class=\"button-cell\"[^>]*>", made.html)
    assert link
    assert cell
    assert "background: #0b57d0" in link[0]
    assert "padding: 12px 24px" in link[0]
    assert "mso-padding-alt: 12px 24px" in cell[0]
    assert re.search(r"Hi\n\nBuy \(https://\S+\)\n\nBye", made.text)


FIGURE = (
    '<figure><div><img src="https://e.com/i.png" alt="{alt}" /></div>'
    "<figcaption>{caption}</figcaption></figure>"
)


@pytest.mark.parametrize(
    ("source", "alt", "caption"),
    [('![A view](https://e.com/i.png "The *lake*")', "A view", "The *lake*"),
     ("![A view](https://e.com/i.png)\n*The **lake***", "A view", "The <strong>lake</strong>"),
     ("![A view](https://e.com/i.png)  \n_{{ name }}'s lake_", "A view", "{{ name }}'s lake"),
     ("![The lake](https://e.com/i.png)\n\nThe lake", "", "The lake")],
)  # fmt: skip
def test_figures(source: str, alt: str, caption: str) -> None:
    assert flat(source) == FIGURE.format(alt=alt, caption=caption)


@pytest.mark.parametrize(
    "source",
    ["![A view](https://e.com/i.png)", "![A view](https://e.com/i.png) *no caption* here",
     "*x* ![A view](https://e.com/i.png)", "![A view](https://e.com/i.png)\n*a* and *b*",
     "![A view](https://e.com/i.png)\n\nAnother text"],
)  # fmt: skip
def test_a_picture_without_a_caption_stays_in_its_text(source: str) -> None:
    assert html_of(source) == commonmark(source)


def test_a_picture_takes_a_width() -> None:
    html = html_of("![x](https://e.com/i.png){width=300}")
    assert html == '<p><img src="https://e.com/i.png" alt="x" width="300" /></p>'


NESTED = "<li>a<ul><li>b<ul><li>c</li></ul></li></ul></li>"


@pytest.mark.parametrize("indent", ["  ", "    ", "\t"])
@pytest.mark.parametrize("mark", ["-", "*"])
def test_lists_nest_by_two_four_or_a_tab(indent: str, mark: str) -> None:
    source = f"{mark} a\n{indent}{mark} b\n{indent * 2}{mark} c\n{mark} d"
    assert flat(source) == f"<ul>{NESTED}<li>d</li></ul>"


@pytest.mark.parametrize("indent", ["  ", "   ", "    ", "\t"])
def test_lists_nest_in_numbered_ones(indent: str) -> None:
    source = f"1. a\n{indent}- b\n{indent * 2}- c\n2. d\n\n{indent}More\n10. e"
    nested = "<li><p>a</p><ul><li>b<ul><li>c</li></ul></li></ul></li>"
    more = "<li><p>d</p><p>More</p></li><li><p>e</p></li>"
    assert flat(source) == f"<ol>{nested}{more}</ol>"


def test_lists_with_code_and_text_in_them() -> None:
    source = "1. a\n\n  ```\n  x = [1]\n  ```\n\n  text\n2. b\n\nEnd\n\n    code"
    assert flat(source) == (
        "<ol><li><p>a</p><pre><code>x = [1]</code></pre><p>text</p></li><li><p>b</p></li></ol>"
        "<p>End</p><pre><code>code</code></pre>"
    )


@pytest.mark.parametrize(
    ("source", "html"),
    [("**bold **text", "<strong>bold</strong> text"), ("a** bold** b", "a <strong>bold</strong> b"),
     ("**a **b **c **d", "<strong>a</strong> b <strong>c</strong> d"), ("~~a ~~b", "<s>a</s> b"),
     ("**{{ a }} **b", "<strong>{{ a }}</strong> b"), ("**a**x b **c**", None),
     ("**a** b **c** d", None), ("2 ** 3 ** 4", None), ("`**a **b`", None), (r"\**a **b", None),
     ("***a* b**", None), ("a ** b", None)],
)  # fmt: skip
def test_marks_with_blanks_inside(source: str, html: str | None) -> None:
    assert html_of(source) == (f"<p>{html}</p>" if html else commonmark(source))


@pytest.mark.parametrize(
    ("source", "html"),
    [("<aside>\n💡 **Note** this\n</aside>\n\nNext",
      '<div class="callout"><p>💡 <strong>Note</strong> this</p></div><p>Next</p>'),
     ("<aside>\n💡\n\n- a\n\n</aside>", '<div class="callout"><p>💡</p><ul><li>a</li></ul></div>'),
     ("## **Title** {#title}", "<h2><strong>Title</strong></h2>"),
     (r"1\. No list \- \& \! \~ \> \# \= \+", "<p>1. No list - &amp; ! ~ &gt; # = +</p>"),
     ("a  \nb\\\nc", "<p>a<br />b<br />c</p>"), ("“It’s” – 5 × 3…", "<p>“It’s” – 5 × 3…</p>"),
     ("![][image1]\n\n[image1]: https://e.com/i.png",
      '<p><img src="https://e.com/i.png" alt="" /></p>'),
     ("| a |\n| :---- |\n| **b** |",
      '<table><thead><tr><th style="text-align:left">a</th></tr></thead>'
      '<tbody><tr><td style="text-align:left"><strong>b</strong></td></tr></tbody></table>')],
)  # fmt: skip
def test_exports_of_notion_and_google_docs(source: str, html: str) -> None:
    assert flat(source) == html


# Properties


@st.composite
def nested(draw: st.DrawFn, depth: int = 0, column: int = 0) -> str:
    """A list as CommonMark wants it."""
    marker = draw(st.sampled_from(["-", "*", "1.", "12)"]))
    inner = column + len(marker) + 1
    lines = []
    for _ in range(draw(st.integers(1, 3))):
        lines.append(f"{' ' * column}{marker} {draw(st.sampled_from(['a', '**b** c', '`d `e']))}")
        more = draw(st.sampled_from(["", "", "list", "text", "code"]))
        if more == "list" and depth < 3:
            lines.append(draw(nested(depth + 1, inner)))
        elif more == "text":
            lines.append(f"\n{' ' * inner}text **bold**\n")
        elif more == "code":
            lines.append(f"\n{' ' * inner}```\n{' ' * inner}    - x\n{' ' * inner}```\n")
    return "\n".join(lines)


@quick
@given(st.lists(st.one_of(nested(), st.sampled_from(["text", "# h", "    code", "> - q"]))))
def test_what_is_commonmark_stays_as_it_is(blocks: list[str]) -> None:
    source = "\n\n".join(blocks)
    assert html_of(source) == commonmark(source)
