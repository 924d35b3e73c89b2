"""What of the settings a mail is made with."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Protocol

from app.domain.ses.region import SesRegion


class MailSettings(Protocol):
    """What app/settings.py says of each. What renders imports this instead, since to read settings
    takes a library that is a quarter of all that it would import."""

    @property
    def app_base_url(self) -> str: ...
    @property
    def assets_url(self) -> str: ...
    @property
    def footer_html(self) -> str: ...
    @property
    def footer_text(self) -> str: ...
    @property
    def from_name(self) -> str | None: ...
    @property
    def home(self) -> SesRegion: ...
    @property
    def mail_language(self) -> str: ...
    @property
    def org_address(self) -> str | None: ...
    @property
    def org_name(self) -> str | None: ...
    @property
    def reply_to_email(self) -> str | None: ...
    @property
    def ses_from_email(self) -> str | None: ...
    @property
    def ses_send_mode(self) -> str: ...
    @property
    def unsubscribe_secrets(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class SettingsToRender:
    """None of them is secret, but for the one that signs the links to unsubscribe."""

    app_base_url: str
    assets_url: str
    footer_html: str
    footer_text: str
    from_name: str | None
    home: SesRegion
    mail_language: str
    org_address: str | None
    org_name: str | None
    reply_to_email: str | None
    ses_from_email: str | None
    ses_send_mode: str
    unsubscribe_secrets: tuple[str, ...]


def for_rendering(settings: MailSettings) -> SettingsToRender:
    """What the process that renders is given."""
    taken = {field.name: getattr(settings, field.name) for field in fields(SettingsToRender)}
    taken["unsubscribe_secrets"] = settings.unsubscribe_secrets[:1]  # the others only verify
    return SettingsToRender(**taken)
