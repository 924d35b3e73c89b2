"""What an author wrote that readers would see otherwise than it was meant."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from app.domain.content.render import Content
from app.domain.leftovers.find import leftovers, shown_lines, together
from app.domain.mailouts import MailoutContent
from app.domain.reports.findings import Finding
from app.domain.reports.words import plural

MOST_LEFTOVERS = 8
"""Of each field, named one by one."""

Kind = Literal["html", "markdown", "text"]


def check_writing(content: MailoutContent | Content) -> list[Finding]:
    """Findings about the author's own text, whether or not it can be rendered. The same for
    preflight, doctor, ready and preview."""
    return [
        finding
        for field, kind, source in _sources(content)
        for finding in _check_leftovers(field, kind, source)
    ]


def _sources(content: MailoutContent | Content) -> Iterator[tuple[str, Kind, str]]:
    """What is sent: a field, what it holds, and its text."""
    html_goes_first = bool((content.body_html or "").strip())
    kinds: dict[str, Kind] = {"subject": "text", "preheader": "text"}
    kinds |= {"body_html": "html"} if html_goes_first else {"body_markdown": "markdown"}
    for field, kind in (*kinds.items(), ("body_text", "text")):
        if source := getattr(content, field):
            yield field, kind, source


def _check_leftovers(field: str, kind: Kind, source: str) -> Iterator[Finding]:
    found = list(together(leftovers(source, kind)))
    for each, lines in found[:MOST_LEFTOVERS]:
        where = field if "\n" not in source else f"{field}, {shown_lines(lines)}"
        yield Finding(
            "fail" if each.surely else "warn",
            f"“{each.text}” ({where}) belongs to {each.of}: readers would see it as it stands.",
            f"write {each.instead} instead; to show it on purpose, put it between {{% raw %}} and "
            "{% endraw %}.",
        )
    if more := found[MOST_LEFTOVERS:]:
        yield Finding(
            "fail" if any(each.surely for each, _ in more) else "warn",
            f"{field} has {plural(len(more), 'more placeholder')} of other mail programs.",
            "replace those that are named first, then check again.",
        )
