"""Every setting, with its unit. Built once at the start and passed in; nobody else reads the
environment. `.env.example` documents each for operators; a test compares the two.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from io import StringIO
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import NoDecode, SettingsConfigDict

from app.adapters.database.connection_string import read_connection_string
from app.domain.addresses import InvalidAddress, ascii_address
from app.domain.clients.networks import trusted_proxies
from app.domain.dns.names import dns_servers
from app.domain.given.lines import require_line
from app.domain.networks import LOCAL_HOSTS, is_confidential, is_web_address
from app.domain.notion.properties import PROPERTIES
from app.domain.providers.settings import FallbackSettings
from app.domain.queues.settings import QueueSettings
from app.domain.retention.settings import RetentionSettings
from app.domain.schedules.zones import UnknownZone, find_zone
from app.domain.standing.blocklists import dnsbl_zone
from app.environment.env_file import check, text_of
from app.environment.region_settings import RegionSettings
from app.environment.regions import (
    complete_regions,
    require_signatures_of_two_regions,
    variables_by_region,
)
from app.environment.secrets import shared_secrets
from app.environment.strength import GENERATOR, MIN_SECRET_LENGTH, is_left_to_fill_in, weakness
from app.errors import ConfigurationError


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
SecretList = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]


_OF_SEVERAL_LINES = {"footer_html", "footer_text", "sendgrid_webhook_public_key", "signup_mail"}


class Settings(RegionSettings, FallbackSettings, QueueSettings, RetentionSettings):
    """The environment (and `.env`), validated."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # Windows puts a byte order mark before the first name
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    executor_shared_secret: SecretList = ()
    app_base_url: str = "http://localhost:8000"
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    forwarded_allow_ips: Annotated[str, AfterValidator(trusted_proxies)] = "127.0.0.1"

    database_url: SecretStr | None = None
    supabase_url: str | None = None
    supabase_service_role_key: SecretStr | None = None
    data_dir: Path = Path(".data")

    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    aws_profile: str | None = None

    ses_from_email: str | None = None
    from_name: str | None = None
    reply_to_email: str | None = None
    rate_limit_per_sec: float | None = Field(
        None, gt=0, allow_inf_nan=False
    )  # recipients/s, shared
    batch_size: int = Field(50, ge=1, le=50)  # destinations per SendBulkEmail call
    ses_send_mode: Literal["auto", "bulk", "single"] = "auto"
    test_emails: CommaSeparated = ()
    dry_run_send: bool = False
    timezone: str = "UTC"  # IANA name, of the pages and of schedules that name none

    sns_allowed_topic_arns: CommaSeparated = ()

    unsubscribe_secret: SecretList = ()
    unsubscribe_old_secrets: SecretList = ()
    unsubscribe_confirm: bool = True

    signup: bool = False
    signup_tags: CommaSeparated = ()
    signup_text: str | None = None
    signup_subject: str | None = None
    signup_mail: str | None = None
    signup_button: str = "Confirm"

    org_name: str | None = None
    org_address: str | None = None
    footer_html: str = ""
    footer_text: str = ""
    mail_language: str = Field("en", pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$")
    """Of mails whose HTML doesn't say its own: a tag of BCP 47, such as de-CH."""

    notion_api_token: SecretStr | None = None
    notion_database_id: str | None = None  # of a database or data source, or a link to it
    notion_api_url: str = "https://api.notion.com"
    notion_poll_seconds: float = Field(30, ge=1, allow_inf_nan=False)
    notion_webhook_verification_token: SecretStr | None = None
    notion_property_name: str = "Name"
    notion_property_preheader: str = "Preheader"
    notion_property_status: str = "Status"
    notion_property_audience: str = "Audience"
    notion_property_send_at: str = "Send at"
    notion_property_time_zone: str = "Time zone"
    notion_property_delivery: str = "Delivery"
    notion_property_progress: str = "Progress"
    notion_property_problem: str = "Problem"
    notion_property_recipients: str = "Recipients"
    notion_property_accepted: str = "Accepted"
    notion_property_delivered: str = "Delivered"
    notion_property_bounced: str = "Bounced"
    notion_property_complained: str = "Complained"
    notion_property_unsubscribed: str = "Unsubscribed"
    notion_property_failed: str = "Failed"
    notion_property_unknown: str = "Unknown"
    notion_property_mailout: str = "Mailout"
    notion_property_statement: str = "Statement"

    assets_store: str = Field(
        "database", pattern=r"^(database|s3://[^/\s]+.*|supabase://[^/\s]+.*)$"
    )
    assets_base_url: str | None = None  # None: APP_BASE_URL/assets
    owner_email: str | None = None

    hooks_allow_private: bool = False
    dns_resolvers: CommaSeparated = ()  # `system`, or addresses; none: DNS isn't asked
    dnsbl_zones: CommaSeparated = Field((), repr=False)  # block lists; a name may hold a key
    slack_webhook_url: SecretStr | None = None
    slack_bot_token: SecretStr | None = None
    # An ID, or a name. Not {1,100} in the pattern: a hundred of all letters there are take 9.6 MB.
    slack_channel: str | None = Field(None, pattern=r"^[#\w.-]+$", max_length=100)
    slack_api_url: str = "https://slack.com/api"

    bounce_rate_pause: float = Field(0.05, gt=0, le=1)  # share of mails with an outcome
    complaint_rate_pause: float = Field(0.001, gt=0, le=1)
    provider_pacing: bool = False
    lease_seconds: float = Field(60, ge=2, allow_inf_nan=False)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] | None = None  # None: console on a terminal, else json
    api_docs: bool = True  # /docs, /openapi.json
    metrics_cloudwatch: bool = False
    metrics_port: int | None = Field(None, ge=0, le=65535)  # of a worker, which has no other HTTP

    @field_validator("*", mode="before")
    @classmethod
    def _text(cls, value: object, info: ValidationInfo) -> object:
        """Refuse bytes that aren't UTF-8, which Python shows as half surrogates, and control
        characters: values go into headers, addresses, names and log lines. Around a secret or the
        parts of a list a line break means nothing (and is left out later)."""
        if not isinstance(value, str):
            return value
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("is not UTF-8 text") from None
        name = info.field_name or ""
        annotation = str(cls.model_fields[name].annotation)
        is_trimmed = "SecretStr" in annotation or "tuple" in annotation
        for character in value.strip() if is_trimmed else value:
            if unicodedata.category(character) in {"Cc", "Zl", "Zp"} and not (
                character in "\n\r\t" and name in _OF_SEVERAL_LINES
            ):
                raise ValueError("holds a line break or another control character; take it out")
        return value

    @field_validator(
        "supabase_service_role_key",
        "aws_access_key_id",
        "aws_secret_access_key",
        "aws_session_token",
        "notion_api_token",
        "notion_webhook_verification_token",
        "slack_bot_token",
        mode="before",
    )
    @classmethod
    def _key(cls, value: object) -> object:
        """Refuse characters that no HTTP header may have: the error of the HTTP client would quote
        the key.
        """
        if not isinstance(value, str):
            return value
        if not re.fullmatch(r"[!-~]+", key := value.strip()):
            raise ValueError("is no key: it holds a blank or a character that keys don't have")
        return key

    @field_validator("notion_webhook_verification_token", "mailgun_webhook_signing_key")
    @classmethod
    def _filled_in(cls, value: SecretStr | None) -> SecretStr | None:
        """With what every example shows, anybody could sign events."""
        if value is not None and is_left_to_fill_in(value.get_secret_value()):
            raise ValueError("still holds what an example shows; put your own there, or nothing")
        return value

    @field_validator("executor_shared_secret", "unsubscribe_secret")
    @classmethod
    def _strong(cls, secrets: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        for number, secret in enumerate(secrets, 1):
            if problem := weakness(secret.get_secret_value()):
                which = f" (number {number} of {len(secrets)})" if len(secrets) > 1 else ""
                remedy = f"make one with: {GENERATOR}"
                if info.field_name == "unsubscribe_secret":
                    remedy += (
                        " (one that has signed links of mails already sent belongs into "
                        "UNSUBSCRIBE_OLD_SECRETS, so that they go on working)"
                    )
                raise ValueError(f"{problem}{which}; {remedy}")
        return secrets

    @field_validator("unsubscribe_old_secrets")
    @classmethod
    def _long_enough(cls, secrets: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(secret.get_secret_value()) < MIN_SECRET_LENGTH for secret in secrets):
            raise ValueError(f"each secret must have at least {MIN_SECRET_LENGTH} characters")
        return secrets

    @field_validator(
        "app_base_url",
        "supabase_url",
        "aws_endpoint_url_sqs",
        "notion_api_url",
        "assets_base_url",
        "slack_api_url",
    )
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if not is_web_address(value):
            raise ValueError("must be an address like https://mail.example.com")
        return value.rstrip("/")

    @field_validator("slack_webhook_url", mode="before")
    @classmethod
    def _webhook_url(cls, value: object) -> object:
        """Its path is a secret."""
        if not isinstance(value, str):
            return value
        if not is_web_address(url := value.strip()) or not is_confidential(url):
            raise ValueError("must be an address like https://hooks.slack.com/services/T…/B…/…")
        return url

    @field_validator("slack_api_url")
    @classmethod
    def _safe_url(cls, value: str) -> str:
        """The bot's token is sent there."""
        if not is_confidential(value):
            raise ValueError("must be https://, or a stand-in on this machine")
        return value

    @field_validator("assets_store")
    @classmethod
    def _place(cls, value: str) -> str:
        """Spelt in one way: pictures are remembered with it."""
        return value.rstrip("/")

    @field_validator("database_url")
    @classmethod
    def _postgres_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_connection_string(value.get_secret_value())
        return value

    @field_validator("ses_from_email", "reply_to_email", "owner_email")
    @classmethod
    def _address(cls, value: str | None) -> str | None:
        return None if value is None else _valid_address(value)

    @field_validator("test_emails")
    @classmethod
    def _addresses(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_valid_address(value) for value in values)

    @field_validator("signup_mail")
    @classmethod
    def _paragraphs(cls, value: str | None) -> str | None:
        r"""With `\n` for a line break, as some ways to set a variable leave it."""
        if value is None:
            return None
        text = value.replace("\\n", "\n")
        if [line.strip() for line in text.splitlines()].count("{link}") != 1:
            raise ValueError("needs one line that is {link} alone: the button goes there")
        return text

    @field_validator("signup_subject", "signup_text", "signup_button")
    @classmethod
    def _one_line(cls, value: str | None) -> str | None:
        if value is not None and not value.isprintable():
            raise ValueError("must be one line of plain text")
        return value

    @field_validator("from_name", "signup_subject")
    @classmethod
    def _in_a_head(cls, value: str | None) -> str | None:
        return None if value is None else require_line(value)

    @field_validator("timezone")
    @classmethod
    def _zone(cls, value: str) -> str:
        try:
            return find_zone(value).key
        except UnknownZone as exc:
            raise ValueError(str(exc)) from None

    @field_validator("dnsbl_zones")
    @classmethod
    def _dnsbl_zones(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(dnsbl_zone(value) for value in values))

    @field_validator("dns_resolvers")
    @classmethod
    def _dns_servers(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return dns_servers(values)

    @field_validator("sns_allowed_topic_arns")
    @classmethod
    def _topic_arns(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            if not value.startswith("arn:aws") or value.count(":") != 5:
                raise ValueError("must be topic ARNs like arn:aws:sns:eu-west-1:123456789012:ses")
        return values

    @field_validator("log_level", "log_format", "ses_send_mode", mode="before")
    @classmethod
    def _lower(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        if bool(self.supabase_url) != bool(self.supabase_service_role_key):
            raise ValueError("SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY must be set together")
        if self.assets_store.startswith("supabase://") and not self.supabase_url:
            raise ValueError(
                "ASSETS_STORE is a bucket at Supabase, so SUPABASE_URL and "
                "SUPABASE_SERVICE_ROLE_KEY must be set, too"
            )
        for one, other in shared_secrets(self):
            raise ValueError(
                f"{one} and {other} must differ: whoever is given the secret for the one could use "
                f"the other. Make a new one for one of them, as with: {GENERATOR}"
            )
        if self.unsubscribe_old_secrets and not self.unsubscribe_secret:
            raise ValueError(
                "UNSUBSCRIBE_OLD_SECRETS sign nothing: set UNSUBSCRIBE_SECRET, too; make one with: "
                f"{GENERATOR}"
            )
        if bool(self.slack_bot_token) != bool(self.slack_channel):
            raise ValueError(
                "SLACK_BOT_TOKEN and SLACK_CHANNEL must be set together (an incoming webhook, "
                "SLACK_WEBHOOK_URL, needs neither: docs/slack.md)"
            )
        if self.dnsbl_zones and not self.dns_resolvers:
            raise ValueError("DNSBL_ZONES needs DNS_RESOLVERS: a resolver of your own, as a rule")
        names = Counter(self.notion_names.values())
        if doubled := [
            one.setting.upper() for one in PROPERTIES if names[self.notion_names[one.name]] > 1
        ]:
            raise ValueError(
                f"{' and '.join(doubled)} must differ: each is a property of its own in Notion"
            )
        return self

    @property
    def executor_secrets(self) -> tuple[str, ...]:
        return tuple(secret.get_secret_value() for secret in self.executor_shared_secret)

    @property
    def unsubscribe_secrets(self) -> tuple[str, ...]:
        """The first signs, all verify."""
        secrets = (*self.unsubscribe_secret, *self.unsubscribe_old_secrets)
        return tuple(secret.get_secret_value() for secret in secrets)

    @property
    def uses_embedded_database(self) -> bool:
        return self.database_url is None and self.supabase_url is None

    @property
    def notion_names(self) -> dict[str, str]:
        """What each property of a row is called in the owner's database, by our own name for it."""
        return {each.name: getattr(self, each.setting) for each in PROPERTIES}

    @property
    def assets_url(self) -> str:
        """Public address below which the pictures of mails are found by their names."""
        return self.assets_base_url or f"{self.app_base_url}/assets"

    @property
    def uses_notion(self) -> bool:
        """Whether rows of a Notion database are mailouts here."""
        return bool(self.notion_api_token and self.notion_database_id)

    @property
    def uses_slack(self) -> bool:
        """Whether somebody's Slack is told of mailouts."""
        return bool(self.slack_bot_token or self.slack_webhook_url)

    def missing_to_send(self) -> list[str]:
        """What must be set before a mail may leave, each with why, in plain words."""
        required = {
            "SES_FROM_EMAIL": self.ses_from_email,
            "UNSUBSCRIBE_SECRET": self.unsubscribe_secret,
            "ORG_NAME": self.org_name,
            "ORG_ADDRESS": self.org_address,
            "AWS_REGION": self.ses_regions,
        }
        missing = [name for name, value in required.items() if not value]
        base = urlsplit(self.app_base_url)
        rehearsal = base.hostname in LOCAL_HOSTS and self.uses_sandbox
        if base.scheme != "https" and not rehearsal:
            missing.append("APP_BASE_URL (must be https:// to send)")
        return missing


def _valid_address(value: str) -> str:
    try:
        return ascii_address(value)
    except InvalidAddress as exc:
        raise ValueError(f"is not a usable mail address: {exc}") from exc


def load_settings(env_file: Path | None = Path(".env"), **overrides: Any) -> Settings:
    """Settings from the environment and `env_file`; overrides win (for tests and the demo).

    Raises ConfigurationError naming the variable and the remedy, in one line.
    """
    written: dict[str, str | None] = {}
    if env_file is not None and (text := text_of(env_file)) is not None:
        check(env_file, text, {name.upper() for name in Settings.model_fields})
        written = dotenv_values(stream=StringIO(text))
    try:
        settings = Settings(_env_file=env_file, **overrides)
    except ValidationError as exc:
        # Without the cause, which holds what was given, secrets too.
        raise ConfigurationError(_one_line(exc)) from None
    if settings.ses_endpoint_id:
        require_signatures_of_two_regions()
    home = settings.aws_region or os.environ.get("AWS_DEFAULT_REGION")  # boto3's own older name
    names = [region.name for region in settings.ses_regions] or ([home] if home else [])
    found = variables_by_region(written, os.environ, overrides)
    regions = complete_regions([settings.default_region(name) for name in names], found)
    return settings.model_copy(
        update={"aws_region": home or (names[0] if names else None), "ses_regions": regions}
    )


def _one_line(exc: ValidationError) -> str:
    problems = []
    for error in exc.errors(include_input=False, include_url=False):
        name = str(error["loc"][0]).upper() if error["loc"] else ""
        reason = error["msg"].removeprefix("Value error, ")
        problems.append(f"{name}: {reason}" if name else reason)
    return "; ".join(problems)
