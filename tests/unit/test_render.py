"""What authors may write, what is refused before anybody is written to, and what a hole is."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.domain.content.render import (
    Compiled,
    Content,
    Footer,
    Rendered,
    RenderError,
    compile_content,
    template_variables,
)
from app.errors import TemplateInvalid

FOOTER = Footer("Example Org", "1 Example Street\n12345 Town")


def compiled(
    body_html: str | None = "<p>Hello</p>",
    *,
    subject: str = "News",
    subject_mark: str = "",
    body_markdown: str | None = None,
    body_text: str | None = None,
    preheader: str | None = None,
    footer: Footer = FOOTER,
) -> Compiled:
    content = Content(subject, body_html, body_markdown, body_text, preheader)
    return compile_content(content, footer, subject_mark=subject_mark)


def ann(name: str | None = "Ann", **fields: Any) -> dict[str, Any]:
    return template_variables(
        email="ann@example.com",
        name=name,
        fields=fields,
        mailout_id="7b0e",
        unsubscribe_url="https://example.com/unsubscribe?token=a&b=c",
    )


def rendered(template: Compiled, variables: dict[str, Any] | None = None) -> Rendered:
    return template.paste(template.values(variables or ann()))


def refused(**content: Any) -> TemplateInvalid:
    with pytest.raises(TemplateInvalid) as caught:
        compiled(**content)
    return caught.value


# What a mail shows


def test_values_are_escaped_in_html_only() -> None:
    """Holes in HTML are escaped once; text and subject show the value itself."""
    mail = rendered(
        compiled("<p>{{ name }}</p>", subject="Hi {{ name }}", body_text="Hi {{ name }}"),
        ann('<b>Ann & "Bob"</b>'),
    )
    assert "<p>&lt;b&gt;Ann &amp; &#34;Bob&#34;&lt;/b&gt;</p>" in mail.html
    assert mail.subject == 'Hi <b>Ann & "Bob"</b>'
    assert mail.text.startswith('Hi <b>Ann & "Bob"</b>\n')


@pytest.mark.parametrize(
    "data", ["{{ unsubscribe_url }}", "{{#each x}}", "}}{{", "{{{", "{% if %}", "{{h0}}", "\\"]
)
def test_data_is_never_read_as_a_template(data: str) -> None:
    mail = rendered(compiled("<p>[{{ name }}]</p>", body_text="[{{ name }}]"), ann(data))
    assert f"[{data}]" in mail.html
    assert mail.text.startswith(f"[{data}]")


@pytest.mark.parametrize("breaking", "\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029\x00\x7f")
def test_a_subject_stays_one_line(breaking: str) -> None:
    """Data can't add a header to the mail."""
    template = compiled(subject="Hi {{ name }}!")
    assert rendered(template, ann(f"Ann{breaking}Bcc: x")).subject == "Hi Ann Bcc: x!"


def test_missing_data_renders_empty_and_can_have_a_default() -> None:
    text = "[{{ name }}][{{ fields.x }}][{{ name | default: 'friend' }}]{% if name %}!{% endif %}"
    for nobody in (None, ""):
        mail = rendered(compiled(body_text=text), ann(nobody))
        assert mail.text.startswith("[][][friend]\n")


def test_every_variable_of_the_contract_is_there() -> None:
    text = "{{ name }} {{ email }} {{ fields.city }} {{ mailout.id }} {{ mailout.subject }} "
    mail = rendered(compiled(body_text=f"{text}{{{{ unsubscribe_url }}}}"), ann(city="Bonn"))
    assert mail.text.startswith(
        "Ann ann@example.com Bonn 7b0e News https://example.com/unsubscribe?token=a&b=c\n"
    )


SUBJECT = "{{ name | default: 'You' }} & co{% if fields.city %} in {{ fields.city }}{% endif %}"


@pytest.mark.parametrize(
    ("name", "city", "subject"),
    [("<Ann>", "Bonn\nBcc: x", "<Ann> & co in Bonn Bcc: x"),
     (None, None, "You & co"),
     ("{{ email }}", None, "{{ email }} & co")],
)  # fmt: skip
def test_bodies_show_the_subject_as_this_recipient_gets_it(
    name: str | None, city: str | None, subject: str
) -> None:
    """In HTML it is escaped, in text it is not, and nothing in it is Liquid a second time."""
    template = compiled(
        "<title>{{ mailout.subject }}</title><h1>{{ mailout.subject }}</h1>",
        subject=SUBJECT,
        body_text="{{ mailout.subject }}|{{ mailout.subject | upcase }}",
        preheader="{{ mailout.subject }}!",
    )
    mail = rendered(template, ann(name, city=city))
    assert mail.subject == subject
    escaped = subject.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<title>{escaped}</title>" in mail.html
    assert f"<h1>{escaped}</h1>" in mail.html
    assert f">{escaped}!" in mail.html
    assert mail.text.startswith(f"{subject}|{subject.upper()}\n")


def test_the_subject_is_there_in_markdown_and_its_derived_text_too() -> None:
    template = compiled(None, subject=SUBJECT, body_markdown="# {{ mailout.subject }}")
    mail = rendered(template, ann("*Ann*"))
    assert ">*Ann* &amp; co</h1>" in mail.html
    assert mail.text.startswith("*Ann* & co\n")


def test_a_mark_before_the_subject_is_not_in_the_bodies() -> None:
    """The rule: a test mail differs from the real one in its subject line only."""
    template = compiled(subject=SUBJECT, subject_mark="[Test] ", body_text="{{ mailout.subject }}")
    assert template.subject.startswith("[Test] {{h")
    assert rendered(template).subject == "[Test] Ann & co"
    assert rendered(template).text.startswith("Ann & co\n")
    assert sum(template.sizes(template.values(ann()))) > len("[Test] Ann & co")


@pytest.mark.parametrize(
    "subject",
    ["{{ mailout.subject }}", "Re: {{ mailout['subject'] | upcase }}", "{{ mailout }}",
     "{% if mailout.subject %}x{% endif %}", "{% assign m = mailout %}{{ m.subject }}",
     "{{ mailout[name] }}"],
)  # fmt: skip
def test_a_subject_can_not_show_itself(subject: str) -> None:
    error = refused(subject=subject)
    assert error.field == "subject"
    assert "can't show itself" in error.detail


def test_the_mailouts_id_may_stand_in_the_subject() -> None:
    assert rendered(compiled(subject="No. {{ mailout.id }}")).subject == "No. 7b0e"


def test_every_tag_of_the_language_works() -> None:
    text = (
        "{% assign a = 1 %}{% capture c %}<{{ a }}>{% endcapture %}{{ c }}"
        "{% case a %}{% when 1 %}one{% endcase %}{% comment %}x{% endcomment %}{% # x %}"
        "{% cycle 'p', 'q' %}{% decrement d %}{% increment i %}{% echo name %}"
        "{% for n in (1..5) %}{% if n == 2 %}{% continue %}{% endif %}{{ n }}"
        "{% if n == 3 %}{% break %}{% endif %}{% endfor %}{% unless name %}x{% endunless %}"
        "{% ifchanged %}y{% endifchanged %}{% liquid\necho a\n%}{% raw %}{{ r }}{% endraw %}"
        "{% doc %}x{% enddoc %}"
    )
    assert rendered(compiled(body_text=text)).text.startswith("<1>onep-10Ann13y1{{ r }}\n")
    table = "<table>{% tablerow n in (1..2) cols:1 %}{{ n }}{% endtablerow %}</table>"
    assert '<td class="col1">2</td>' in rendered(compiled(table)).html


def test_assigned_values_carry_over_to_later_holes() -> None:
    text = "{% assign a = name %}{{ a }} {% assign a = 'Bob' %}{{ a }} {{ a }}"
    assert rendered(compiled(body_text=text)).text.startswith("Ann Bob Bob\n")


def test_html_goes_before_markdown_and_blank_is_absent() -> None:
    assert "<b>html</b>" in rendered(compiled("<b>html</b>", body_markdown="markdown")).html
    assert "<p" in rendered(compiled(" \n", body_markdown="markdown")).html


def test_a_recipients_odd_data_fail_that_recipient_only() -> None:
    """The rule: whatever a filter raises is a RenderError that quotes the place."""
    text = "{{ 10 | divided_by: fields.n }} {{ fields.b | base64_decode }} {{ name }}"
    template = compiled(body_text=text)
    assert rendered(template, ann(n=5, b="aGk=")).text.startswith("2 hi Ann\n")
    with pytest.raises(RenderError, match=r"divided_by: fields\.n.*can't be rendered"):
        template.values(ann(n=0))
    with pytest.raises(RenderError, match="base64_decode"):
        template.values(ann(n=5, b="/w=="))  # not UTF-8
    with pytest.raises(RenderError):
        template.values(ann("\ud800", n=5, b=""))  # an unpaired surrogate can't be sent


# What SES gets


def test_holes_are_numbered_and_equal_outputs_share_one() -> None:
    template = compiled("<p>{{ name }} {{name}} {{ email }}</p>", body_text="x", subject="s")
    assert "<p>{{h0}} {{h0}} {{h1}}</p>" in template.html


@pytest.mark.parametrize("brace", ["{", "}", "\\"])
@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ name }} R{{ name }}", "Ann RAnn"),
        ("R{{ name }} {{ name }}", "RAnn Ann"),
        ("{{ name }} {{ name }}R", "Ann AnnR"),
        ("{{ name }}R {{ name }}", "AnnR Ann"),
        ("R{{ name }} {{ name }}R {{ name }}", "RAnn AnnR Ann"),
    ],
)
def test_equal_outputs_with_other_neighbours_share_no_hole(
    template: str, expected: str, brace: str
) -> None:
    """A brace beside a hole is in its value: one of the two would show it too, or lose it."""
    raw = f"{{% raw %}}{brace}{{% endraw %}}"
    made = compiled(body_text=template.replace("R", raw))
    assert rendered(made).text.startswith(expected.replace("R", brace) + "\n")


def test_outputs_that_a_tag_may_change_do_not_share_a_hole() -> None:
    template = compiled(
        body_text="{{ name }}{% assign name = 'x' %}{{ name }} {{email}}{{ email }}"
    )
    first, second, third, fourth = template.text.split("}}")[:4]
    assert first != second
    assert third.strip() == fourth
    assert rendered(template).text.startswith("Annx ann@example.comann@example.com")


@pytest.mark.parametrize("literal", ["{{", "{{h0}}", "a{{b", "{{{{", "\\{{x}}", "{%"])
def test_text_that_looks_like_a_tag_survives(literal: str) -> None:
    """A constant hole carries it; it is the same for everybody."""
    raw = f"<p>{{% raw %}}{literal}{{% endraw %}}</p>"
    template = compiled(raw, body_text=f"t{raw}", subject=f"s{raw}")
    mail = rendered(template)
    assert f"<p>{literal}</p>" in mail.html
    assert mail.text.startswith(f"t<p>{literal}</p>\n")
    assert mail.subject == f"s<p>{literal}</p>"
    assert template.constant.items() <= template.values(ann()).items()


@pytest.mark.parametrize("neighbour", ["\\", "{", "}", "}}", "\\\\"])
def test_what_handlebars_would_misread_beside_a_hole_is_in_the_hole(neighbour: str) -> None:
    raw = f"{{% raw %}}{neighbour}{{% endraw %}}"
    template = compiled(body_text=f"a{raw}{{{{ name }}}}{raw}b")
    assert template.text.startswith("a{{")
    assert "}}b" in template.text
    assert f"{neighbour}Ann{neighbour}" in template.values(ann()).values()
    assert rendered(template).text.startswith(f"a{neighbour}Ann{neighbour}b\n")


def test_each_hole_has_a_value_for_an_empty_subscriber() -> None:
    """SES drops a mail without a word when a value is missing."""
    template = compiled("<p>{{ fields.a }}{% if name %}{{ name }}{% endif %}</p>")
    empty = template.values(ann(None))
    assert template.paste(empty)  # pastes without a KeyError
    assert all(isinstance(value, str) for value in empty.values())


# What is refused


@pytest.mark.parametrize("subject", ["", "  ", "a\nb", "a\r", "a\x00", "a\u2028b", "a\n"])
def test_a_subject_is_one_line(subject: str) -> None:
    assert refused(subject=subject).field == "subject"


@pytest.mark.parametrize("body", [None, "", " \n\t"])
def test_a_body_is_needed(body: str | None) -> None:
    assert refused(body_html=body).field == "body_html"


@pytest.mark.parametrize(
    "broken",
    ["{{ foo", "{% if name %}", "{% nope %}", "{{ name | nope }}", "{% include 'x' %}",
     "{% render 'x' %}", "{{ name | safe }}", "{% endif %}", "{% break %}", "{{ name nope }}",
     "{% for i in fields.x %}{% else %}{% break %}{% endfor %}", "{{ 1 | divided_by: 0 }}",
     "{% comment %}", "{{ name | truncate: 1, 2, 3, 4 }}",
     "{% if name %}{% continue %}{% endif %}"],
)  # fmt: skip
@pytest.mark.parametrize("field", ["subject", "body_html", "body_markdown", "body_text"])
def test_what_would_fail_for_everybody_is_found_at_once(broken: str, field: str) -> None:
    """The error names the field and the line."""
    source = broken if field == "subject" else f"line one\n{broken}"
    content = {"body_html": None if field == "body_markdown" else "x", field: source}
    error = refused(**content)
    assert error.field == field
    assert error.line == source.count("\n") + 1
    assert field in error.detail


def test_an_error_in_the_preheader_is_named() -> None:
    assert refused(preheader="{{ nope }}").field == "preheader"


@pytest.mark.parametrize(
    ("root", "hint"),
    [("first_name", "fields.first_name"), ("nmae", "name"), ("env", "fields.env"),
     ("settings", "unsubscribe_url"), ("now", "fields.…"), ("forloop", "name"),
     ("[name]", "name, email")],
)  # fmt: skip
def test_an_unknown_variable_is_refused_with_a_hint(root: str, hint: str) -> None:
    error = refused(body_html=f"<p>\n{{{{ {root} }}}}</p>")
    assert (error.field, error.line) == ("body_html", 2)
    assert hint in error.detail


def test_unknown_variables_are_found_wherever_they_are() -> None:
    for place in ("{% if nope %}{% endif %}", "{{ name | default: nope }}",
                  "{% for i in nope %}{% endfor %}", "{% assign a = nope %}",
                  "{% case name %}{% when nope %}{% endcase %}", "{% cycle nope, 'a' %}",
                  "{% if name %}{% unless true %}{{ nope.x }}{% endunless %}{% endif %}",
                  "{{ fields[nope] }}", "{% liquid\n echo nope\n%}"):  # fmt: skip
        assert "nope" in refused(body_text=place).detail


def test_names_the_template_defines_are_known() -> None:
    text = (
        "{% assign a = 1 %}{{ a }}{% capture b %}2{% endcapture %}{{ b }}"
        "{% for c in (3..3) %}{{ c }}{{ forloop.index }}{% endfor %}{% increment d %}{{ d }}"
    )
    assert rendered(compiled(body_text=text)).text.startswith("123101\n")


def test_the_footers_link_can_not_be_redefined() -> None:
    assert "unsubscribe_url" in refused(body_html="{% assign unsubscribe_url = 'x' %}").detail


def test_data_dependent_failures_are_not_refused() -> None:
    """They may fail for some; the dry run lists those."""
    compiled("{{ fields.list | join: ', ' }} {{ 10 | divided_by: fields.n }} {{ name | times: 2 }}")


@pytest.mark.parametrize(
    "endless",
    ["{% for i in (1..1000000000) %}x{% endfor %}",
     "{% for i in (1..1000000000) reversed %}x{% endfor %}",
     "{% for i in (1..99999999999999999999999) offset: 9999999999 %}x{% endfor %}",
     "{% tablerow i in (1..1000000000) %}x{% endtablerow %}",
     "{{ (1..1000000000) | join: 'x' }}",
     "{% assign x = (1..1000000000) | reverse %}",
     "{% for a in (1..999) %}{% for b in (1..999) %}x{% endfor %}{% endfor %}",
     "{% assign x = 'abcdefgh' %}{% for i in (1..99) %}{% assign x = x | append: x %}{% endfor %}",
     "{% capture x %}" + "x" * 9999 + "{% endcapture %}{% for i in (1..9999) %}{{ x }}{% endfor %}",
     "{% if name %}{% for i in (1..1000000000) %}x{% endfor %}{% endif %}",
     "{% if true %}" * 99 + "{% endif %}" * 99],
)  # fmt: skip
def test_endless_templates_end_fast(endless: str) -> None:
    start = time.perf_counter()
    assert refused(body_text=endless).field == "body_text"
    assert time.perf_counter() - start < 2  # seconds; milliseconds in fact


def test_a_loop_over_data_is_bounded_too() -> None:
    template = compiled(body_text="{% for i in (1..fields.n) %}x{% endfor %}")
    assert rendered(template, ann(n=3)).text.startswith("xxx\n")
    with pytest.raises(RenderError):
        template.values(ann(n=1_000_000_000))


def test_a_body_has_at_most_5_mb() -> None:
    assert refused(body_text="é" * 2_500_001).field == "body_text"
    assert refused(body_html="x" * 5_000_001).field == "body_html"


def test_text_that_is_no_unicode_is_refused() -> None:
    assert refused(body_html="\ud800").field == "body_html"
