# ruff: noqa: E501  hostile inputs are read as they are written
"""The template language: it reaches nothing but a reader's own data, reads data once and never as a
template, and does no more than one mail may."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.content.render import (
    Compiled,
    Content,
    Footer,
    RenderError,
    compile_content,
    template_variables,
)
from app.domain.providers.content import Texts
from app.domain.ses.mail import Mail, bulk_entry
from tests.security.fortress import BEARER, SECRET, Fortress
from tests.support.service import UNSUBSCRIBE_SECRET
from tests.support.wide import examples, wide

FOREIGN = [
    "{{7*7}}", "{{ ''.__class__ }}", "{{ ''.__class__.__mro__[1].__subclasses__() }}", "{{ x|attr('format') }}",
    "{{cycler.__init__.__globals__}}", "{% include '/etc/passwd' %}", "{% render '../../etc/passwd' %}",
    "{% import os %}", "{% extends 'x' %}", "{% layout 'x' %}", "{{ lipsum.__globals__ }}", "{{ self }}", "{{ request }}",
    '{{ env "AWS_SECRET_ACCESS_KEY" }}', "{{config}}", "{{settings}}", "{{ environ }}", "{{ os.environ }}", "{{ globals }}",
    "{{#with __proto__}}", "{{#each}}x{{/each}}", "{{constructor}}", "{{ unknown 'helper' }}", "{{> partial}}", "{{{name}}}",
    "{{ name | safe }}", "{{ name | system: 'id' }}", "{% assign unsubscribe_url = 'x' %}", "{% raw %}", "{% if %}",
]  # fmt: skip
TRIED = [
    "{{ name.__class__ }}", "{{ fields.__class__ }}", "{{ fields.__init__.__globals__ }}", "{{ email.format }}",
    "{{ fields['__class__'] }}", "{{ mailout.__dict__ }}", "{{ name.constructor }}", "{{ fields.items }}", "{{ fields.copy }}",
    "{{ name['__len__'] }}", "{{ email | map: '__class__' }}", "{{ fields | map: '__doc__' }}", "{{ '' | split: '' | map: 'append' }}",
]  # fmt: skip
DATA = [
    "{{unsubscribe_url}}", "{{ email }}", "{{#each}}", "}}{{", "{{{", "{{{email}}}", "{% raw %}", "{% endraw %}", "{{h0}}",
    "{{h1}}", "\\{{h0}}", "{{&h0}}", "{{> h0}}", "{{!-- x --}}", "%recipient.h0%", "%recipient%", "-h0-", "-name-", "${h0}",
    "[h0]", "<%h0%>", "#{h0}", "*|EMAIL|*", "lq0x0z", "lq1x0z", "{% assign x = 1 %}", "{{ 7 | times: 7 }}", "&#123;&#123;h0}}",
]  # fmt: skip


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("source", wide(FOREIGN, 6))
async def test_30_what_is_no_liquid_of_ours_is_refused(fortress: Fortress, source: str) -> None:
    """In a body and a subject. A template may have names that only what includes it gives; it is
    refused with the mailout."""
    rows = [
        await fortress.arrange.mailout(body_html=f"<p>{source}</p>"),
        await fortress.arrange.mailout(subject=f"x {source}"),
    ]
    async with fortress.untouched():
        for mailout in rows:
            answer = await fortress.http.post(
                "/send-mailout", json={"mailout_id": str(mailout)}, headers=BEARER
            )
            assert answer.json()["code"] in ("template_invalid", "audience_empty"), answer.text
            if answer.json()["code"] == "audience_empty":
                assert source in ("{{{name}}}", "{{7*7}}")


@pytest.mark.parametrize("source", TRIED)
def test_31_no_name_leads_out_of_a_readers_data(source: str) -> None:
    try:
        html = mail(f"<p>[{source}]</p>", {"x": "1"}).html
    except RenderError:
        return
    for word in (
        "class",
        "built",
        "method",
        "function",
        "object at",
        "dict",
        SECRET,
        UNSUBSCRIBE_SECRET,
    ):
        assert word not in html.split("[", 1)[1].split("]", 1)[0]


def compiled(body: str, subject: str = "Hello {{ fields.x }}") -> Compiled:
    return compile_content(Content(subject, body, None, None), Footer("Example Org", "1 Street"))


def values(of: Compiled, fields: dict[str, object]) -> dict[str, str]:
    return of.values(
        template_variables(
            email="a@example.com", name="Ann", fields=fields, mailout_id="1",
            unsubscribe_url="https://example.com/unsubscribe?token=1",
        )
    )  # fmt: skip


def mail(body: str, fields: dict[str, object]):  # type: ignore[no-untyped-def]
    made = compiled(body, "Hello")
    return made.paste(values(made, fields))


ONE = compiled("<p>{{ fields.x }}|{{ name }}|{% if fields.x %}{{ fields.x }}{% endif %}</p>")


@pytest.mark.parametrize("data", DATA)
def test_32_data_is_never_a_template(data: str) -> None:
    given_twice = ONE.paste(values(ONE, {"x": data}))
    assert data in given_twice.text
    assert data.strip() in given_twice.subject
    assert "Ann" not in data


@given(st.text(alphabet="{}%#h0 -$[]<>&\\lqxz1", max_size=12))
@settings(max_examples=examples(50))
def test_32_what_every_provider_pastes_is_what_was_rendered(data: str) -> None:
    """Holes are filled once, by names that no data can write: SES's {{h0}} in its template data, and
    SendGrid's and Mailgun's words around holes of their own."""
    filled = values(ONE, {"x": data})
    entry = bulk_entry(Mail(1, "a@example.com", filled, "https://example.com/u", ()))
    assert entry is not None
    sent = json.loads(entry.json)["ReplacementEmailContent"]["ReplacementTemplate"]
    assert json.loads(sent["ReplacementTemplateData"]) == filled
    texts = Texts.of(ONE, " x")
    assert data not in "".join(texts.static) or not data.strip() or len(data) < 4
    assert ONE.paste(filled).text.count("Ann") == 1 + data.count("Ann")


def test_33_a_missing_value_is_empty_and_never_a_failure_of_sending() -> None:
    assert "<p>||</p>" in mail("<p>|{{ fields.nothing }}|</p>", {}).html.replace(
        "<p>||</p>", "<p>||</p>"
    )


BOMBS = [
    "{% assign x = 99999999 %}" + "{% assign x = x | times: x %}" * 17 + "{{ x }}",
    "{{ 'a' " + "| replace: 'a', 'aaaaaaaaaa' " * 9 + "}}",
    "{% for a in (1..9999) %}" * 4 + "x" + "{% endfor %}" * 4,
    "{% for a in (1..10000000000) %}x{% endfor %}",
    "{% assign s = 'a' %}" + "{% capture s %}{{ s }}{{ s }}{% endcapture %}" * 30,
    "{% if name %}" * 200 + "{% endif %}" * 200,
    "{% raw %}" * 10_000,
    "{{" * 50_000,
    "<div>" * 5_000,
    "<a href='https://example.com/'>x</a>" * 21_000,
    "{% if name == fields.x %}y{% else %}n{% endif %}" * 700,
    "{{ name | upcase }}" * 2_100,
    "{% for a in (1..9999) %}{{ name | upcase | downcase | size | plus: a }}{% endfor %}",
    "&#" + "9" * 6_000 + ";",
]


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("bomb", wide(BOMBS, 3), ids=range(len(BOMBS)))
async def test_34_a_bomb_costs_its_author_an_answer(fortress: Fortress, bomb: str) -> None:
    """At every road on which content comes: never a 5xx, and the field is named."""
    mailout = await fortress.arrange.mailout(body_html=f"<p>{bomb}")
    roads: tuple[tuple[str, dict[str, str]], ...] = (
        ("/send-mailout", {"mailout_id": str(mailout)}),
        (f"/mailouts/{mailout}/preview", {}),
    )
    async with fortress.untouched():
        for path, body in roads:
            answer = await fortress.http.post(path, json=body, headers=BEARER)
            assert (answer.status_code, answer.json()["code"]) == (409, "template_invalid"), (
                answer.text
            )
            assert answer.json()["field"] in ("body_html", "body_text")


READERS_BOMBS = [
    ("{{ fields.x " + "| replace: 'a', 'aaaaaaaaaa' " * 8 + "}}", "a" * 100),
    ("{{ fields.x | date: '%Y' }}", "1." * 500_000), ("{{ fields.x | date: '%Y' }}", " " * 1_000_000),
    ("{{ fields.x | split: '' | uniq | size }}", "ab" * 4_000),
    ("{% assign n = fields.x | plus: 0 %}" + "{% assign n = n | times: n %}" * 20, "99999999"),
    ("{% for a in (1..fields.x) %}x{% endfor %}", "999999999"),
    ("{% assign s = fields.x | split: '' %}{% for a in s %}{% for b in s %}x{% endfor %}{% endfor %}", "a" * 2_000),
]  # fmt: skip


@pytest.mark.parametrize(("source", "data"), wide(READERS_BOMBS), ids=range(len(READERS_BOMBS)))
def test_34_a_readers_data_costs_that_reader_alone(source: str, data: str) -> None:
    """The sender renders for everybody in its own process: what one reader's data would make of it is
    counted in steps, and ends that mail only."""
    made = compiled(f"<p>{source}</p>", "Hello")
    try:
        html = made.paste(values(made, {"x": data})).html
    except RenderError:
        return  # told by the dry run, and recorded with the reader
    assert len(html) < 1_100_000
