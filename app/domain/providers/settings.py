"""The settings of the fallback providers: a part of the program's (app/settings.py)."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode

from app.domain.networks import is_confidential, is_web_address
from app.domain.providers import PROVIDERS, Provider
from app.domain.providers.signatures import read_sendgrid_key

# What a provider in FALLBACK_PROVIDERS can't do without. Its webhook is among it: without it nobody
# would hear of bounces and complaints, and what is unknown would stay so.
NEEDED: dict[Provider, tuple[str, ...]] = {
    "sendgrid": ("sendgrid_api_key", "sendgrid_webhook_public_key"),
    "mailgun": ("mailgun_api_key", "mailgun_domain", "mailgun_webhook_signing_key"),
}


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip().lower() for part in value.split(",") if part.strip())
    return value


class FallbackSettings(BaseSettings):
    fallback_providers: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    fallback_after_seconds: float = Field(600, ge=0, allow_inf_nan=False)  # 0: only by a person
    fallback_rate_per_sec: float = Field(
        20, gt=0, allow_inf_nan=False
    )  # recipients/s, by each provider, shared

    sendgrid_api_key: SecretStr | None = None
    sendgrid_webhook_public_key: str | None = None  # base64, as SendGrid shows it
    sendgrid_api_url: str = "https://api.sendgrid.com"

    mailgun_api_key: SecretStr | None = None
    mailgun_domain: str | None = Field(None, pattern=r"^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")
    mailgun_webhook_signing_key: SecretStr | None = None
    mailgun_api_url: str = "https://api.mailgun.net"

    @field_validator("fallback_providers")
    @classmethod
    def _known_providers(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in PROVIDERS]:
            raise ValueError(f"{unknown[0]!r} is none; there are {' and '.join(PROVIDERS)}")
        if len(set(names)) != len(names):
            raise ValueError("names a provider twice")
        return names

    @field_validator(
        "sendgrid_api_key", "mailgun_api_key", "mailgun_webhook_signing_key", mode="before"
    )
    @classmethod
    def _provider_key(cls, value: object) -> object:
        """Refuse what no HTTP header may have: the error of the HTTP client would quote the key."""
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if not isinstance(value, str):
            return value
        if not re.fullmatch(r"[!-~]+", key := value.strip()):
            raise ValueError("is no key: it holds a blank or a character that keys don't have")
        return key

    @field_validator("sendgrid_webhook_public_key")
    @classmethod
    def _public_key(cls, value: str | None) -> str | None:
        if value is not None:
            read_sendgrid_key(value)
        return value

    @field_validator("sendgrid_api_url", "mailgun_api_url")
    @classmethod
    def _provider_url(cls, value: str) -> str:
        """The key is sent there. The API's version isn't part of it, but often copied along."""
        if not is_web_address(value):
            raise ValueError("must be an address like https://api.eu.sendgrid.com")
        if not is_confidential(value):
            raise ValueError("must be https://, or a stand-in on this machine")
        return value.rstrip("/").removesuffix("/v3")

    @model_validator(mode="after")
    def _fallbacks_complete(self) -> FallbackSettings:
        for provider, needed in NEEDED.items():
            missing = [name.upper() for name in needed if not getattr(self, name)]
            if provider in self.fallback_providers and missing:
                raise ValueError(
                    f"FALLBACK_PROVIDERS names {provider}, so {' and '.join(missing)} must be set, "
                    "too (docs/fallback.md)"
                )
        return self
