"""What people who sign up are told: the owner's words (SIGNUP_…), or ours."""

from __future__ import annotations

import re
from html import escape

from app.domain.addresses import format_mailbox
from app.domain.ses.mail import Notice
from app.domain.timed_tokens import SIGNUP_DAYS
from app.settings import Settings

_TEXT = (
    "Yes, I would like to get emails from {org}. I can unsubscribe at any time, by the link in "
    "each of them."
)
_SUBJECT = "Please confirm: emails from {org}"
_MAIL = (
    "Somebody, we hope you, asked for our emails to this address. If it was you, "
    "please confirm:\n\n"
    "{text}\n\n{link}\n\n"
    f"The link works for {SIGNUP_DAYS} days. If it wasn't you, ignore this email: nothing happens."
)


def consent_text(settings: Settings) -> str:
    """What somebody agrees to; it stands beside the button, and is kept with the consent."""
    return settings.signup_text or _TEXT.replace("{org}", _org(settings))


def write_confirmation(settings: Settings, link: str) -> Notice:
    """The mail that asks whether the mailbox wants to be on the list.

    Nothing that was typed into the form stands in it: anybody may have it sent to anybody.
    """
    mail = (settings.signup_mail or _MAIL).replace("{link}", "\n\n{link}\n\n")
    paragraphs = [
        "\n".join(line.strip() for line in paragraph.splitlines())
        for paragraph in re.split(r"\n\s*\n", mail.strip())
    ]
    subject = settings.signup_subject or _SUBJECT.replace("{org}", _org(settings))
    return Notice(
        subject=subject[:200],
        text=_text(settings, paragraphs, link),
        html=_html(settings, paragraphs, link, subject),
        reply_to=format_mailbox(None, settings.reply_to_email) if settings.reply_to_email else None,
    )


def _org(settings: Settings) -> str:
    return settings.org_name or settings.from_name or "us"


def _text(settings: Settings, paragraphs: list[str], link: str) -> str:
    consent = consent_text(settings)
    blocks = [link if each == "{link}" else each.replace("{text}", consent) for each in paragraphs]
    sender = f"--\n{settings.org_name or ''}\n{settings.org_address or ''}".rstrip()
    return "\n\n".join([*blocks, sender]) + "\n"


_HTML = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{subject}</title>
<style>
@media (prefers-color-scheme: dark) {{
  body, .mail {{ background: #16181d !important; color: #e6e8eb !important; }}
  .footer, .footer a {{ color: #a8adb5 !important; }}
  .plain {{ color: #8ab4f8 !important; }}
}}
</style>
</head>
<body style="margin:0;background:#ffffff">
<div class="mail" style="max-width:600px;margin:0 auto;padding:24px;background:#ffffff;\
color:#1c2024;font-family:Helvetica,Arial,sans-serif;font-size:16px;line-height:1.5">
{body}
<div class="footer" style="margin:32px 0 0;color:#595959;font-size:13px">{sender}</div>
</div>
</body>
</html>
"""
_BUTTON = (
    '<p style="margin:24px 0 8px"><a href="{link}" ses:no-track style="display:inline-block;'
    "padding:12px 24px;background:#1f5fbf;color:#ffffff;font-weight:bold;text-decoration:none;"
    'border-radius:8px">{label}</a></p>\n'
    '<p style="margin:0 0 24px;font-size:13px;line-height:1.4;overflow-wrap:anywhere">'
    '<a class="plain" href="{link}" ses:no-track style="color:#1f5fbf">{link}</a></p>'
)


def _html(settings: Settings, paragraphs: list[str], link: str, subject: str) -> str:
    button = _BUTTON.format(link=escape(link), label=escape(settings.signup_button))
    consent = consent_text(settings)
    body = "\n".join(
        button if each == "{link}" else _paragraph(each, consent) for each in paragraphs
    )
    sender = _lines(f"{settings.org_name or ''}\n{settings.org_address or ''}".strip())
    return _HTML.format(subject=escape(subject), body=body, sender=sender)


def _paragraph(text: str, consent: str) -> str:
    style = "margin:0 0 16px"
    if text == "{text}":  # what one agrees to, as on our pages
        style += ";padding:0 0 0 14px;border-left:3px solid #9aa1a8"
    return f'<p style="{style}">{_lines(text.replace("{text}", consent))}</p>'


def _lines(text: str) -> str:
    return "<br>\n".join(escape(line) for line in text.splitlines())
