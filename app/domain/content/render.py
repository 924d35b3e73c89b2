"""A mailout's content, compiled once and filled per recipient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, ResourceLimitError

from app.domain.content import frame, liquid, markup, plaintext
from app.domain.content.holes import CONTROL, Part, RenderError
from app.domain.content.markup import Footer
from app.domain.content.masking import Masks, pieces
from app.domain.css import inlining
from app.domain.limits.at_work import working_on
from app.domain.templates.assembly import Assembly, Text, assemble, repaired
from app.errors import TemplateInvalid

__all__ = [
    "Compiled",
    "Content",
    "Footer",
    "RenderError",
    "Rendered",
    "compile_content",
    "template_variables",
]

MAX_BODY_BYTES = 5_000_000  # UTF-8; SES takes 1 MB a call, so this only bounds our own work


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


def template_variables(
    *,
    email: str,
    name: str | None,
    fields: Mapping[str, Any] | None,
    mailout_id: str,
    unsubscribe_url: str,
) -> dict[str, Any]:
    """The variables of a template (CONTRACT.md 4), but for `mailout.subject`: that is the subject
    as this recipient gets it, and `Compiled.values` adds it.

    An empty name is none, so that `if name` and `default` do what they seem to.
    """
    return {
        "email": email,
        "name": name or None,
        "fields": fields or {},
        "mailout": {"id": mailout_id},
        "unsubscribe_url": unsubscribe_url,
    }


def compile_content(
    content: Content, footer: Footer, *, subject_mark: str = "", language: str = "en"
) -> Compiled:
    """Compile one mailout's subject, HTML and text.

    subject_mark: text before the subject, without braces. language: of a mail that doesn't tell its
    own, a tag of BCP 47.
    Raises TemplateInvalid, naming the field and where possible the line, for whatever would go
    wrong with every recipient.
    """
    body = _body(content)
    working_on(body.label if body else "template")
    assembly = assemble(body, content.sources)
    field = (body or assembly.root.text).label
    check_subject(content.subject)
    for unit in assembly.units:
        _check_rendering(unit.source, field=unit.text.label)
    preheader = content.preheader if (content.preheader or "").strip() else None
    _check(preheader or "", field="preheader", html=True)
    text = content.body_text if (content.body_text or "").strip() else None
    if text:
        _check_size(text, field="body_text")
        text = repaired(text, field="body_text")
    _check(text or "", field="body_text")

    masks = Masks(
        content.subject,
        *assembly.sources,
        preheader or "",
        footer.html,
        footer.org_name,
        footer.org_address,
    )
    fragment = assembly.fragment(masks)
    make = markup.markdown_document if assembly.root.text.markdown else markup.as_document
    document = frame.with_language_and_title(
        make(fragment), masks, language=language, title=_title(content.subject, masks)
    )
    document = frame.with_styles_in_head(document, masks)
    framed = frame.framed(
        document,
        masks,
        preheader=markup.preheader(masks.mask(preheader)) if preheader else "",
        footer=footer,
        unsubscribe_url=masks.add("{{ unsubscribe_url }}"),
    )
    document = framed.document
    styled = inlining.inline_styles(document, masks, framed.ours)
    masked_html = markup.untrack_unsubscribe(styled.html, masks)
    html_source = masks.unmask(masked_html)
    text_source = _derived_text(document, styled, masks) if text is None else text
    text_source = (
        f"{text_source}\n\n{_text_footer(footer)}" if text_source else _text_footer(footer)
    )

    names = (f"h{number}" for number in count())
    subject_template = liquid.parse(content.subject, html=False, field="subject")
    subject = Part(subject_template, names, field="subject", one_line=True)
    html_template = liquid.parse(html_source, html=True, field=field)
    if not assembly.is_single:
        _check_together(html_template, assembly, masks, masked_html)
    html = Part(html_template, names, field=field)
    text_template = _parse_text(text_source, derived=text is None)
    plain = Part(text_template, names, field="body_text")
    return Compiled(
        subject=subject_mark + subject.template,
        html=html.template,
        text=plain.template,
        constant=subject.constant | html.constant | plain.constant,
        parts=(subject, html, plain),
        subject_mark=subject_mark,
        shows_subject=_shows_subject(html_template) or _shows_subject(text_template),
    )


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
            _check_size(body, field=field)
            return Text(field, body, field == "body_markdown")
    return None


def _title(subject: str, masks: Masks) -> str:
    """What `<title>` shows: the subject, masked."""
    has_liquid = any(piece.kind != "static" for piece in pieces(subject))
    return masks.add("{{ mailout.subject }}") if has_liquid else subject


def check_subject(subject: str) -> None:
    """Raise TemplateInvalid for a subject that nobody could be sent."""
    if not subject.strip():
        raise TemplateInvalid("The subject is empty.", field="subject")
    if control := CONTROL.search(subject):
        raise TemplateInvalid(
            f"The subject has a line break or control character (U+{ord(control[0]):04X}); "
            "write it in one line.",
            field="subject",
        )
    if _shows_subject(liquid.parse(subject, html=False, field="subject")):
        raise TemplateInvalid(
            "The subject can't show itself: of mailout, it may use mailout.id only.",
            field="subject",
        )
    _check(subject, field="subject")


def _shows_subject(template: BoundTemplate) -> bool:
    """Whether it may show `mailout.subject`, in whichever way it is written."""
    uses = template.analyze().globals.get("mailout", [])
    return any(use.segments != ["mailout", "id"] for use in uses)


def _check_size(source: str, *, field: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as exc:
        raise TemplateInvalid(f"{field} is not valid Unicode text.", field=field) from exc
    if size > MAX_BODY_BYTES:
        limit = MAX_BODY_BYTES // 1_000_000
        raise TemplateInvalid(f"{field} is larger than {limit} MB; shorten it.", field=field)


def _check(source: str, *, field: str, html: bool = False) -> None:
    """Raise TemplateInvalid for what can be known from the author's own text, line by line."""
    _check_size(source, field=field)
    liquid.parse(source, html=html, field=field)
    _check_rendering(source, field=field, html=html)


def _check_rendering(source: str, *, field: str, html: bool = True) -> None:
    """Raise TemplateInvalid for a text that parses and fails whoever the recipient is."""
    if (
        failure := _common_failure(liquid.parse(source, html=html, field=field, known=None), field)
    ) is None:
        return
    cause = failure.__cause__
    line = liquid.line_of(cause) if isinstance(cause, LiquidError) else None
    detail = f"{liquid.place(field, line)}: {failure.detail}"
    raise TemplateInvalid(detail, field=field, line=line)


def _check_together(template: BoundTemplate, assembly: Assembly, masks: Masks, masked: str) -> None:
    """Raise TemplateInvalid where texts that work by themselves fail in each other, such as a
    partial's loop in a loop. template: of what `masked` is unmasked to."""
    if (failure := _common_failure(template, assembly.root.text.label)) is None:
        return
    token = getattr(failure.__cause__, "token", None)
    index = token.start_index if token else -1 if failure.index is None else failure.index
    field, line = assembly.origin(masks.at(masked, index)) or (assembly.root.text.label, None)
    detail = f"{liquid.place(field, line)}: {failure.detail}"
    raise TemplateInvalid(detail, field=field, line=line)


def _common_failure(template: BoundTemplate, field: str) -> RenderError | None:
    """How rendering fails for everybody.

    A failure that depends on the data concerns some recipients only: the dry run lists them. What
    exceeds a limit, such as an endless loop, counts all the same.
    """
    others = template.analyze().globals.keys() - set(liquid.ROOTS)  # what a partial is given
    failures = [
        _failure(
            template, field, dict.fromkeys(others, None if trial["name"] is None else "1") | trial
        )
        for trial in _TRIALS
    ]
    alike = len({failure and failure.detail for failure in failures}) == 1
    for failure in failures:
        if failure and (alike or isinstance(failure.__cause__, ResourceLimitError)):
            return failure
    return None


class _AnyField(dict[str, str]):
    """The fields of a subscriber who has all of them. "1" passes for text and number."""

    def __missing__(self, key: str) -> str:
        return "1"


_TRIALS = [
    template_variables(
        email="ann@example.com",
        name=name,
        fields=fields,
        mailout_id="00000000-0000-0000-0000-000000000000",
        unsubscribe_url="https://example.com/unsubscribe",
    )
    | {"mailout": {"id": "00000000-0000-0000-0000-000000000000", "subject": "News"}}
    for name, fields in (
        (None, {}),
        ("Ann", _AnyField({"": "1"})),  # not empty, hence truthy
    )
]


def _failure(
    template: BoundTemplate, field: str, variables: Mapping[str, Any]
) -> RenderError | None:
    try:
        Part(template, (f"h{number}" for number in count()), field=field).fill(variables, {})
    except RenderError as exc:
        return exc
    return None


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
