"""What an author wrote that readers would see otherwise than it was meant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from app.domain.content.markup import MarkupError
from app.domain.content.render import Content, covered_footer
from app.domain.leftovers.find import as_read, leftovers, shown_lines, together
from app.domain.mailcheck.check import check
from app.domain.mailouts import MailoutContent
from app.domain.reports.findings import Finding
from app.domain.reports.words import plural
from app.domain.templates.assembly import template_text
from app.errors import TemplateInvalid
from app.services.sending.mail_settings import MailSettings
from app.services.sending.prepare import sources_of
from app.services.templates.starters import invented

MOST = 8
"""Findings of a kind in each field that are named one by one."""

Kind = Literal["html", "markdown", "text"]


def check_writing(content: MailoutContent | Content) -> list[Finding]:
    """Findings about the author's own text, whether or not it can be rendered. The same for
    preflight, doctor, ready and preview. CPU work of some milliseconds."""
    return [
        finding
        for label, kind, source in _sources(content)
        for finding in (*_check_leftovers(label, kind, source), *_check_html(label, kind, source))
    ]


def check_footer(settings: MailSettings, content: MailoutContent) -> Iterator[Finding]:
    """Whether it can't be told from the styles that the footer is seen. What surely hides it is
    refused."""
    try:
        cover = covered_footer(*sources_of(settings, content))
    except (TemplateInvalid, MarkupError):
        return  # is told by whoever compiles it
    if cover is not None:
        yield Finding(
            "warn",
            f"It can't be told that the footer with the link to unsubscribe is seen: {cover.by} "
            "may hide it.",
            "send a test mail and look at its end, or take those styles away.",
        )


def check_example(content: MailoutContent) -> Iterator[Finding]:
    """Whether a template still says what the starter it was made from invented."""
    for row in (content.sources or {}).get("templates") or []:
        text = template_text(row)
        if found := invented(text.source or ""):
            yield Finding(
                "warn",
                f"The {text.label} still has words of the example: "
                f"{', '.join(f'“{words}”' for words in found)}.",
                "open it under Templates and put your own words there, or remove them.",
            )


def _sources(content: MailoutContent | Content) -> Iterator[tuple[str, Kind, str]]:
    """What is sent: what errors call it, what it holds, and its text."""
    html_goes_first = bool((content.body_html or "").strip())
    kinds: dict[str, Kind] = {"subject": "text", "preheader": "text"}
    kinds |= {"body_html": "html"} if html_goes_first else {"body_markdown": "markdown"}
    for field, kind in (*kinds.items(), ("body_text", "text")):
        if source := getattr(content, field):
            yield field, kind, source
    for row in (content.sources or {}).get("templates") or []:
        text = template_text(row)
        yield text.label, "markdown" if text.markdown else "html", text.source or ""


def _check_leftovers(label: str, kind: Kind, source: str) -> Iterator[Finding]:
    found = list(together(leftovers(source, kind)))
    for each, lines in found[:MOST]:
        yield Finding(
            "fail" if each.surely else "warn",
            f"“{each.text}” ({_where(label, source, lines)}) belongs to {each.of}: readers would "
            "see it as it stands.",
            f"write {each.instead} instead; to show it on purpose, put it between {{% raw %}} and "
            "{% endraw %}.",
        )
    if more := found[MOST:]:
        yield Finding(
            "fail" if any(each.surely for each, _ in more) else "warn",
            f"{label} has {plural(len(more), 'more placeholder')} of other mail programs.",
            "replace those that are named first, then check again.",
        )


def _check_html(label: str, kind: Kind, source: str) -> Iterator[Finding]:
    if kind == "text":
        return
    found = check(as_read(source, kind), markdown=kind == "markdown")
    for each in found[:MOST]:
        yield Finding(
            "warn",
            f"{each.what} {each.lack} ({_where(label, source, each.lines)}).",
            f"{each.remedy}.",
        )
    if more := found[MOST:]:
        yield Finding(
            "warn",
            f"{label} has {plural(len(more), 'more thing')} that large mail programs don't show.",
            "see to those that are named first, then check again.",
        )


def _where(label: str, source: str, lines: Sequence[int]) -> str:
    return label if "\n" not in source else f"{label}, {shown_lines(lines)}"
