from __future__ import annotations

import errno
import traceback
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import ConfigurationError
from app.settings import Settings, load_settings
from tests.support.service import SECRET, settings_for
from tests.support.wide import examples


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
        ("TIMEZONE=Europe/Berlijn", "Europe/Berlin"),
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


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("PORT=8001\nORG_NAME=Grüße\n".encode("latin-1"), "line 2: this is not UTF-8 text"),
        ("PORT=8001\n".encode("utf-16"), "line 1: this is not UTF-8 text"),
        ("PORT=8001\n".encode("utf-16-le"), "is not UTF-8 text"),
        (None, "is not a file"),
    ],
)
def test_a_file_that_is_no_text_stops_the_start_in_a_line(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    file = tmp_path / ".env"
    file.mkdir() if content is None else file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=words) as error:
        load_settings(file)
    assert "\n" not in error.value.detail


@pytest.mark.parametrize("asked", ["exists", "read_bytes"])
def test_a_file_that_may_not_be_read_stops_the_start_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    """The folder may be closed, or the file. (Root, as whom tests may run, reads everything.)"""

    def refuse(_: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / ".env").write_text("PORT=8001\n")
    monkeypatch.setattr(Path, asked, refuse)
    with pytest.raises(ConfigurationError, match=r"can't be read \(Permission denied\): allow it"):
        load_settings(tmp_path / ".env")


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfPORT=8001\nHOST=::1\n")
    read = load_settings(tmp_path / ".env")
    assert (read.port, read.host) == (8001, "::1")


def test_foreign_keys_in_the_file_are_left_alone(tmp_path: Path) -> None:
    from_file(tmp_path, "POSTGRES_PASSWORD=x\nAWS_MAX_ATTEMPTS=4\nCOMPOSE_PROFILES=y\n")


def test_no_secret_shows_in_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as error:
        from_file(tmp_path, "UNSUBSCRIBE_SECRET=too-short-secret")
    assert "too-short-secret" not in error.value.detail


SECRETS = [
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
]


@settings(max_examples=examples(50))
@given(
    name=st.sampled_from([*SECRETS, "aws_access_key_id", "supabase_url"]),
    text=st.text() | st.text(st.sampled_from("@:/?#[]%\u2100\n\ud800")),
    as_url=st.booleans(),
)
def test_no_part_of_a_secret_shows_in_an_error(name: str, text: str, as_url: bool) -> None:
    secret = f"Qx7Zk9{text}Qx7Zk9"
    given_value = f"https://user:{secret}@example.com" if as_url else secret
    try:
        told = [repr(load_settings(None, **{name: given_value}))]
    except ConfigurationError as error:
        told = [error.detail, "".join(traceback.format_exception(error))]
    if name != "aws_access_key_id":  # a name, not a secret; told only when it is valid
        assert not any("Qx7Zk9" in part for part in told)


@pytest.mark.parametrize("key", ["sb_secret_…", "two words", "two\nlines", "ü"])
@pytest.mark.parametrize(
    "name", ["SUPABASE_SERVICE_ROLE_KEY", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"]
)
def test_a_key_that_no_header_can_carry_is_refused(name: str, key: str) -> None:
    """Sending it would fail with an error that quotes it."""
    with pytest.raises(ConfigurationError, match=name):
        load_settings(None, **{name.lower(): key})


def test_blanks_around_a_key_are_no_part_of_it() -> None:
    key = load_settings(None, aws_secret_access_key=" abc\n").aws_secret_access_key
    assert key is not None
    assert key.get_secret_value() == "abc"


def test_the_two_secrets_must_differ() -> None:
    with pytest.raises(ConfigurationError, match="must differ"):
        settings_for("postgresql://x", None, UNSUBSCRIBE_SECRET=SECRET)


def test_two_of_notions_properties_cant_have_one_name() -> None:
    """What is the program's would be written over what people write."""
    with pytest.raises(ConfigurationError, match=r"NOTION_PROPERTY_STATUS and .*_DELIVERY must"):
        load_settings(None, notion_property_delivery="Status")


def test_defaults_of_the_contract() -> None:
    read = load_settings(None)
    assert (read.host, read.port) == ("127.0.0.1", 8000)
    assert read.app_base_url == "http://localhost:8000"
    assert (read.batch_size, read.ses_send_mode) == (50, "auto")
    assert read.lease_seconds == 60
    assert read.unsubscribe_confirm
    assert read.uses_embedded_database
    assert read.missing_to_send()


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
