"""A mailout's content, compiled once and filled per recipient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from liquid import BoundTemplate

from app.domain.content import frame, liquid, markup, notion_files
from app.domain.content.holes import Part, RenderError
from app.domain.content.markup import Footer
from app.domain.content.masking import Masks, pieces
from app.domain.content.trials import (
    MAX_BODY_BYTES,
    TRIALS,
    check,
    check_rendering,
    check_size,
    check_subject,
    check_tags,
    check_together,
    shows_subject,
    template_variables,
)
from app.domain.content.untracked import untrack
from app.domain.css import inlining
from app.domain.guarding.covering import Covered, covered
from app.domain.guarding.footer import require_footer
from app.domain.guarding.places import guarded, refuse_programs
from app.domain.limits.at_work import working_on
from app.domain.templates.assembly import Assembly, Text, assemble, repaired
from app.domain.textpart import plaintext
from app.errors import TemplateInvalid

__all__ = [
    "MAX_BODY_BYTES",
    "Compiled",
    "Content",
    "Footer",
    "RenderError",
    "Rendered",
    "check_subject",
    "compile_content",
    "template_variables",
]


@dataclass(frozen=True)
class Content:
    """What an author wrote; all of it may contain Liquid. HTML goes before Markdown.

    sources: template, layouts and partials (`MailoutContent.sources`).
    """

    subject: str
    body_html: str | None
    body_markdown: str | None
    body_text: str | None
    preheader: str | None = None
    sources: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Rendered:
    """One recipient's mail, as SES would send it."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Compiled:
    """One mailout's inline templates for SES.

    constant: values of the holes that are the same for everybody; `values` has them too.
    subject_mark: stands before the subject, but not in `mailout.subject`. shows_subject: whether a
    body uses that.
    """

    subject: str
    html: str
    text: str
    constant: Mapping[str, str]
    parts: tuple[Part, Part, Part]
    subject_mark: str = ""
    shows_subject: bool = False

    def values(self, variables: Mapping[str, Any], gaps: set[str] | None = None) -> dict[str, str]:
        """A value for every hole, ready to be pasted.

        variables: what `template_variables` gives. gaps: gets those of this recipient's that were
        to be shown and are missing, such as `fields.city`. Raises RenderError.
        """
        subject, *bodies = self.parts
        values = dict(self.constant)
        subject.fill(variables, values, gaps)
        if self.shows_subject:
            mailout = {**variables["mailout"], "subject": subject.paste(values)}
            variables = {**variables, "mailout": mailout}
        for part in bodies:
            part.fill(variables, values, gaps)
        return values

    def paste(self, values: Mapping[str, str]) -> Rendered:
        """What SES makes of `values`: each hole replaced once, nothing escaped, nothing reread."""
        subject, html, text = (part.paste(values) for part in self.parts)
        return Rendered(self.subject_mark + subject, html, text)

    def sizes(self, values: Mapping[str, str]) -> tuple[int, int]:
        """Bytes of the HTML part, and of subject, HTML and text together, before any encoding for
        the wire."""
        subject, html, text = (part.size(values) for part in self.parts)
        return html, len(self.subject_mark.encode()) + subject + html + text


def compile_content(
    content: Content,
    footer: Footer,
    *,
    subject_mark: str = "",
    language: str = "en",
    begun: bool = False,
) -> Compiled:
    """Compile one mailout's subject, HTML and text.

    subject_mark: text before the subject, without braces. language: of a mail that doesn't tell its
    own, a tag of BCP 47. begun: of a mailout that people are getting already: what was let through
    at its start isn't looked for again.
    Raises TemplateInvalid, naming the field and where possible the line, for whatever would go
    wrong with every recipient.
    """
    body = _body(content)
    working_on(body.label if body else "template")
    assembly = assemble(body, content.sources)
    field = (body or assembly.root.text).label
    check_subject(content.subject)
    for unit in assembly.units:
        check_rendering(unit.source, field=unit.text.label)
    preheader = content.preheader if (content.preheader or "").strip() else None
    check(preheader or "", field="preheader", html=True)
    text = content.body_text if (content.body_text or "").strip() else None
    if text:
        check_size(text, field="body_text")
        text = repaired(text, field="body_text")
    check(text or "", field="body_text")
    written = [
        ("subject", content.subject),
        *((unit.text.label, unit.text.source) for unit in assembly.units),
        ("preheader", preheader or ""),
        ("body_text", text or ""),
        ("FOOTER_HTML", footer.html),
        ("FOOTER_TEXT", footer.text),
    ]
    if not begun:
        check_tags((source for _, source in written), field=field)
        notion_files.refuse_written(written)

    masks = _masks(content, assembly, footer)
    framed = _framed(content, assembly, footer, masks, language)
    document = framed.document
    if not begun:
        _require_footer(framed, masks, field)
    styled = inlining.inline_styles(document, masks, framed.ours)
    masked_html = _guarded(untrack(styled.html, masks), masks, field, begun=begun)
    html_source = masks.unmask(masked_html)
    if not begun:  # a partial may be there many times
        check_tags((html_source,), field=field)
    text_source = _derived_text(document, styled, masks) if text is None else text
    text_source = (
        f"{text_source}\n\n{_text_footer(footer)}" if text_source else _text_footer(footer)
    )

    names = (f"h{number}" for number in count())
    subject_template = liquid.parse(content.subject, html=False, field="subject")
    subject = Part(subject_template, names, field="subject", one_line=True)
    html_template = liquid.parse(html_source, html=True, field=field)
    if not assembly.is_single:
        check_together(html_template, assembly, masks, masked_html)
    html = Part(html_template, names, field=field)
    text_template = _parse_text(text_source, derived=text is None)
    plain = Part(text_template, names, field="body_text")
    compiled = Compiled(
        subject=subject_mark + subject.template,
        html=html.template,
        text=plain.template,
        constant=subject.constant | html.constant | plain.constant,
        parts=(subject, html, plain),
        subject_mark=subject_mark,
        shows_subject=shows_subject(html_template) or shows_subject(text_template),
    )
    if not begun:
        notion_files.refuse_shown(written, field, _mails(compiled))
    return compiled


def tracked_document(content: Content, footer: Footer) -> tuple[str, Masks]:
    """The HTML part, masked, without what styles do to it: for who looks for its links. Of content
    that compiles."""
    assembly = assemble(_body(content), content.sources)
    masks = _masks(content, assembly, footer)
    framed = _framed(content, assembly, footer, masks, "en")
    return untrack(framed.document, masks), masks


def _masks(content: Content, assembly: Assembly, footer: Footer) -> Masks:
    return Masks(
        content.subject,
        *assembly.sources,
        content.preheader or "",
        footer.html,
        footer.org_name,
        footer.org_address,
    )


def _framed(
    content: Content, assembly: Assembly, footer: Footer, masks: Masks, language: str
) -> frame.Framed:
    """The whole document, masked: the author's content with what is ours around it."""
    fragment = assembly.fragment(masks)
    make = markup.markdown_document if assembly.root.text.markdown else markup.as_document
    document = frame.with_language_and_title(
        make(fragment), masks, language=language, title=_title(content.subject, masks)
    )
    preheader = content.preheader or ""
    return frame.framed(
        frame.with_styles_in_head(document, masks),
        masks,
        preheader=markup.preheader(masks.mask(preheader)) if preheader.strip() else "",
        footer=footer,
        unsubscribe_url=masks.add("{{ unsubscribe_url }}"),
    )


def _require_footer(framed: frame.Framed, masks: Masks, field: str) -> None:
    try:
        require_footer(framed.document, masks, framed.link)
    except markup.MarkupError as exc:
        raise TemplateInvalid(f"{field}: {exc}.", field=field) from exc
    cover = covered(framed.document, masks, framed.link)
    if cover and cover.surely:
        problem = f"{cover.by} hides the footer with the link to unsubscribe"
        raise TemplateInvalid(f"{field}: {problem}.", field=field)


def _guarded(masked: str, masks: Masks, field: str, *, begun: bool) -> str:
    try:
        if not begun:
            refuse_programs(masked, masks)
        return guarded(masked, masks)
    except markup.MarkupError as exc:
        raise TemplateInvalid(f"{field}: {exc}.", field=field) from exc


def covered_footer(content: Content, footer: Footer) -> Covered | None:
    """What may hide the footer of content that compiles."""
    assembly = assemble(_body(content), content.sources)
    masks = _masks(content, assembly, footer)
    framed = _framed(content, assembly, footer, masks, "en")
    return covered(framed.document, masks, framed.link)


def _mails(compiled: Compiled) -> Iterator[tuple[str, str]]:
    """What two readers would get, who have nothing and everything. Raises RenderError."""
    for reader in TRIALS:
        mail = compiled.paste(compiled.values(reader))
        yield mail.html, mail.text


def render_subject(subject: str, variables: Mapping[str, Any]) -> str:
    """A subject as one recipient gets it, by itself. Raises TemplateInvalid, RenderError."""
    template = liquid.parse(subject, html=False, field="subject")
    part = Part(template, (f"h{number}" for number in count()), field="subject", one_line=True)
    values = dict(part.constant)
    part.fill(variables, values)
    return part.paste(values)


def _body(content: Content) -> Text | None:
    """The mailout's own body; None: it has none, so its template has."""
    for field in ("body_html", "body_markdown"):
        body: str | None = getattr(content, field)
        if body and body.strip():
            check_size(body, field=field)
            return Text(field, body, field == "body_markdown")
    return None


def _title(subject: str, masks: Masks) -> str:
    """What `<title>` shows: the subject, masked."""
    has_liquid = any(piece.kind != "static" for piece in pieces(subject))
    return masks.add("{{ mailout.subject }}") if has_liquid else subject


def _text_footer(footer: Footer) -> str:
    masks = Masks(footer.text, footer.org_name, footer.org_address)
    return masks.unmask(markup.footer_text(footer, masks.add("{{ unsubscribe_url }}")))


def _derived_text(document: str, styled: inlining.Styled, masks: Masks) -> str:
    try:
        return masks.unmask(plaintext.from_html(document, masks, styled.visibility))
    except RecursionError as exc:
        problem = "The text part can't be derived from elements left open; give body_text."
        raise TemplateInvalid(problem, field="body_text") from exc


def _parse_text(source: str, *, derived: bool) -> BoundTemplate:
    try:
        return liquid.parse(source, html=False, field="body_text")
    except TemplateInvalid as exc:
        if not derived:
            raise
        raise TemplateInvalid(
            "The text part can't be derived from a body whose Liquid blocks cross its elements; "
            "give body_text.",
            field="body_text",
        ) from exc
