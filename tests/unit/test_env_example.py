"""The settings, `.env.example` and README's table name the same variables and defaults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from dotenv import dotenv_values

from app.errors import ConfigurationError
from app.settings import Settings, load_settings

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = (ROOT / ".env.example").read_text("utf-8")
SETTINGS = {name.upper() for name in Settings.model_fields}

_ASSIGNMENT = re.compile(r"^#?([A-Z][A-Z0-9_]*)=", re.MULTILINE)
_COMPOSE_VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)")
_README_ROW = re.compile(r"^\|((?: `[A-Z][A-Z0-9_]*`,?)+) \|", re.MULTILINE)

# What a newcomer fills in: the lines of the example that are empty or a placeholder.
FILLED_IN = {
    "EXECUTOR_SHARED_SECRET": "callers: 2wJ7#kQ9 vX4mN8 bT6zR1 hL3pD5",
    "UNSUBSCRIBE_SECRET": "links: G8s6 YfK2nWq9 c4VtZ7 uR1xM3aB",
    "ORG_NAME": "Example Ltd",
    "ORG_ADDRESS": "1 Example Street, Exampletown",
    "SES_CONFIGURATION_SET": "newsletter",
    "SNS_ALLOWED_TOPIC_ARNS": "arn:aws:sns:eu-west-1:123456789012:ses",
}


def variables_of_compose() -> set[str]:
    return set(_COMPOSE_VARIABLE.findall((ROOT / "docker-compose.yml").read_text("utf-8")))


def filled_in(text: str) -> str:
    for name, value in FILLED_IN.items():
        assert re.search(rf"^{name}=$", text, re.MULTILINE), f"{name} is not left to fill in"
        text = re.sub(rf"^{name}=$", f"{name}='{value}'", text, flags=re.MULTILINE)
    return text


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


def test_every_setting_is_in_the_example_once_and_nothing_else_is() -> None:
    """What docker-compose.yml reads from `.env` beside the settings stands there too."""
    names = _ASSIGNMENT.findall(EXAMPLE)
    assert len(names) == len(set(names))
    assert set(names) == SETTINGS | variables_of_compose()


def test_every_variable_of_the_example_has_a_comment_above() -> None:
    blocks = [block for block in EXAMPLE.split("\n\n") if _ASSIGNMENT.search(block)]
    assert all(block.startswith("# ") for block in blocks)


def test_the_readme_lists_every_setting_and_nothing_else() -> None:
    rows = _README_ROW.findall((ROOT / "README.md").read_text("utf-8"))
    names = [name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)]
    assert len(names) == len(set(names))
    assert set(names) == SETTINGS


def test_the_example_filled_in_is_enough_to_send(env_file: Path) -> None:
    env_file.write_text(filled_in(EXAMPLE), "utf-8")
    assert load_settings(env_file).missing_to_send() == []


def test_the_example_as_it_is_names_what_is_missing(env_file: Path) -> None:
    """Empty lines count as not set, so a copy starts and says what it needs."""
    env_file.write_text(EXAMPLE, "utf-8")
    settings = load_settings(env_file)
    assert settings.executor_secrets == ()
    assert settings.missing_to_send() == ["UNSUBSCRIBE_SECRET", "ORG_NAME", "ORG_ADDRESS"]


def uncommented(text: str) -> str:
    """But for what excludes another setting."""
    return re.sub(r"^#(?!SES_ENDPOINT_ID)([A-Z][A-Z0-9_]*=)", r"\1", text, flags=re.MULTILINE)


def test_each_shown_value_is_valid(env_file: Path) -> None:
    """Every line can be uncommented as it stands."""
    env_file.write_text(uncommented(filled_in(EXAMPLE)), "utf-8")
    load_settings(env_file)


def test_each_shown_default_is_the_default(env_file: Path) -> None:
    """A commented line shows the default where there is one, an example where there is none."""
    env_file.write_text(uncommented(EXAMPLE), "utf-8")
    shown, defaults = load_settings(env_file), Settings(_env_file=None)
    for name in SETTINGS - set(dotenv_values(ROOT / ".env.example")):
        default = getattr(defaults, name.lower())
        if default not in (None, (), ""):
            assert getattr(shown, name.lower()) == default, name


def test_a_misspelt_name_in_a_copy_stops_the_start(env_file: Path) -> None:
    env_file.write_text(filled_in(EXAMPLE) + "\nRATE_LIMIT_PER_SECOND=5\n", "utf-8")
    with pytest.raises(ConfigurationError, match="RATE_LIMIT_PER_SEC"):
        load_settings(env_file)
