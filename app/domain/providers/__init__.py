"""SendGrid and Mailgun, which may send in SES's place (docs/fallback.md). Pure."""

from __future__ import annotations

from typing import Literal

Provider = Literal["sendgrid", "mailgun"]
PROVIDERS: tuple[Provider, ...] = ("sendgrid", "mailgun")
NAMES: dict[Provider, str] = {"sendgrid": "SendGrid", "mailgun": "Mailgun"}
MAX_RECIPIENTS = 1_000
"""In one call, with both. SendGrid: "limited to 1000 personalizations per API request" (Mail Send,
"Errors"); Mailgun: "The maximum number of recipients allowed for batch is 1,000" (user manual,
"Batch Sending")."""
