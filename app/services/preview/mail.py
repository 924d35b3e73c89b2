"""One reader's mail, made as it is when it is sent. Runs where untrusted content does no harm
(services/rendering)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

from app.domain.content.render import Rendered
from app.domain.mailouts import MailoutContent
from app.domain.reports.findings import Finding
from app.domain.reports.rehearsal import GMAIL_CLIP_BYTES
from app.domain.sending.batches import Batch, Recipient, Result
from app.domain.ses.wire import wire_headers, wire_message
from app.errors import NotionFileLeft
from app.services.checks.mail import check_mail, links_by_author, too_large_for_gmail
from app.services.checks.writing import check_writing
from app.services.sending.mail_settings import MailSettings
from app.services.sending.prepare import MailBuilder, prepare, require_fitting


def preview_mail(
    settings: MailSettings, content: MailoutContent, mailout_id: UUID, reader: dict[str, Any]
) -> dict[str, Any]:
    """The mail and what is to be said about it. reader: `email`, `name` and `fields` of somebody.

    The link to unsubscribe is a test's: it shows its page and changes nobody. Raises
    TemplateInvalid for what would fail with everybody.
    """
    left: list[Finding] = []
    try:
        prepared = prepare(settings, mailout_id, content)
    except NotionFileLeft as exc:  # to be looked at all the same
        left = [Finding("fail", exc.detail)]
        prepared = prepare(settings, mailout_id, content, begun=True)
    require_fitting(settings, prepared.bulk_head)
    batch = Batch(UUID(int=0), mailout_id, (), 0.0, is_test=True)
    recipient = Recipient(0, reader["email"], 1, None, reader["name"], reader["fields"] or {})
    gaps: set[str] = set()
    built = MailBuilder(settings).build(prepared, batch, recipient, gaps=gaps)
    written = [*left, *check_writing(content)]
    if isinstance(built, Result):
        failure = Finding("fail", built.message or "", "correct the template, or their data.")
        return _answer(Rendered("", "", ""), {}, 0, [failure, *written])
    mail = prepared.compiled.paste(built.values)
    headers = wire_headers(prepared.envelope, built, mail.subject)
    message = wire_message(headers.items(), mail.text, mail.html)
    html_bytes, _ = prepared.compiled.sizes(built.values)
    links = links_by_author(settings, content, mail)
    problems = [
        *_gaps(gaps),
        *written,
        *check_mail(content, mail, links),
        *([too_large_for_gmail(html_bytes)] if html_bytes > GMAIL_CLIP_BYTES else []),
    ]
    return _answer(mail, headers, len(message.as_bytes()), problems) | {
        "from": str(message["From"]),
        "html_size": html_bytes,
        "configuration_set": prepared.envelope.configuration_set,
        "tags": dict(built.tags),
    }


def _answer(
    mail: Rendered, headers: dict[str, str], size: int, problems: Iterable[Finding]
) -> dict[str, Any]:
    return {
        "subject": mail.subject,
        "html": mail.html,
        "text": mail.text,
        "headers": headers,
        "size": size,
        "from": "",
        "html_size": 0,
        "configuration_set": None,
        "tags": {},
        "problems": [each.to_row() for each in problems if each.level != "ok"],
    }


def _gaps(gaps: set[str]) -> Iterator[Finding]:
    for name in sorted(gaps):
        yield Finding(
            "warn",
            f"This reader has no {name}, so the mail shows nothing there.",
            f'give a default: {{{{ {name} | default: "…" }}}}.',
        )
