from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.settings import load_settings
from tests.support.service import settings_for


def from_file(tmp_path: Path, text: str) -> object:
    file = tmp_path / ".env"
    file.write_text(text, encoding="utf-8")
    return load_settings(file)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("BATCH_SIZE=51", "BATCH_SIZE"),
        ("BATCH_SIZE=many", "BATCH_SIZE"),
        ("RATE_LIMIT_PER_SEC=0", "RATE_LIMIT_PER_SEC"),
        ("RATE_LIMIT_PER_SEC=nan", "RATE_LIMIT_PER_SEC"),
        ("LEASE_SECONDS=1", "LEASE_SECONDS"),
        ("EXECUTOR_SHARED_SECRET=short", "EXECUTOR_SHARED_SECRET"),
        ("SES_SEND_MODE=fast", "SES_SEND_MODE"),
        ("SES_FROM_EMAIL=nobody", "SES_FROM_EMAIL"),
        ("TEST_EMAILS=a@example.com,b", "TEST_EMAILS"),
        ("APP_BASE_URL=example.com", "APP_BASE_URL"),
        ("DATABASE_URL=mysql://x", "DATABASE_URL"),
        ("SNS_ALLOWED_TOPIC_ARNS=my-topic", "SNS_ALLOWED_TOPIC_ARNS"),
        ("PORT=http", "PORT"),
        ("SUPABASE_URL=https://x.supabase.co", "SUPABASE_SERVICE_ROLE_KEY"),
    ],
)
def test_a_malformed_value_stops_the_start_with_its_name(
    tmp_path: Path, line: str, name: str
) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_file(tmp_path, line)
    assert name in error.value.detail
    assert "\n" not in error.value.detail


@pytest.mark.parametrize(
    ("key", "meant"),
    [("RATE_LIMIT_PER_SECOND", "RATE_LIMIT_PER_SEC"), ("SES_FROM_MAIL", "SES_FROM_EMAIL"),
     ("UNSUBSCRIBE_SECRETS", "UNSUBSCRIBE_SECRET"), ("RATELIMIT", "RATE_LIMIT_PER_SEC")],
)  # fmt: skip
def test_a_misspelt_key_in_the_file_is_refused(tmp_path: Path, key: str, meant: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{key}.*did you mean {meant}"):
        from_file(tmp_path, f"{key}=1")


@pytest.mark.parametrize("line", ["ORG NAME=5", "just some words"])
def test_a_line_that_is_no_setting_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(ConfigurationError, match="line 3: this is not NAME=value"):
        from_file(tmp_path, f"# first\n\n{line}\nPORT=8001\n")


def test_foreign_keys_in_the_file_are_left_alone(tmp_path: Path) -> None:
    from_file(tmp_path, "POSTGRES_PASSWORD=x\nAWS_MAX_ATTEMPTS=4\nCOMPOSE_PROFILES=y\n")


def test_no_secret_shows_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_file(tmp_path, "UNSUBSCRIBE_SECRET=too-short-secret")
    assert "too-short-secret" not in error.value.detail


def test_the_two_secrets_must_differ() -> None:
    with pytest.raises(ConfigurationError, match="must differ"):
        settings_for("postgresql://x", None, UNSUBSCRIBE_SECRET="s" * 40,
                     EXECUTOR_SHARED_SECRET="s" * 40)  # fmt: skip


def test_defaults_of_the_contract() -> None:
    settings = load_settings(None)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.app_base_url == "http://localhost:8000"
    assert (settings.batch_size, settings.ses_send_mode) == (50, "auto")
    assert settings.lease_seconds == 60
    assert settings.unsubscribe_confirm
    assert settings.uses_embedded_database
    assert settings.missing_to_send()


def test_what_is_missing_to_send_is_named() -> None:
    assert settings_for("postgresql://x", "http://127.0.0.1:1").missing_to_send() == []
    real = settings_for("postgresql://x", None)
    assert real.missing_to_send() == ["APP_BASE_URL (must be https:// to send)"]
    https = settings_for("postgresql://x", None, APP_BASE_URL="https://news.example.com")
    assert https.missing_to_send() == []


def test_botos_older_region_variable_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert load_settings(None).aws_region == "eu-west-1"
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert load_settings(None).aws_region == "eu-central-1"
