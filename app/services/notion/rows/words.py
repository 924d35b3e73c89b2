"""What a row says to whoever writes newsletters: in the words of Notion, each remedy once. Pure.

What other parts of the program say of a mailout names its columns and their lines; on a page of
Notion there is a Name, a Preheader, an Audience and text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import unescape

from app.domain.reports.findings import Finding
from app.errors import AudienceChanged
from app.services.checks.content import DRAFT, NOBODY, RATE_UNKNOWN
from app.services.starting.send_warnings import CHANGED_SINCE_TEST, NEVER_TESTED

ANYWAY = "To send it as it is now, set Status to Draft, and to Send when this text is gone."
OPERATOR = "For whoever runs the service:"
QUOTED_CHARS = 60

_NOT_SAID = frozenset(
    finding.what for finding in (NEVER_TESTED, CHANGED_SINCE_TEST, DRAFT, RATE_UNKNOWN)
)
"""Findings that hold for every row while it is tested, or that pass by themselves."""
_SETTING = re.compile(r"\b[A-Z]+(?:_[A-Z]+)+\b")
_QUOTED = re.compile(r"“[^”]*”")
_LABELS = {"subject": "Name", "preheader": "Preheader", "at": "Send at", "zone": "Time zone"}
_PLACE = re.compile(
    r"(?:^|(?<=\())(subject|preheader|body_markdown|body_text|at|zone)"
    r"(?:, lines? (\d+)[^:)]*)?(?=[:)]| has \d)"
)
_PHRASES = (
    ("The mailout has no body: give HTML or Markdown.", "The page has no text: write some."),
    ("write some text, or give body_text.", "Write some text."),
    ("correct it in the mailout.", ""),
    ("Correct the Liquid there.", "Correct it there."),
    ("the template fails", "it fails"),
    ("correct the template, or their data.", "correct the page, or their data."),
    ("give a default in the template", "give a default on the page"),
    ("correct the audience, if that isn't meant.", "correct Audience, if that isn't meant."),
    ("a dry run names each of them", "the dry run on the dashboard names them"),
)
_TAG = re.compile(r"<[^>]*>")


def tested(
    findings: Iterable[Finding],
    around: Iterable[Finding],
    markdown: str,
    audience: Sequence[str],
) -> str | None:
    """What speaks against sending what was tested; None: nothing. findings: about the newsletter.
    around: what the service fails at, whatever it sends. audience: the row's tags."""
    told = [finding for finding in findings if finding.level != "ok"]
    order = sorted(told, key=lambda finding: finding.level != "fail")
    return "\n".join(_lines(order, markdown, audience, around)) or None


def refusal(
    before: str, failures: Iterable[Finding], after: str, markdown: str, audience: Sequence[str]
) -> str:
    return "\n".join([before, *_lines(failures, markdown, audience), after])


def since_test(changed: Iterable[str]) -> str:
    lines = [
        "It was not sent, because it was changed since the last test:",
        *(f"• {sentence}" for sentence in changed),
        f"Send another test (Status: Send test). {ANYWAY}",
    ]
    return "\n".join(lines)


def audience_changed(exc: AudienceChanged) -> str:
    previous = exc.extra["previous"]["subject"][:60]
    return (
        f"It was not sent, because the audience has changed by more than a third since "
        f"“{previous}”: {exc.extra['count']:,} people instead of {exc.extra['before']:,}. "
        "Check the property Audience. If that is right, set Status to Draft, and to Send when this "
        "text is gone."
    )


def not_set_up(missing: Iterable[str]) -> str:
    """missing: names of settings."""
    return f"{OPERATOR} set {', '.join(missing)} in .env, and restart."


def in_notion(text: str, markdown: str) -> str:
    """A sentence about a mailout as one about the page. markdown: what the page was made into."""
    for ours, theirs in _PHRASES:
        for said, meant in ((ours, theirs), (capital(ours), capital(theirs))):
            text = text.replace(said, meant)
    return _PLACE.sub(lambda match: _place(match[1], match[2], markdown), text).strip()


def _place(field: str, line: str | None, markdown: str) -> str:
    if field in _LABELS:
        return _LABELS[field]
    words = _words_of_line(markdown, int(line)) if line and field == "body_markdown" else ""
    return f"the text “{words}”" if words else "the page"


def _words_of_line(markdown: str, line: int) -> str:
    lines = markdown.split("\n")
    source = lines[line - 1] if line <= len(lines) else ""
    words = " ".join(unescape(_TAG.sub(" ", source)).split())
    return words if len(words) <= QUOTED_CHARS else f"{words[: QUOTED_CHARS - 1].rstrip()}…"


def _lines(
    findings: Iterable[Finding],
    markdown: str,
    audience: Sequence[str],
    around: Iterable[Finding] = (),
) -> list[str]:
    found = [finding for finding in findings if finding.what not in _NOT_SAID]
    nobody = any(finding == NOBODY for finding in found)
    authors, operators = [], [f"• {finding.sentences}" for finding in around]
    for finding in found:
        if _SETTING.search(_QUOTED.sub("", finding.what)):
            if finding.level == "fail":  # of the others `doctor` and the dashboard tell
                operators.append(f"• {finding.sentences}")
        elif finding == NOBODY:
            authors.append(f"• {_nobody(audience)}")
        elif not (nobody and finding.what.startswith("Nobody has the tag")):
            authors.append(f"• {capital(in_notion(finding.sentences, markdown))}")
    lines = list(dict.fromkeys(authors))
    return [*lines, OPERATOR, *dict.fromkeys(operators)] if operators else lines


def _nobody(audience: Sequence[str]) -> str:
    if not audience:
        return "Nobody would get it: the list has no active subscriber. Import subscribers."
    tags = ", ".join(f"“{tag}”" for tag in audience[:5]) + (" …" if audience[5:] else "")
    has = f"the tag {tags}" if len(audience) == 1 else f"one of the tags {tags}"
    return (
        f"Nobody would get it: no active subscriber has {has}. Correct Audience, or empty it to "
        "send to everybody."
    )


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]
