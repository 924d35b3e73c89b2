"""What is done with untrusted content in a process of its own. Each task gives JSON.

settings: without the secrets that rendering doesn't need.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from app.domain.content.render import RenderError, render_subject, template_variables
from app.domain.engagement.document import tracked_links
from app.domain.mailouts import MailoutContent
from app.domain.reports.rehearsal import Rehearsal
from app.domain.sending.batches import Batch, Recipient, Result
from app.errors import TemplateInvalid
from app.services.checks.writing import check_example, check_footer, check_writing
from app.services.rendering.rehearse import rehearse
from app.services.sending.mail_settings import MailSettings
from app.services.sending.prepare import (
    MailBuilder,
    Prepared,
    check_content,
    prepare,
    require_fitting,
    sources_of,
)


def check_draft(settings: MailSettings, content: MailoutContent) -> None:
    """Raises TemplateInvalid for what could not be sent, whether or not a sender is set by now."""
    check_content(settings, content)


def check_text(settings: MailSettings, content: MailoutContent) -> list[dict[str, str]]:
    """The findings about what its author wrote, as rows."""
    found = (*check_writing(content), *check_example(content), *check_footer(settings, content))
    return [finding.to_row() for finding in found]


def check_mailout(
    settings: MailSettings,
    content: MailoutContent,
    mailout_id: UUID,
    test: bool = False,
    begun: bool = False,
) -> None:
    """Raises TemplateInvalid for what could not be sent. begun: as of `compile_content`."""
    prepared = prepare(settings, mailout_id, content, test=test, begun=begun)
    require_fitting(settings, prepared.bulk_head)


def check_start(
    settings: MailSettings, content: MailoutContent, mailout_id: UUID, rows: list[dict[str, Any]]
) -> None:
    """Raises TemplateInvalid for what could not be sent, or fails for each of `rows`: of
    `Store.first_recipients`.

    What fails for some of them only is those recipients' own; the dry run names them.
    """
    prepared = prepare(settings, mailout_id, content)
    require_fitting(settings, prepared.bulk_head)
    failure = _shared_failure(MailBuilder(settings), prepared, rows)
    if failure is not None:
        whom = "the one" if len(rows) == 1 else f"each of the first {len(rows)}"
        raise TemplateInvalid(
            f"{failure.field}: the template fails for {whom} who would get it. {failure.detail}. "
            "Correct it, or their data; a dry run names everybody.",
            field=failure.field,
        )


def _shared_failure(
    builder: MailBuilder, prepared: Prepared, rows: list[dict[str, Any]]
) -> RenderError | None:
    """The first recipient's failure if all fail; None: it works for one of them."""
    first: RenderError | None = None
    for row in rows:
        reader = Recipient(0, row["email"], 1, UUID(row["id"]).bytes, row["name"], row["fields"])
        try:
            builder.values(prepared, reader)
        except RenderError as exc:
            first = first or exc
        else:
            return None
    return first


def fields_used(settings: MailSettings, content: MailoutContent, mailout_id: UUID) -> list[str]:
    """The names of the fields that subject or bodies ask for."""
    parts = prepare(settings, mailout_id, content).compiled.parts
    return sorted({name for part in parts for name in part.fields})


def rehearse_some(
    settings: MailSettings, content: MailoutContent, mailout_id: UUID, rows: list[dict[str, Any]]
) -> dict[str, Any]:
    """The report of a dry run of some subscribers, rows of `Store.audience_slice`."""
    rehearsal = Rehearsal()
    prepared = prepare(settings, mailout_id, content)
    rehearse(rehearsal, MailBuilder(settings), prepared, rows)
    return rehearsal.report()


def render_sample(
    settings: MailSettings, content: MailoutContent, mailout_id: UUID, sample: dict[str, Any] | None
) -> dict[str, str] | None:
    """The mail as a sample subscriber would see it, with an unsubscribe link that changes nobody;
    None when the template fails for them."""
    prepared = prepare(settings, mailout_id, content)
    batch = Batch(UUID(int=0), mailout_id, (), 0.0, is_test=True)
    reader = Recipient(0, "reader@example.com", 1, None, None, {})
    built = MailBuilder(settings).build(prepared, batch, reader, sample)
    return None if isinstance(built, Result) else asdict(prepared.compiled.paste(built.values))


def show_subjects(
    subjects: list[tuple[str, str]], name: str | None, fields: dict[str, Any]
) -> list[str]:
    """Subjects with the ids of their mailouts, as a reader gets them; as they are written, where
    they can't be rendered."""
    return [_subject(subject, mailout_id, name, fields) for subject, mailout_id in subjects]


def _subject(subject: str, mailout_id: str, name: str | None, fields: dict[str, Any]) -> str:
    variables = template_variables(
        email="reader@example.com",
        name=name,
        fields=fields,
        mailout_id=str(UUID(mailout_id)),
        unsubscribe_url="",
    )
    try:
        return render_subject(subject, variables).strip()
    except (TemplateInvalid, RenderError):
        return subject


def links_tracked(settings: MailSettings, content: MailoutContent) -> list[dict[str, str | None]]:
    """The links whose clicks SES tells of, as `tracked_links` gives them."""
    return tracked_links(*sources_of(settings, content))
