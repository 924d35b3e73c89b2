"""What stands between a mailout and its readers, each with a link to the field where it is put
right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.api.dashboard.access import HOME
from app.api.dashboard.pages import sentence
from app.api.http.deps import Services
from app.domain.reports.findings import Finding


@dataclass(frozen=True)
class Shown:
    """link: where it is put right; None: not in the mailout."""

    level: str
    what: str
    remedy: str
    link: str | None
    place: str | None


_PLACES: tuple[tuple[str, str, str], ...] = (
    (r"\bwords of the example\b", "edit#template_id", "Template"),
    (r"\bpreheader\b", "edit#preheader", "Preview text"),
    (r"(?<!mailout\.)\b[Ss]ubject\b", "edit#subject", "Subject"),
    (r"\bbody_text\b|text part", "edit#body_text", "Plain-text version"),
    (r"\bbody_(html|markdown)\b|\bbody\b|\bpicture|\blink", "edit#body", "Text"),
    (r"\btemplate_id\b", "edit#template_id", "Template"),
    (r"\bfrom_email\b", "edit#from_email", "Sender’s address"),
    (r"\bfrom_name\b", "edit#from_name", "Sender’s name"),
    (r"\breply_to\b", "edit#reply_to", "Answers go to"),
    (r"\baudience\b|\bNobody\b|\bsegment\b|\btags?\b", "audience", "Audience"),
    (r"\btested\b|\btest mail\b", "test", "Test"),
)
"""By which words a finding names the place; the first that fits. A finding about a column begins
with its name."""
_COLUMN = re.compile(r"[a-z_]+(?=\b.?[,: ])")

_WORDS = {"body_html": "Text", "body_markdown": "Text", "body_text": "Plain-text version"} | {
    "preheader": "Preview text",
    "from_email": "Sender’s address",
    "from_name": "Sender’s name",
    "reply_to": "Answers go to",
}


async def shown_findings(services: Services, mailout: dict[str, Any]) -> list[Shown]:
    """What must or should be put right in the mailout; what must comes first. What should be but
    isn't of the mailout itself stands on the account's page, and in the check before sending."""
    found = await services.preflight.of_mailout(UUID(mailout["id"]))
    shown = [_shown(mailout["id"], one) for one in found if one.level != "ok"]
    return sorted(
        (one for one in shown if one.level == "fail" or one.place not in {None, "Test"}),
        key=lambda one: one.level != "fail",
    )


def _shown(mailout_id: str, finding: Finding) -> Shown:
    column = _COLUMN.match(finding.what)
    text = column[0] if column else f"{finding.what} {finding.remedy}"
    for pattern, page, place in _PLACES:
        if re.search(pattern, text):
            return Shown(
                finding.level,
                sentence(page_words(finding.what)),
                page_words(finding.remedy),
                f"{HOME}/mailouts/{mailout_id}/{page}",
                place,
            )
    return Shown(finding.level, page_words(finding.what), page_words(finding.remedy), None, None)


def page_words(text: str) -> str:
    """With the names that the page has instead of the columns'."""
    if text.startswith("The mailout has no body"):
        return "Nothing is written yet."
    return re.sub(r"\b[a-z]+_[a-z]+\b|\bpreheader\b", lambda m: _WORDS.get(m[0], m[0]), text)
