"""From stored content and settings to what is ready to be sent."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from app.domain.addresses import InvalidAddress, ascii_address, canonical_address
from app.domain.content.render import (
    Compiled,
    Content,
    Footer,
    RenderError,
    compile_content,
    template_variables,
)
from app.domain.mailouts import MailoutContent
from app.domain.sending.batches import Batch, Recipient, Result
from app.domain.ses.mail import (
    MAX_CALL_BYTES,
    Envelope,
    Mail,
    bulk_head,
    mail_tags,
    make_envelope,
)
from app.domain.ses.names import require_configuration_set
from app.domain.ses.region import SesRegion
from app.domain.tokens import UnsubscribeTokens
from app.errors import TemplateInvalid
from app.services.sending.mail_settings import MailSettings

TEST_SUBJECT_MARK = "[Test] "
NOBODY = UUID(int=0).bytes


class Build(Protocol):
    """MailBuilder.build, of a batch."""

    def __call__(self, recipient: Recipient, gaps: set[str] | None = None) -> Mail | Result: ...


@dataclass(frozen=True)
class Prepared:
    """A mailout compiled once: the same for every recipient. bulk_head: domain/ses/mail.py.

    turn: held by who makes its mails. Python runs one thread at a time, so more of them make
    no mail sooner, and everybody else would wait for each.
    """

    mailout_id: UUID
    compiled: Compiled
    envelope: Envelope
    bulk_head: bytes
    turn: threading.Lock = dataclasses.field(
        default_factory=threading.Lock, compare=False, repr=False
    )


def prepare(
    settings: MailSettings,
    mailout_id: UUID,
    content: MailoutContent,
    *,
    test: bool = False,
    begun: bool = False,
    region: SesRegion | None = None,
) -> Prepared:
    """Compile content and envelope. CPU work of some milliseconds: call it in a thread.

    region: whose configuration sets hold; None: the home region's.

    begun: as of `compile_content`.

    Raises TemplateInvalid naming the field; nothing about a single recipient is checked here.
    """
    compiled = _compile(settings, content, test=test, begun=begun)
    envelope = _envelope(settings, content, test=test, region=region)
    return Prepared(
        mailout_id=mailout_id,
        compiled=compiled,
        envelope=envelope,
        bulk_head=bulk_head(compiled, envelope),
    )


def check_content(settings: MailSettings, content: MailoutContent) -> None:
    """Raise TemplateInvalid for what could not be sent, whether or not a sender is set by now.

    CPU work of some milliseconds: call it in a thread.
    """
    compiled = _compile(settings, content)
    if content.from_email or settings.ses_from_email:
        require_fitting(settings, bulk_head(compiled, _envelope(settings, content)))


def require_fitting(settings: MailSettings, head: bytes) -> None:
    """Raise TemplateInvalid for content that SES_SEND_MODE can't carry. head: `bulk_head`."""
    if settings.ses_send_mode == "bulk" and len(head) > MAX_CALL_BYTES // 2:
        raise TemplateInvalid(
            f"The content takes {len(head):,} bytes, too much for SES's bulk calls "
            f"({MAX_CALL_BYTES // 2:,}). Shorten it or set SES_SEND_MODE=auto.",
            field="body_html",
        )


def _compile(
    settings: MailSettings, content: MailoutContent, *, test: bool = False, begun: bool = False
) -> Compiled:
    authors, footer = sources_of(settings, content)
    return compile_content(
        authors,
        footer,
        subject_mark=TEST_SUBJECT_MARK if test else "",
        language=settings.mail_language,
        begun=begun,
    )


def sources_of(settings: MailSettings, content: MailoutContent) -> tuple[Content, Footer]:
    """What a mail is compiled from: what its author wrote, and what every mail ends with."""
    return Content(
        subject=content.subject,
        body_html=content.body_html,
        body_markdown=content.body_markdown,
        body_text=content.body_text,
        preheader=content.preheader,
        sources=content.sources,
    ), Footer(
        org_name=settings.org_name or "",
        org_address=settings.org_address or "",
        html=settings.footer_html,
        text=settings.footer_text,
    )


def _envelope(
    settings: MailSettings,
    content: MailoutContent,
    *,
    test: bool = False,
    region: SesRegion | None = None,
) -> Envelope:
    """test: opens and clicks of a test mail say nothing about readers, so they aren't watched."""
    addresses: dict[str, str | None] = {}
    for field, value in (
        ("from_email", content.from_email or settings.ses_from_email),
        ("reply_to", content.reply_to or settings.reply_to_email),
    ):
        try:
            addresses[field] = ascii_address(value) if value else None
        except InvalidAddress as exc:
            raise TemplateInvalid(f"{field} is not a usable address: {exc}", field=field) from exc
    try:
        require_configuration_set(content.configuration_set or "default")
    except ValueError as exc:
        field = "configuration_set"
        raise TemplateInvalid(f"{field} can't be used: {exc}.", field=field) from exc
    try:
        return make_envelope(
            from_email=addresses["from_email"] or "",
            from_name=content.from_name or settings.from_name,
            reply_to=addresses["reply_to"],
            configuration_set=(region or settings.home).configuration_set_for(
                content.configuration_set, tracking=content.tracking and not test
            ),
            tracking=content.tracking and not test,
        )
    except ValueError as exc:
        raise TemplateInvalid(f"from_name can't stand in a mail: {exc}", field="from_name") from exc


class MailBuilder:
    """Makes the mail of one recipient of a prepared mailout."""

    def __init__(self, settings: MailSettings) -> None:
        self._tokens = UnsubscribeTokens(settings.unsubscribe_secrets)
        self._base_url = settings.app_base_url

    def build(
        self,
        prepared: Prepared,
        batch: Batch,
        recipient: Recipient,
        sample: dict[str, Any] | None = None,
        gaps: set[str] | None = None,
    ) -> Mail | Result:
        """The mail, or the reason why SES would refuse it: then the recipient is `failed`.

        sample: whose name and fields a test mail shows. gaps: gets the variables that the mail
        shows and this recipient lacks.
        """
        return self.of(prepared, batch, sample)(recipient, gaps)

    def of(self, prepared: Prepared, batch: Batch, sample: dict[str, Any] | None = None) -> Build:
        """`build` for those of one batch: what is the same for all of them is written once."""
        mailout_id, attempt = str(prepared.mailout_id), str(batch.attempt_id)

        def build(recipient: Recipient, gaps: set[str] | None = None) -> Mail | Result:
            try:
                to = canonical_address(recipient.email)
            except InvalidAddress as exc:
                return _failed(recipient, "invalid_address", f"The address can't be mailed: {exc}.")
            url = self._unsubscribe_url(prepared, recipient, test=batch.is_test)
            variables = _variables(mailout_id, recipient, url, sample)
            try:
                values = prepared.compiled.values(variables, gaps)
            except RenderError as exc:
                reason = f"The template fails for them ({exc.field}): {exc.detail}"
                return _failed(recipient, "render_error", reason)
            tags = mail_tags(mailout_id, recipient.send_log_id, attempt)
            return Mail(recipient.send_log_id, to, values, url, tags)

        return build

    def values(self, prepared: Prepared, recipient: Recipient) -> dict[str, str]:
        """What stands in the holes of their mail. Raises RenderError."""
        url = self._unsubscribe_url(prepared, recipient, test=False)
        return prepared.compiled.values(_variables(str(prepared.mailout_id), recipient, url, None))

    def _unsubscribe_url(self, prepared: Prepared, recipient: Recipient, *, test: bool) -> str:
        token = self._tokens.sign_bytes(
            recipient.subscriber_id or NOBODY, prepared.mailout_id.bytes, test=test
        )
        return f"{self._base_url}/unsubscribe?token={token}"  # nothing in it needs quoting


def _variables(
    mailout_id: str, recipient: Recipient, unsubscribe_url: str, sample: dict[str, Any] | None
) -> dict[str, Any]:
    shown = sample or {}
    return template_variables(
        email=recipient.email,
        name=shown.get("name") or recipient.name,
        fields=shown.get("fields") or recipient.fields,
        mailout_id=mailout_id,
        unsubscribe_url=unsubscribe_url,
    )


def _failed(recipient: Recipient, code: str, message: str) -> Result:
    return Result(recipient.send_log_id, "failed", code=code, message=message)
