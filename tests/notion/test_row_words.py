"""What a row says: in the words of who writes in Notion."""

from __future__ import annotations

import pytest

from app.domain.reports.findings import Finding
from app.services.checks.content import DRAFT, NOBODY, RATE_UNKNOWN
from app.services.notion.rows import words

PAGE = "<h2>June</h2>\n\n<p>Hello {{ nam }}, <b>the beans</b> &amp; peas are up.</p>"


def problem(*findings: Finding, audience: tuple[str, ...] = ()) -> str | None:
    return words.tested(findings, (), PAGE, audience)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            "body_markdown, line 3: unknown variable “nam”. Did you mean name?",
            "the text “Hello {{ nam }}, the beans & peas are up.”: unknown variable “nam”. Did you "
            "mean name?",
        ),
        ("body_markdown: it takes too long.", "the page: it takes too long."),
        ("body_markdown, line 99: no.", "the page: no."),
        ("subject, line 1: expected '}}'. Correct the Liquid there.",
         "Name: expected '}}'. Correct it there."),
        ("“%NAME%” (subject) belongs to others.", "“%NAME%” (Name) belongs to others."),
        ("at: that has passed. Choose a later time.", "Send at: that has passed. Choose a later "
         "time."),
        ("The mailout has no body: give HTML or Markdown.", "The page has no text: write some."),
        ("The subject is empty.", "The subject is empty."),
    ],
)  # fmt: skip
def test_a_sentence_about_a_mailout_as_one_about_the_page(ours: str, theirs: str) -> None:
    assert words.in_notion(ours, PAGE) == theirs


def test_the_operators_warnings_are_no_problem_of_a_newsletter() -> None:
    """`doctor` and the dashboard have them; what makes sending fail is said, and to whom."""
    away = Finding("warn", "OWNER_EMAIL is missing: nobody is told.", "set it.")
    assert problem(away, DRAFT, RATE_UNKNOWN) is None
    missing = Finding("fail", "ORG_NAME is missing.", "set it to your organisation's name.")
    mine = Finding("warn", "The subject has 90 characters.", "shorten it.")
    assert problem(missing, mine) == (
        "• The subject has 90 characters. Shorten it.\n"
        "For whoever runs the service:\n"
        "• ORG_NAME is missing. Set it to your organisation's name."
    )
    around = Finding("fail", "SES doesn't answer.", "look at its status.")
    assert words.tested([], [around], PAGE, ()) == (
        "For whoever runs the service:\n• SES doesn't answer. Look at its status."
    )


def test_an_audience_of_nobody_names_its_tags() -> None:
    unknown = Finding("warn", "Nobody has the tag “roses”: it matches nobody.", "correct it.")
    said = problem(NOBODY, unknown, audience=("roses",))
    assert said is not None
    assert said.count("•") == 1
    assert "no active subscriber has the tag “roses”" in said
    assert "empty it to send to everybody" in said
    assert "Import subscribers" in str(problem(NOBODY))
