"""What is refused, as it would go wrong whoever the recipient is: two of them are tried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import Any

from liquid import BoundTemplate
from liquid.exceptions import LiquidError, ResourceLimitError

from app.domain.content import liquid
from app.domain.content.holes import Part, RenderError
from app.domain.content.masking import Masks
from app.domain.given.lines import require_line
from app.domain.limits.steps import MAX_TAGS
from app.domain.templates.assembly import Assembly
from app.errors import TemplateInvalid

MAX_BODY_BYTES = 5_000_000  # UTF-8; SES takes 1 MB a call, so this only bounds our own work


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


def check_subject(subject: str) -> None:
    """Raise TemplateInvalid for a subject that nobody could be sent."""
    if not subject.strip():
        raise TemplateInvalid("The subject is empty.", field="subject")
    try:
        require_line(subject)
    except ValueError as exc:
        raise TemplateInvalid(f"subject: {exc}.", field="subject") from exc
    if shows_subject(liquid.parse(subject, html=False, field="subject")):
        raise TemplateInvalid(
            "The subject can't show itself: of mailout, it may use mailout.id only.",
            field="subject",
        )
    check(subject, field="subject")


def shows_subject(template: BoundTemplate) -> bool:
    """Whether it may show `mailout.subject`, in whichever way it is written."""
    uses = template.analyze().globals.get("mailout", [])
    return any(use.segments != ["mailout", "id"] for use in uses)


def check_size(source: str, *, field: str) -> None:
    try:
        size = len(source.encode())
    except UnicodeEncodeError as exc:
        raise TemplateInvalid(f"{field} is not valid Unicode text.", field=field) from exc
    if size > MAX_BODY_BYTES:
        limit = MAX_BODY_BYTES // 1_000_000
        raise TemplateInvalid(f"{field} is larger than {limit} MB; shorten it.", field=field)


def check_tags(sources: Iterable[str], *, field: str) -> None:
    """Raise TemplateInvalid for more Liquid than one mail may have. sources: all of it."""
    if sum(source.count("{%") + source.count("{{") for source in sources) > MAX_TAGS:
        problem = f"there are more than {MAX_TAGS:,} Liquid tags and outputs"
        raise TemplateInvalid(f"{field}: {problem}; use a loop, or shorten it.", field=field)


def check(source: str, *, field: str, html: bool = False) -> None:
    """Raise TemplateInvalid for what can be known from the author's own text, line by line."""
    check_size(source, field=field)
    liquid.parse(source, html=html, field=field)
    check_rendering(source, field=field, html=html)


def check_rendering(source: str, *, field: str, html: bool = True) -> None:
    """Raise TemplateInvalid for a text that parses and fails whoever the recipient is."""
    if (
        failure := _common_failure(liquid.parse(source, html=html, field=field, known=None), field)
    ) is None:
        return
    cause = failure.__cause__
    line = liquid.line_of(cause) if isinstance(cause, LiquidError) else None
    detail = f"{liquid.place(field, line)}: {failure.detail}"
    raise TemplateInvalid(detail, field=field, line=line)


def check_together(template: BoundTemplate, assembly: Assembly, masks: Masks, masked: str) -> None:
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
        for trial in TRIALS
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


TRIALS = [
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
