"""The message SES would have sent."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

from app.domain.ses.wire import wire_message
from app.sandbox.store import Mail


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


def build_message(mail: Mail, region: str, html: str | None) -> EmailMessage:
    """The whole message; of a mail that couldn't be rendered only the headers.

    html: its HTML part as it is delivered (tracking/rewriting.py).
    """
    text = mail.render(mail.call.text)
    message = wire_message(wire_headers(mail, region), text, html)
    for attachment in mail.call.attachments:
        maintype, _, subtype = attachment.get("ContentType", "").partition("/")
        message.add_attachment(
            attachment["RawContent"],
            maintype=maintype or "application",
            subtype=subtype or "octet-stream",
            filename=attachment["FileName"],
        )
    return message
