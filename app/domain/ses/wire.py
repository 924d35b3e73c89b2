"""A mail as it is on its way, without what SES adds of its own (Date, Message-ID, DKIM). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from email.headerregistry import BaseHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy

from app.domain.ses.mail import Envelope, Mail


class _WirePolicy(EmailPolicy):
    """Folds what must be encoded at 78 characters and leaves ASCII headers whole.

    The standard policy would turn a long List-Unsubscribe address into encoded words.
    """

    def fold_binary(self, name: str, value: str | BaseHeader) -> bytes:
        if str(value).isascii():
            return super().fold_binary(name, value)
        return SMTP.fold_binary(name, value)


_POLICY = _WirePolicy(linesep="\r\n", max_line_length=998)


def wire_headers(envelope: Envelope, mail: Mail, subject: str) -> dict[str, str]:
    """The headers of one recipient's mail that are ours, in their order and as people read them."""
    headers = {
        "From": envelope.from_mailbox,
        "To": mail.to,
        "Reply-To": ", ".join(envelope.reply_to),
        "Subject": subject,
        "List-Id": envelope.list_id,
        **dict(mail.list_unsubscribe),
    }
    return {name: value for name, value in headers.items() if value}


def wire_message(
    headers: Iterable[tuple[str, str]], text: str | None, html: str | None
) -> EmailMessage:
    """The whole message; without bodies only the headers."""
    message = EmailMessage(policy=_POLICY)
    for name, value in headers:
        message[name] = value
    if text is not None:
        message.set_content(text, cte="quoted-printable")
    if html is not None:
        add = message.set_content if text is None else message.add_alternative
        add(html, subtype="html", cte="quoted-printable")
    return message
