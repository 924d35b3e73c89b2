"""Mailouts compiled, people of it, and what SES's stand-in would make of both."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.content.render import (
    Compiled,
    Content,
    Footer,
    Rendered,
    compile_content,
    template_variables,
)
from app.domain.sending.fence import Fence
from app.domain.ses.mail import Envelope, Mail, mail_tags, make_envelope
from app.sandbox.ses.render import compile_template

FOOTER = Footer("Example Org", "1 Street, Town")
MAILOUT = UUID("7b0e0000-0000-4000-8000-000000000001")
ATTEMPT = UUID("a77e0000-0000-4000-8000-000000000002")
OPEN = Fence(math.inf)
ENVELOPE = make_envelope(
    from_email="news@example.com",
    from_name="Bücher, 50%off%",
    reply_to="reply@example.com",
    configuration_set=None,
)


@dataclass(frozen=True)
class Letter:
    compiled: Compiled
    envelope: Envelope = ENVELOPE

    def to(self, email: str, number: int = 1, name: str | None = "Ann", **fields: Any) -> Mail:
        """The mail of one person. number: of their row."""
        unsubscribe = f"https://example.com/unsubscribe?token=t{number}"
        variables = template_variables(
            email=email,
            name=name,
            fields=fields,
            mailout_id=str(MAILOUT),
            unsubscribe_url=unsubscribe,
        )
        return Mail(
            send_log_id=number,
            to=email,
            values=self.compiled.values(variables),
            unsubscribe_url=unsubscribe,
            tags=mail_tags(MAILOUT, number, ATTEMPT),
        )

    def by_ses(self, mail: Mail) -> Rendered:
        """What SES's stand-in renders of the templates and the person's data, without the mark on
        links that SES takes away."""
        compiled = self.compiled
        subject, html, text = (
            compile_template(template).render(mail.values)
            for template in (compiled.subject, compiled.html, compiled.text)
        )
        return Rendered(subject, html.replace(" ses:no-track", ""), text)


def letter(
    html: str = "<p>Hi {{ name }}</p>",
    subject: str = "News for {{ name }}",
    text: str | None = None,
) -> Letter:
    return Letter(compile_content(Content(subject, html, None, text), FOOTER))
