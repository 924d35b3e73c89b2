"""In the text part, what a page shows apart stays apart."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.content.render import Content, Footer, compile_content, template_variables
from tests.unit.test_render_properties import quick


def text_of(body_html: str, name: str | None = "Ann", **fields: Any) -> str:
    """The derived text, without the footer."""
    compiled = compile_content(Content("s", body_html, None, None), Footer("Org", "Street"))
    variables = template_variables(
        email="a@example.com",
        name=name,
        fields=fields,
        mailout_id="m",
        unsubscribe_url="https://e.com/u",
    )
    return compiled.paste(compiled.values(variables)).text.split("\n\n---\n")[0]


A, B = '<a href="https://a.example/1">', '<a href="https://b.example/2">'
ICON, NAMED = '<img src="i.png">', '<img src="i.png" alt="Logo">'


@pytest.mark.few_variants(8)
@pytest.mark.parametrize(
    ("body", "text"),
    [(f"{A}{ICON}</a>{B}{ICON}</a>", "https://a.example/1 https://b.example/2"),
     (f"{A}{ICON}</a>Text", "https://a.example/1 Text"),
     (f"Text{A}{ICON}</a>", "Text https://a.example/1"),
     (f"{A}https://a.example/1</a>Text", "https://a.example/1 Text"),
     (f"{A}Shop</a>{B}Blog</a>", "Shop (https://a.example/1) Blog (https://b.example/2)"),
     (f"<b>{A}Shop</a></b><i>{B}Blog</a></i>",
      "Shop (https://a.example/1) Blog (https://b.example/2)"),
     (f"{A}<b>Shop</b></a><b>Text</b>", "Shop (https://a.example/1) Text"),
     (f"See{A}this</a>now", "See this (https://a.example/1) now"),
     (f"{NAMED}Text", "Logo Text"),
     (f"{NAMED}{NAMED}", "Logo Logo"),
     (f"{A}{NAMED}</a>{NAMED}", "Logo (https://a.example/1) Logo"),
     (f"<ul><li>{A}{ICON}</a>{B}{ICON}</a></li></ul>",
      "- https://a.example/1 https://b.example/2"),
     (f"<table><tr><td>{A}{ICON}</a></td><td>{B}Blog</a></td><td>x</td></tr></table>",
      "https://a.example/1  Blog (https://b.example/2)  x"),
     (f"<table><tr><td>{A}A</a></td></tr><tr><td>{B}{ICON}</a>x</td></tr></table>",
      "A (https://a.example/1)\nhttps://b.example/2 x"),
     ("<button>Yes</button><button>No</button>", "Yes No"),
     ("<label>Name</label><span>Ann</span>", "Name Ann"),
     ('<span style="display:block">A</span><span style="DISPLAY: inline-block">B</span>C', "A B C"),
     ('<span style="padding: 0 4px">New</span>Shoes', "New Shoes"),
     ("<address>A</address><nav>B</nav><aside>C</aside>D", "A\n\nB\n\nC\n\nD"),
     ("<form>A</form><details><summary>B</summary>C</details>", "A\n\nB\n\nC")],
)  # fmt: skip
def test_neighbours_do_not_run_together(body: str, text: str) -> None:
    assert text_of(body) == text


@pytest.mark.parametrize(
    ("body", "text"),
    [(f"({A}https://a.example/1</a>).", "(https://a.example/1)."),
     (f"„{A}this</a>“, {A}that</a>!", "„this (https://a.example/1)“, that (https://a.example/1)!"),
     (f'"{A}this</a>"', '"this (https://a.example/1)"'),
     (f"{A}Shop</a>&nbsp;{B}Blog</a>",
      "Shop (https://a.example/1)\xa0Blog (https://b.example/2)"),
     (f"{A}A</a><br>{B}B</a>", "A (https://a.example/1)\nB (https://b.example/2)"),
     (f"{A}<h2>A</h2><p>B</p></a>{B}C</a>",
      "A\n\nB (https://a.example/1)\n\nC (https://b.example/2)"),
     ("H<sub>2</sub>O <b>s</b>kin <span style='padding:0'>a</span>b", "H2O skin ab"),
     ('<a name="x">A</a>B', "AB"),
     (f"<p>{ICON}</p>x", "x")],
)  # fmt: skip
def test_no_blank_comes_where_none_belongs(body: str, text: str) -> None:
    assert text_of(body) == text


@pytest.mark.parametrize(
    ("body", "with_name", "without"),
    [(f"{A}A</a>{{{{ name }}}}", "A (https://a.example/1) Ann", "A (https://a.example/1)"),
     (f"{{{{ name }}}}{A}A</a>", "Ann A (https://a.example/1)", "A (https://a.example/1)"),
     (f"{A}A</a>{{% if name %}}{B}B</a>{{% endif %}}x",
      "A (https://a.example/1) B (https://b.example/2) x", "A (https://a.example/1) x"),
     (f"{{% if name %}}{A}A</a>{{% else %}}{B}B</a>{{% endif %}}x",
      "A (https://a.example/1) x", "B (https://b.example/2) x"),
     (f"{{% for i in (1..2) %}}{A}{ICON}</a>{{% endfor %}}x",
      "https://a.example/1 https://a.example/1 x", "https://a.example/1 https://a.example/1 x"),
     (f"{A}A</a>{{% assign b = 1 %}}{{% comment %}}c{{% endcomment %}}.",
      "A (https://a.example/1).", "A (https://a.example/1).")],
)  # fmt: skip
def test_liquid_between_neighbours_changes_nothing(body: str, with_name: str, without: str) -> None:
    assert text_of(body) == with_name
    assert text_of(body, name=None).strip() == without


inline = st.sampled_from(
    [f"{A}{ICON}</a>", f"{A}Shop</a>", f"{B}{NAMED}</a>", f"<b>{B}Blog</a></b>", NAMED, "word",
     "<b>word</b>", f"{A}https://a.example/1</a>", "{{ name }}", "{% if name %}",
     "{% assign a = 1 %}"]
)  # fmt: skip


@quick
@given(st.lists(inline, max_size=8))
def test_every_address_ends_where_it_ends(pieces: list[str]) -> None:
    """Whatever stands side by side: a mail program finds each link in the text."""
    body = "<p>Hi: " + "".join(pieces) + "{% endif %}" * pieces.count("{% if name %}") + "</p>"
    for text in (text_of(body), text_of(body, name=None)):
        found = re.findall(r"https?://[^\s()]+", text)
        assert set(found) <= {"https://a.example/1", "https://b.example/2"}
        assert not re.search(r"\)\w|\w\(|Logoword|wordLogo|LogoLogo", text)
    text = text_of(body)
    assert text.count("https://") == body.count("<a ")
    assert "  " not in text
