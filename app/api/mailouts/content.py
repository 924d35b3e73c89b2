"""What a body may say of a mail."""

from __future__ import annotations

from app.domain.given.bodies import Id, StrictBody


class Content(StrictBody):
    """What is there takes the place of what is stored; null clears it. docs/mailouts.md says what
    each may be."""

    subject: str | None = None
    preheader: str | None = None
    body_html: str | None = None
    body_markdown: str | None = None
    body_text: str | None = None
    template_id: Id | None = None
    from_name: str | None = None
    from_email: str | None = None
    reply_to: str | None = None
    configuration_set: str | None = None
    tracking: bool | None = None
