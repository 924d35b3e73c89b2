"""Which links a mail has, and which of them lead nowhere."""

from __future__ import annotations

import pytest

from app.domain.content.links import is_local, lead_nowhere, links_of, web_links
from app.domain.reports.words import duration, plural


def test_links_and_pictures_once_in_order() -> None:
    html = """<a href="https://a.example/?x=1&amp;y=2">a</a> <img src='https://b.example/i.png'>
    <area href="https://c.example"> <a href="https://a.example/?x=1&amp;y=2">again</a>
    <a name="x">no link</a> <a href=" mailto:me@a.example ">mail</a>"""
    text = "See https://d.example/page. (https://e.example/x) <https://f.example> https://g.example/a_(b)"
    assert links_of(html, text) == [
        "https://a.example/?x=1&y=2",
        "https://b.example/i.png",
        "https://c.example",
        "mailto:me@a.example",
        "https://d.example/page",
        "https://e.example/x",
        "https://f.example",
        "https://g.example/a_(b)",
    ]


@pytest.mark.parametrize(
    "link",
    ["/about", "about.html", "", "www.example.com", "http://localhost/x", "https://192.168.1.5/",
     "https://intranet/", "https://nas.local/", "file:///C:/x.png", "https://", "javascript:x()",
     "http://[bad"],
)  # fmt: skip
def test_what_leads_nowhere_from_a_mail(link: str) -> None:
    assert lead_nowhere([link]) == [link]


@pytest.mark.parametrize(
    "link",
    ["https://example.com/", "http://example.com", "mailto:a@example.com", "tel:+49123", "#top",
     "data:image/png;base64,AA", "cid:logo", "HTTPS://EXAMPLE.COM"],
)  # fmt: skip
def test_what_leads_somewhere(link: str) -> None:
    assert lead_nowhere([link]) == []


def test_only_the_web_is_asked() -> None:
    assert web_links(["https://a.example", "mailto:a@b.c", "/x", "http://b.example"]) == [
        "https://a.example",
        "http://b.example",
    ]


def test_local_hosts() -> None:
    assert all(map(is_local, ["localhost", "10.0.0.1", "::1", "db.internal", ""]))
    assert not any(map(is_local, ["example.com", "8.8.8.8"]))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "about 1 second"), (1, "about 1 second"), (59, "about 59 seconds"),
     (90, "about 2 minutes"), (100, "about 2 minutes"), (3_600, "about 60 minutes"),
     (7_200, "about 2 hours"), (86_400, "about 24 hours"), (200_000, "about 2 days")],
)  # fmt: skip
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_plurals() -> None:
    assert (plural(1, "day"), plural(2, "day"), plural(12_000, "mail")) == (
        "1 day",
        "2 days",
        "12,000 mails",
    )
