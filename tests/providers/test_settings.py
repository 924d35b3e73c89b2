"""Settings for the fallback providers: what stops the start, and what shows no secret."""

from __future__ import annotations

import pytest

from app.domain.providers.settings import NEEDED
from app.errors import ConfigurationError
from app.sandbox.sendgrid.standin import SendGridStandIn
from tests.support.service import settings_for

PUBLIC = SendGridStandIn().public_key
SENDGRID = {
    "FALLBACK_PROVIDERS": "sendgrid",
    "SENDGRID_API_KEY": "SG.s3cret",
    "SENDGRID_WEBHOOK_PUBLIC_KEY": PUBLIC,
}
MAILGUN = {
    "FALLBACK_PROVIDERS": "mailgun",
    "MAILGUN_API_KEY": "key-s3cret",
    "MAILGUN_DOMAIN": "mg.example.com",
    "MAILGUN_WEBHOOK_SIGNING_KEY": "sign-s3cret",
}
# On another curve, as a SendGrid webhook's never is.
OTHER_CURVE = (
    "MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEqvQ1x0sQF1zGkQ0pOe0m1j5pCj0Bn2m0p0p0p0p0p0p0p0p0p0p0p0p0p0p0"
)


def test_nobody_sends_in_sess_place_unless_it_is_asked_for() -> None:
    settings = settings_for("postgresql://unused", None)
    assert settings.fallback_providers == ()
    assert settings.fallback_after_seconds == 600


def test_both_in_order_and_nothing_shown() -> None:
    given = {**SENDGRID, **MAILGUN, "FALLBACK_PROVIDERS": " Mailgun , sendgrid"}
    settings = settings_for("postgresql://unused", None, **given)
    assert settings.fallback_providers == ("mailgun", "sendgrid")
    assert "s3cret" not in repr(settings)


def test_an_address_with_the_apis_version_is_the_same() -> None:
    given = {"SENDGRID_API_URL": "https://api.eu.sendgrid.com/v3/"}
    settings = settings_for("postgresql://unused", None, **given)
    assert settings.sendgrid_api_url == "https://api.eu.sendgrid.com"


def test_the_key_may_come_with_the_lines_of_pem() -> None:
    pem = f"-----BEGIN PUBLIC KEY-----\n{PUBLIC[:64]}\n{PUBLIC[64:]}\n-----END PUBLIC KEY-----\n"
    settings_for("postgresql://unused", None, SENDGRID_WEBHOOK_PUBLIC_KEY=pem)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"FALLBACK_PROVIDERS": "postmark"}, "FALLBACK_PROVIDERS: 'postmark' is none"),
        ({**SENDGRID, "FALLBACK_PROVIDERS": "sendgrid,sendgrid"}, "twice"),
        ({"FALLBACK_AFTER_SECONDS": "-1"}, "FALLBACK_AFTER_SECONDS"),
        ({"SENDGRID_API_KEY": "SG.s3cret x"}, "SENDGRID_API_KEY: is no key"),
        ({"MAILGUN_API_KEY": "s3cret\u00fc"}, "MAILGUN_API_KEY: is no key"),
        ({"SENDGRID_WEBHOOK_PUBLIC_KEY": "s3cret"}, "SENDGRID_WEBHOOK_PUBLIC_KEY: is no public"),
        ({"SENDGRID_WEBHOOK_PUBLIC_KEY": OTHER_CURVE}, "SENDGRID_WEBHOOK_PUBLIC_KEY: is n"),
        ({"SENDGRID_API_URL": "http://api.sendgrid.com"}, "SENDGRID_API_URL: must be https"),
        ({"MAILGUN_API_URL": "https://u:s3cret@api.mailgun.net"}, "MAILGUN_API_URL: must be an"),
        ({"MAILGUN_DOMAIN": "mg.example.com/messages"}, "MAILGUN_DOMAIN"),
    ],
)
def test_what_cannot_be_meant_stops_the_start_without_showing_it(
    given: dict[str, str], words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as error:
        settings_for("postgresql://unused", None, **given)
    assert "s3cret" not in error.value.detail


@pytest.mark.parametrize("given", [SENDGRID, MAILGUN], ids=["sendgrid", "mailgun"])
def test_a_provider_needs_its_key_and_its_webhook(given: dict[str, str]) -> None:
    """Without the webhook nobody would hear of bounces, and what is unknown would stay so."""
    settings_for("postgresql://unused", None, **given)
    names = [name for name in given if name != "FALLBACK_PROVIDERS"]
    assert names == [n.upper() for needed in NEEDED.values() for n in needed if n.upper() in given]
    for name in names:
        with pytest.raises(ConfigurationError, match=f"so {name} must be set"):
            settings_for("postgresql://unused", None, **{**given, name: None})
