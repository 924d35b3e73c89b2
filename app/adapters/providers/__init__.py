"""SendGrid and Mailgun over HTTP, as FALLBACK_PROVIDERS names them."""

from __future__ import annotations

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.settings import Settings


def fallback_senders(
    settings: Settings, *, max_connections: int
) -> list[SendGridSender | MailgunSender]:
    """In the order in which they are asked; none where nobody is to send in SES's place. To be made
    once for a process, and closed at its end."""
    return [_sender(name, settings, max_connections) for name in settings.fallback_providers]


def _sender(name: str, settings: Settings, max_connections: int) -> SendGridSender | MailgunSender:
    """The settings see to it that what a provider needs is there."""
    if name == "sendgrid":
        assert settings.sendgrid_api_key is not None
        return SendGridSender(
            settings.sendgrid_api_key,
            settings.sendgrid_api_url,
            max_connections=max_connections,
        )
    assert settings.mailgun_api_key is not None
    assert settings.mailgun_domain is not None
    return MailgunSender(
        settings.mailgun_api_key,
        settings.mailgun_domain,
        settings.mailgun_api_url,
        max_connections=max_connections,
    )
