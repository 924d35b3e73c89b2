"""54: a secret that is missing, could be guessed, or serves two purposes stops the start."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.environment.secrets import shared_secrets
from app.environment.strength import MIN_BITS, bits, weakness
from app.errors import ConfigurationError
from app.settings import Settings, load_settings
from tests.support.service import (
    OTHER_SECRET,
    SECRET,
    UNSUBSCRIBE_SECRET,
    command,
    environment,
    settings_for,
)
from tests.support.wide import examples

ROOT = Path(__file__).parents[3]
NOWHERE = "postgresql://user:a-password-of-its-own@127.0.0.1:1/x"

GUESSED = [
    "a" * 32, "ab" * 20, "x" * 64, "1" * 31 + "2", "aaaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbb",
    "changeme" * 4, "ChangeMe123!" * 3, "P@ssw0rd" * 4, "secret" * 6, "deadbeef" * 4,
    "Xq7$" * 8, "0123456789abcdef" * 2, "abcdefghijklmnopqrstuvwxyz0123456789",
    "zyxwvutsrqponmlkjihgfedcba987654", "13579135791357913579135791357913",
    "01234567890123456789012345678901", "a1b2c3d4e5f6g7h8i9j0k1l2m3n4o5p6",
    "112233445566778899aabbccddeeff00", "aAbBcCdDeEfFgGhHiIjJkKlLmMnNoOpP",
    "qwertyuiopasdfghjklzxcvbnm123456", "1q2w3e4r5t6y7u8i9o0p1q2w3e4r5t6y",
    "your-secret-here-your-secret-here", "<your secret of at least 32 characters>",
    "your-secret-key-at-least-32-characters-long", "replace-me-with-a-long-random-string",
    "please-change-this-value-in-production", "put-your-executor-secret-here-please",
    "super-secret-jwt-token-with-at-least-32-characters-long", "test-secret-" * 3,
    "correct-horse-battery-staple-correct", "secret-secret-secret-secret-secret",
    "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", SECRET[:31],
    # What a shell was to put there, but `.env` is none.
    '$(python3 -c "import secrets; print(secrets.token_urlsafe(32))")',
    "python3 -c import secrets; print(secrets.token_urlsafe(32))",
    "`openssl rand -base64 48 | cat`",
    "$(head -c 32 /dev/urandom | base64 -w0)", "${EXECUTOR_SHARED_SECRET_OF_THE_VAULT}",
    "$EXECUTOR_SHARED_SECRET_OF_THE_VAULT", "%EXECUTOR_SHARED_SECRET_OF_THE_VAULT%",
    "010002020300001011" * 3,
]  # fmt: skip

# What somebody wrote by hand, with words, is theirs to judge.
BY_HAND = [
    "caller-secret-0123456789abcdefghij", "unsubscribe-secret-0123456789abcdef",
    "e2e-shared-secret-0123456789abcdef0123", "my dog barks at seven postmen a week",
    "test-executor-secret-0123456789-abcdef", "Executor_Shared_Secret_for_tests_2026",
    "acceptance-tests-unsubscribe-secret-1", "s3cr3t-of-the-executor-in-integration-tests",
]  # fmt: skip

# How people make them. In each of 100,000 of each kind there were at least 81 bits.
MADE: dict[str, Callable[[], str]] = {
    "secrets.token_urlsafe(32)": lambda: secrets.token_urlsafe(32),
    "openssl rand -hex 32": lambda: secrets.token_hex(32),
    "openssl rand -hex 16": lambda: secrets.token_hex(16),
    "openssl rand -base64 32": lambda: base64.b64encode(secrets.token_bytes(32)).decode(),
    "uuidgen": lambda: str(uuid.uuid4()).upper(),
}

# Every setting that is a secret or holds one, and what it takes beside it.
SPELT = {
    "EXECUTOR_SHARED_SECRET": "{}",
    "UNSUBSCRIBE_SECRET": "{}",
    "UNSUBSCRIBE_OLD_SECRETS": "{}",
    "DATABASE_URL": "postgresql://user:{}@127.0.0.1:1/x",
    "SUPABASE_SERVICE_ROLE_KEY": "{}",
    "AWS_SECRET_ACCESS_KEY": "{}",
    "AWS_SESSION_TOKEN": "{}",
    "NOTION_API_TOKEN": "{}",
    "NOTION_WEBHOOK_VERIFICATION_TOKEN": "{}",
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/{}",
    "SLACK_BOT_TOKEN": "{}",
    "SENDGRID_API_KEY": "{}",
    "MAILGUN_API_KEY": "{}",
    "MAILGUN_WEBHOOK_SIGNING_KEY": "{}",
    "RABBITMQ_URL": "amqps://user:{}@rabbit.example.com/x",
}
BESIDE = {
    "SUPABASE_SERVICE_ROLE_KEY": {"SUPABASE_URL": "https://x.supabase.co"},
    "SLACK_BOT_TOKEN": {"SLACK_CHANNEL": "C0123456789"},
}
SHOWN_TO_US = {
    "EXECUTOR_SHARED_SECRET", "UNSUBSCRIBE_SECRET", "UNSUBSCRIBE_OLD_SECRETS",
    "NOTION_WEBHOOK_VERIFICATION_TOKEN", "MAILGUN_WEBHOOK_SIGNING_KEY",
}  # fmt: skip
OF_ONE_ACCOUNT = {"MAILGUN_API_KEY", "MAILGUN_WEBHOOK_SIGNING_KEY"}


def refused(**changes: str | None) -> str:
    """Why settings are refused: in a line, which tells no secret."""
    with pytest.raises(ConfigurationError) as error:
        settings_for(NOWHERE, None, **changes)
    assert "\n" not in error.value.detail
    for value in changes.values():
        assert not value or value not in error.value.detail
    return error.value.detail


@pytest.mark.parametrize("weak", GUESSED)
def test_54_a_secret_that_can_be_guessed_is_none(weak: str) -> None:
    assert weakness(weak)


@pytest.mark.parametrize("name", ["EXECUTOR_SHARED_SECRET", "UNSUBSCRIBE_SECRET"])
def test_54_a_secret_that_can_be_guessed_is_refused(name: str) -> None:
    """Alone and as one of several, the first or another."""
    for value in ("a" * 32, f"{GUESSED[5]},{OTHER_SECRET}", f"{OTHER_SECRET},{GUESSED[21]}"):
        why = refused(**{name: value})
        assert why.startswith(f"{name}: it can be guessed"), value
        assert "make one with: python3" in why


@pytest.mark.parametrize("written", BY_HAND)
def test_54_words_of_ones_own_are_a_secret(written: str) -> None:
    assert weakness(written) is None


def test_54_a_secret_made_at_random_never_is() -> None:
    for how, make in MADE.items():
        for _ in range(200):
            made = make()
            assert weakness(made) is None, (how, made)


@settings(max_examples=examples(25))
@given(st.text(min_size=1, max_size=40))
@example("010002020300001011")  # interlaced, its copies are no repetition
def test_54_whatever_is_given_is_weighed(text: str) -> None:
    assert 0 <= bits(text) <= 20 * len(text)
    assert bits(text * 3) < bits(text) + MIN_BITS / 2


SHARED = "6Qv0TzM2" + "nBcR8wKj4XyHs9Lf3GdP7aEu1V"


@pytest.mark.parametrize("other", [*SPELT][1:])
def test_54_a_secret_for_two_purposes_is_refused(other: str) -> None:
    why = refused(
        **BESIDE.get(other, {}),
        EXECUTOR_SHARED_SECRET=SHARED,
        **{other: SPELT[other].format(SHARED)},
    )
    assert "EXECUTOR_SHARED_SECRET" in why
    assert other in why
    assert "must differ" in why


def test_54_so_is_each_other_pair_that_opens_something_here() -> None:
    apart = settings_for(
        NOWHERE,
        None,
        SUPABASE_URL="https://x.supabase.co",
        SLACK_CHANNEL="C0123456789",
        **{name: how.format(secrets.token_urlsafe(32)) for name, how in SPELT.items()},
    )
    assert list(shared_secrets(apart)) == []
    for pair in combinations(SPELT, 2):
        update = {
            name.lower(): SecretStr(SPELT[name].format(SHARED))
            if not isinstance(getattr(apart, name.lower()), tuple)
            else (SecretStr(secrets.token_urlsafe(32)), SecretStr(SHARED))
            for name in pair
        }
        found = [set(each) for each in shared_secrets(apart.model_copy(update=update))]
        # Mailgun gave older accounts one for both; others' doors are theirs.
        wrong = set(pair) & SHOWN_TO_US and set(pair) != OF_ONE_ACCOUNT
        assert found == ([set(pair)] if wrong else [])


def test_54_also_when_one_of_them_is_rotated_out() -> None:
    assert "must differ" in refused(
        EXECUTOR_SHARED_SECRET=f"{SECRET},{OTHER_SECRET}",
        UNSUBSCRIBE_SECRET=f"{UNSUBSCRIBE_SECRET},{OTHER_SECRET}",
    )


def test_54_every_secret_setting_is_tried_here() -> None:
    secret = {
        name.upper()
        for name, field in Settings.model_fields.items()
        if "SecretStr" in str(field.annotation)
    }
    assert secret == set(SPELT)


def test_54_examples_of_events_keys_are_no_keys() -> None:
    for name in ("NOTION_WEBHOOK_VERIFICATION_TOKEN", "MAILGUN_WEBHOOK_SIGNING_KEY"):
        for shown in ("secret_XXXXXXXX", "XXXXXXXX", "<token>", "secret_...", "your-api-key"):
            assert refused(**{name: shown}).startswith(f"{name}: still holds")


def test_54_a_weak_secret_of_old_mails_only_verifies() -> None:
    """Who is refused a guessed UNSUBSCRIBE_SECRET keeps the links that it signed."""
    old = GUESSED[0]
    assert "UNSUBSCRIBE_OLD_SECRETS" in refused(UNSUBSCRIBE_SECRET=f"{UNSUBSCRIBE_SECRET},{old}")
    found = settings_for(NOWHERE, None, UNSUBSCRIBE_OLD_SECRETS=old)
    assert found.unsubscribe_secrets == (UNSUBSCRIBE_SECRET, old)
    assert "UNSUBSCRIBE_SECRET" in refused(UNSUBSCRIBE_SECRET=None, UNSUBSCRIBE_OLD_SECRETS=old)


@pytest.mark.few_variants(1)
@pytest.mark.parametrize("arguments", [("serve",), ("doctor",)])
def test_54_the_start_is_refused_in_a_line(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = command(
        tmp_path, environment(NOWHERE, None, EXECUTOR_SHARED_SECRET="changeme" * 4), *arguments
    )
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("amazonsender: EXECUTOR_SHARED_SECRET: it can be guessed")
    assert "changeme" not in line


@pytest.mark.short
def test_54_without_a_secret_nothing_starts(tmp_path: Path) -> None:
    """There is none by default."""
    assert load_settings(None).executor_secrets == load_settings(None).unsubscribe_secrets == ()
    done = command(tmp_path, environment(NOWHERE, None, EXECUTOR_SHARED_SECRET=None), "serve")
    assert done.returncode == 1
    assert "EXECUTOR_SHARED_SECRET is not set" in done.stderr
