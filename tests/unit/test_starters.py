"""The templates to begin with: what mail programs need is in them, and what is sent of them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.domain.content.render import Footer
from app.domain.mailouts import MailoutContent
from app.domain.templates.checking import Preview, check_template, preview_template
from app.domain.templates.lights import in_light
from app.services.checks.writing import check_example
from app.services.templates.starters import Starter, find_starter, invented, starters

FOOTER = Footer("Example", "1 Road")


def row(starter: Starter) -> dict[str, object]:
    return {
        "id": "new",
        "name": starter.name,
        "version": 1,
        "subject": starter.subject,
        "body_html": starter.body_html,
        "body_markdown": None,
        "layout_id": None,
    }


@pytest.fixture(params=starters(), ids=lambda starter: starter.key)
def starter(request: pytest.FixtureRequest) -> Starter:
    found: Starter = request.param
    return found


@pytest.fixture
def shown(starter: Starter) -> Preview:
    return preview_template(row(starter), [], FOOTER, None, starter.sample)


def test_nothing_speaks_against_it(starter: Starter, shown: Preview) -> None:
    assert check_template(row(starter), [], FOOTER) == []
    assert shown.problems == []
    assert find_starter(starter.key) is starter


def test_mail_programs_find_what_they_need(shown: Preview) -> None:
    tables = re.findall(r"<table\b[^>]*>", shown.html)
    assert tables
    assert all('role="presentation"' in table for table in tables)
    assert 'name="color-scheme" content="light dark"' in shown.html
    assert "@media (prefers-color-scheme: dark)" in shown.html
    assert "@media (max-width: 600px)" in shown.html
    assert re.search(r"<!--\[if mso\]><table[^>]* width=\"6[04]0\"", shown.html)
    assert all("alt=" in image for image in re.findall(r"<img\b[^>]*>", shown.html))
    assert len(shown.html.encode()) < 50_000  # Gmail clips above 102,400


def test_the_text_part_has_all_of_it_once(starter: Starter, shown: Preview) -> None:
    for words in ("The Harbour", starter.sample.split()[-2], "Unsubscribe"):
        assert words in shown.text
    assert "roundrect" not in shown.text
    assert shown.text.count("See what is new") == (starter.key == "announcement")


def test_a_mail_is_shown_in_the_light_that_is_asked_for() -> None:
    mail = (
        '<meta name="color-scheme" content="light dark"><style>'
        "@media (prefers-color-scheme: dark) {a{}} @media (PREFERS-color-scheme:light){b{}}</style>"
    )
    dark, light = in_light(mail, "dark"), in_light(mail, "light")
    assert "@media (min-width: 0) {a{}} @media (max-width: 0){b{}}" in dark
    assert "@media (max-width: 0) {a{}} @media (min-width: 0){b{}}" in light
    assert ":root { color-scheme: dark }" in dark
    assert (
        in_light("<p>prefers-color-scheme: dark</p>", "dark") == "<p>prefers-color-scheme: dark</p>"
    )


def test_an_owner_is_told_which_words_of_the_example_are_left(starter: Starter) -> None:
    """Nobody's readers should get a mail of “The Harbour Workshop”."""
    content = MailoutContent("Hello", None, None, "Hi", None, None, None, None, None)
    (finding,) = check_example(replace(content, sources={"templates": [row(starter)]}))
    assert finding.level == "warn"
    assert "The Harbour" in finding.what
    assert ("https://example.com/" in starter.body_html) == ("https://example.com/" in finding.what)
    own = row(starter)
    for words in invented(starter.body_html):
        own["body_html"] = str(own["body_html"]).replace(words, "ours")
    assert "Harbour" not in str(own["body_html"])
    assert "example.com" not in str(own["body_html"])
    assert list(check_example(replace(content, sources={"templates": [own]}))) == []
