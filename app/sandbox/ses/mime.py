"""The message SES would have sent."""

from __future__ import annotations

from datetime import UTC, datetime
from email.headerregistry import BaseHeader
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime

from app.sandbox.store import Mail


class _WirePolicy(EmailPolicy):
    """Folds what must be encoded at 78 characters and leaves ASCII headers whole.

    The standard policy would turn a long List-Unsubscribe address into encoded words.
    """

    def fold_binary(self, name: str, value: str | BaseHeader) -> bytes:
        if str(value).isascii():
            return super().fold_binary(name, value)
        return SMTP.fold_binary(name, value)


_POLICY = _WirePolicy(linesep="\r\n", max_line_length=998)


def message_id_header(mail: Mail, region: str) -> str:
    host = "email" if region == "us-east-1" else region
    return f"<{mail.message_id}@{host}.amazonses.com>"


def wire_headers(mail: Mail, region: str) -> list[tuple[str, str]]:
    """The headers in their order, without those of the MIME structure."""
    date = format_datetime(datetime.fromtimestamp(mail.time, UTC))
    headers = [("From", mail.call.source), ("To", ", ".join(mail.to)), ("Cc", ", ".join(mail.cc))]
    headers += [("Reply-To", ", ".join(mail.call.reply_to)), ("Subject", mail.subject)]
    headers += [*mail.headers, ("Message-ID", message_id_header(mail, region)), ("Date", date)]
    return [(name, value) for name, value in headers if value]


def build_message(mail: Mail, region: str) -> EmailMessage:
    """The whole message; of a mail that couldn't be rendered only the headers."""
    message = EmailMessage(policy=_POLICY)
    for name, value in wire_headers(mail, region):
        message[name] = value
    text, html = mail.render(mail.call.text), mail.render(mail.call.html)
    if text is not None:
        message.set_content(text, cte="quoted-printable")
    if html is not None:
        add = message.set_content if text is None else message.add_alternative
        add(html, subtype="html", cte="quoted-printable")
    for attachment in mail.call.attachments:
        maintype, _, subtype = attachment.get("ContentType", "").partition("/")
        message.add_attachment(
            attachment["RawContent"],
            maintype=maintype or "application",
            subtype=subtype or "octet-stream",
            filename=attachment["FileName"],
        )
    return message
