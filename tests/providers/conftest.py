"""The stand-ins for SendGrid and Mailgun, and what sends to them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from app.adapters.providers.mailgun import MailgunSender
from app.adapters.providers.sendgrid import SendGridSender
from app.sandbox.mailgun.standin import MailgunStandIn
from app.sandbox.providers.server import ProvidersServer
from app.sandbox.sendgrid.standin import SendGridStandIn


@pytest.fixture(scope="session")
def providers_server() -> Iterator[ProvidersServer]:
    with ProvidersServer() as server:
        yield server


@pytest.fixture
def sendgrid(providers_server: ProvidersServer) -> SendGridStandIn:
    """Fresh: nothing sent, no fault."""
    providers_server.sendgrid.reset()
    return providers_server.sendgrid


@pytest.fixture
def mailgun(providers_server: ProvidersServer) -> MailgunStandIn:
    providers_server.mailgun.reset()
    return providers_server.mailgun


def sendgrid_sender(url: str, key: str, **more: float) -> SendGridSender:
    return SendGridSender(SecretStr(key), url, max_connections=4, **more)


def mailgun_sender(url: str, key: str, domain: str, **more: float) -> MailgunSender:
    return MailgunSender(SecretStr(key), domain, url, max_connections=4, **more)


@pytest.fixture
def by_sendgrid(
    providers_server: ProvidersServer, sendgrid: SendGridStandIn
) -> Iterator[SendGridSender]:
    sender = sendgrid_sender(providers_server.url, sendgrid.config.api_key)
    yield sender
    sender.close()


@pytest.fixture
def by_mailgun(
    providers_server: ProvidersServer, mailgun: MailgunStandIn
) -> Iterator[MailgunSender]:
    config = mailgun.config
    sender = mailgun_sender(providers_server.url, config.api_key, config.domain)
    yield sender
    sender.close()
