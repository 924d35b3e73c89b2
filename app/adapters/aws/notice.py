"""Requests to SES for a mail of our own, in both ways of sending."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from app.domain.ses.mail import Notice

Tags = Sequence[tuple[str, str]]


def single_request(notice: Notice, from_mailbox: str, to: str, tags: Tags) -> dict[str, Any]:
    """Of SendEmail."""
    return {
        "FromEmailAddress": from_mailbox,
        **_reply_to(notice),
        "Destination": {"ToAddresses": [to]},
        "EmailTags": _tags(tags),
        "Content": {
            "Simple": {
                "Subject": {"Data": notice.subject, "Charset": "UTF-8"},
                "Body": {
                    "Html": {"Data": notice.html, "Charset": "UTF-8"},
                    "Text": {"Data": notice.text, "Charset": "UTF-8"},
                },
            }
        },
    }


def bulk_request(notice: Notice, from_mailbox: str, to: str, tags: Tags) -> dict[str, Any]:
    """Of SendBulkEmail with one entry. The texts are values of a template, because a mailout's
    subject may itself look like one."""
    content = {"Subject": "{{subject}}", "Html": "{{html}}", "Text": "{{text}}"}
    data = {"subject": notice.subject, "html": notice.html, "text": notice.text}
    return {
        "FromEmailAddress": from_mailbox,
        **_reply_to(notice),
        "DefaultContent": {"Template": {"TemplateContent": content, "TemplateData": "{}"}},
        "BulkEmailEntries": [
            {
                "Destination": {"ToAddresses": [to]},
                "ReplacementTags": _tags(tags),
                "ReplacementEmailContent": {
                    "ReplacementTemplate": {"ReplacementTemplateData": json.dumps(data)}
                },
            }
        ],
    }


def _reply_to(notice: Notice) -> dict[str, Any]:
    return {"ReplyToAddresses": [notice.reply_to]} if notice.reply_to else {}


def _tags(tags: Tags) -> list[dict[str, str]]:
    return [{"Name": name, "Value": value} for name, value in tags]
