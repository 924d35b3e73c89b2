"""What stands between a mailout and its readers, each with a link to the field where it is put
right."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.api.dashboard.access import HOME
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
    (r"\bpreheader\b", "edit#preheader", "Preview text"),
    (r"\bsubject\b", "edit#subject", "Subject"),
    (r"\bbody_text\b|text part", "edit#body_text", "Plain-text version"),
    (r"\bbody_(html|markdown)\b|\bbody\b|\bpicture|\blink", "edit#body", "Text"),
    (r"\btemplate_id\b", "edit#template_id", "Template"),
    (r"\bfrom_email\b", "edit#from_email", "Sender’s address"),
    (r"\bfrom_name\b", "edit#from_name", "Sender’s name"),
    (r"\breply_to\b", "edit#reply_to", "Answers go to"),
    (r"\baudience\b|\bNobody\b|\bsegment\b|\btags?\b", "audience", "Audience"),
    (r"\btested\b|\btest mail\b", "test", "Test"),
)
"""By which words a finding names the place; the first that fits."""

_WORDS = {"body_html": "Text", "body_markdown": "Text", "body_text": "Plain-text version"} | {
    "preheader": "Preview text",
    "from_email": "Sender’s address",
    "from_name": "Sender’s name",
    "reply_to": "Answers go to",
}


async def shown_findings(services: Services, mailout: dict[str, Any]) -> list[Shown]:
    """What must or should be put right, of the mailout alone; what must comes first."""
    found = await services.preflight.of_mailout(UUID(mailout["id"]))
    rank = {"fail": 0, "warn": 1}
    wanted = sorted((f for f in found if f.level in rank), key=lambda f: rank[f.level])
    return [_shown(mailout["id"], finding) for finding in wanted]


def _shown(mailout_id: str, finding: Finding) -> Shown:
    text = f"{finding.what} {finding.remedy}"
    for pattern, page, place in _PLACES:
        if re.search(pattern, text):
            return Shown(
                finding.level,
                _in_words(finding.what),
                _in_words(finding.remedy),
                f"{HOME}/mailouts/{mailout_id}/{page}",
                place,
            )
    return Shown(finding.level, _in_words(finding.what), _in_words(finding.remedy), None, None)


def _in_words(text: str) -> str:
    """With the names that the page has instead of the columns'."""
    return re.sub(r"\b[a-z]+_[a-z]+\b|\bpreheader\b", lambda m: _WORDS.get(m[0], m[0]), text)
