"""Where a finding is put right on the pages."""

from __future__ import annotations

import pytest

from app.api.dashboard.mailouts.findings import _shown
from app.domain.reports.findings import Finding


@pytest.mark.parametrize(
    ("what", "place"),
    [
        ("subject, line 1: unknown variable “nome”; there are: name, mailout.subject.", "Subject"),
        ("body_markdown, line 3: unknown variable “x”; there are: mailout.subject.", "Text"),
        ("body_text: the Liquid is never closed.", "Plain-text version"),
        ("from_email is not a usable address.", "Sender’s address"),
        ("The subject is empty.", "Subject"),
        ("The mailout has no body: give HTML or Markdown.", "Text"),
        ("Nobody would get it: no active subscriber is in the audience.", "Audience"),
        ("OWNER_EMAIL is missing: nobody is told.", None),
    ],
)
def test_a_finding_leads_to_its_field(what: str, place: str | None) -> None:
    shown = _shown("m", Finding("fail", what))
    assert shown.place == place
    assert (shown.link is None) is (place is None)
    assert "body_" not in shown.what
