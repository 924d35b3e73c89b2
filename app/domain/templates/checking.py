"""What is said of a template when it is saved, and how it looks. Pure.

A template is tried as a mailout would use it, with a sample text where it has a content block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.domain.content.masking import pieces
from app.domain.content.render import (
    Content,
    Footer,
    RenderError,
    check_subject,
    compile_content,
    template_variables,
)
from app.domain.reports.findings import Finding
from app.domain.templates.assembly import (
    CONTENT,
    Text,
    assemble,
    expression,
    template_text,
)
from app.errors import TemplateInvalid

SAMPLE_SUBJECT = "The subject of the mailout"
SAMPLE_BODY = """\
## Here stands the text of the mailout

What you write in a mailout fills this place: paragraphs, **bold** and *italic* words, \
[links](https://example.com/), lists and pictures.

- One thing to read
- Another one

> And a line that somebody said.

[A button](https://example.com/){.button}
"""
"""What fills a content block while there is no mailout."""


@dataclass(frozen=True)
class Preview:
    """problems: what this person lacks that the template shows."""

    subject: str
    html: str
    text: str
    problems: list[str]


TemplateRow = Mapping[str, Any]
"""A template's `id`, `name`, `version`, `subject`, `body_html`, `body_markdown`, `layout_id`."""


class _Everything(dict[str, str]):
    """The fields of a person who has all of them: each shows its own name."""

    def __missing__(self, key: str) -> str:
        return key

    def get(self, key: str, default: Any = None) -> Any:
        return dict.get(self, key, key)


def has_content_block(template: TemplateRow) -> bool:
    """Whether it takes a mailout's body. What stands in a comment or a raw block is none."""
    return any(
        piece.kind == "output" and expression(piece) == CONTENT
        for piece in pieces(template_text(template).source)
    )


def check_template(
    template: TemplateRow, others: Sequence[TemplateRow], footer: Footer
) -> list[Finding]:
    """Findings about what would keep a mailout from being sent with it, and what another template
    may still mend: an unknown variable may be what a partial is given, a partial may come later.

    others: what it uses. Raises TemplateInvalid for what can't be right, with `field` of the
    template: `subject`, `body_html`, `body_markdown` or `layout_id`.
    """
    if subject := template["subject"]:
        check_subject(subject)
    sources = _sources(template, others)
    own = template_text(template).label
    column = "body_markdown" if template["body_html"] is None else "body_html"
    problems: list[TemplateInvalid] = []
    try:
        assemble(_sample(template), sources, report=problems.append)
        if not problems:
            compile_content(_content(template, sources), footer)
    except TemplateInvalid as exc:
        field = column if exc.field in (own, "body_html", "body_markdown") else exc.field
        if "has no content block" in exc.detail:
            field = "layout_id"
        elif exc.field.startswith("template “"):
            field = column
        raise TemplateInvalid(exc.detail, field=field, line=exc.line) from exc
    return [Finding("warn", problem.detail) for problem in problems]


def preview_template(
    template: TemplateRow,
    others: Sequence[TemplateRow],
    footer: Footer,
    person: Mapping[str, Any] | None,
    sample: str = SAMPLE_BODY,
) -> Preview:
    """As a mailout with a sample text, Markdown, looks in it. person: `email`, `name`, `fields`;
    None: one who has everything. Raises TemplateInvalid."""
    compiled = compile_content(_content(template, _sources(template, others), sample), footer)
    shown = person or {
        "email": "ann@example.com",
        "name": "Ann Example",
        "fields": _Everything({"": ""}),
    }  # not empty
    variables = template_variables(
        email=shown["email"],
        name=shown["name"],
        fields=shown["fields"],
        mailout_id="00000000-0000-0000-0000-000000000000",
        unsubscribe_url="https://example.com/unsubscribe",
    )
    gaps: set[str] = set()
    try:
        mail = compiled.paste(compiled.values(variables, gaps))
    except RenderError as exc:
        raise TemplateInvalid(f"It fails for them: {exc.detail}", field=exc.field) from exc
    problems = [
        f"{gap} is missing: say what to show instead with `default`." for gap in sorted(gaps)
    ]
    return Preview(mail.subject, mail.html, mail.text, problems)


def _sources(template: TemplateRow, others: Sequence[TemplateRow]) -> dict[str, Any]:
    rest = [other for other in others if other["id"] != template["id"]]
    return {"template_id": template["id"], "templates": [*rest, template]}


def _sample(template: TemplateRow) -> Text | None:
    return Text("body_markdown", SAMPLE_BODY, True) if has_content_block(template) else None


def _content(template: TemplateRow, sources: dict[str, Any], sample: str = SAMPLE_BODY) -> Content:
    return Content(
        subject=template["subject"] or SAMPLE_SUBJECT,
        body_html=None,
        body_markdown=sample if has_content_block(template) else None,
        body_text=None,
        sources=sources,
    )
