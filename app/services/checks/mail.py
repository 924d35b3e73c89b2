"""What could go wrong with a mail as its readers get it. What renders imports this, so nothing of
the store or of the service may come along."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.domain.content.links import lead_nowhere, links_of
from app.domain.content.render import Rendered
from app.domain.content.untracked import MAX_TRACKED_LINKS, tracked_links
from app.domain.mailouts import MailoutContent
from app.domain.reports.findings import Finding
from app.domain.reports.rehearsal import GMAIL_CLIP_BYTES
from app.services.sending.mail_settings import MailSettings

SUBJECT_LENGTH = 70
"""Characters: about what a wide screen shows; a phone shows 40."""


def too_large_for_gmail(html_bytes: int) -> Finding:
    return Finding(
        "warn",
        f"The mail has up to {html_bytes / 1000:,.0f} KB of HTML. Gmail cuts "
        f"it at {GMAIL_CLIP_BYTES / 1000:.0f} KB, and the unsubscribe link with it.",
        "shorten it, or link to the rest on the web.",
    )


def links_by_author(settings: MailSettings, content: MailoutContent, mail: Rendered) -> list[str]:
    """All but ours: the one to unsubscribe, and pictures that are kept. Those of a derived text are
    the HTML's again."""
    ours = (f"{settings.app_base_url}/unsubscribe", f"{settings.assets_url}/")
    text = mail.text if content.body_text else ""
    return [link for link in links_of(mail.html, text) if not link.startswith(ours)]


def check_mail(content: MailoutContent, mail: Rendered, links: Sequence[str]) -> Iterator[Finding]:
    """What a reader would notice."""
    length = len(mail.subject.strip())
    if not length:
        yield Finding("warn", "The subject is empty for the sample reader.", "give a default.")
    elif length > SUBJECT_LENGTH:
        yield Finding(
            "warn",
            f"The subject has {length} characters; inboxes cut it at about {SUBJECT_LENGTH}, on "
            "phones at 40.",
            "put what matters first, or shorten it.",
        )
    if not mail.text.partition("---\n")[0].strip():
        yield Finding(
            "warn",
            "The text part has nothing but the footer: the body is all pictures, or empty.",
            "write some text, or give body_text.",
        )
    elif not (content.body_text or "").strip():
        yield Finding("ok", "The text part is derived from the body.")
    if content.tracking and (count := tracked_links(mail.html)) > MAX_TRACKED_LINKS:
        yield Finding(
            "warn",
            f"The mail has {count} links; SES sees clicks on the first {MAX_TRACKED_LINKS} alone.",
            "put those that matter first, or link fewer.",
        )
    for link in lead_nowhere(links):
        yield Finding(
            "warn",
            f"The link “{link[:100]}” leads nowhere from a mail.",
            "write the whole address, with https://.",
        )
