"""What is done with a template's text in a process of its own (rendering/renderer.py)."""

from __future__ import annotations

from collections.abc import Sequence

from app.domain.content.render import Content, Footer
from app.domain.reports.findings import Finding
from app.domain.templates.checking import TemplateRow, check_template
from app.services.checks.writing import check_writing


def check(template: TemplateRow, others: Sequence[TemplateRow], footer: Footer) -> list[Finding]:
    """All that speaks against it: what keeps a mailout from being sent, and what readers would see
    otherwise than it was meant. Raises TemplateInvalid."""
    source = {"template_id": template["id"], "templates": [template]}
    written = Content(template["subject"] or "", None, None, None, sources=source)
    return [*check_template(template, others, footer), *check_writing(written)]
