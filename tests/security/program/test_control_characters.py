"""28: one rule for every setting, whatever it is for: no line break, no control character."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.errors import ConfigurationError
from app.settings import Settings, load_settings

# Values that each setting takes, the character in their middle or at their end.
SPELLINGS = (
    "https://mail.example.com/a{}Bcc: b", "https://mail.example.com{}", "a{}b@example.com",
    "a{}b", "ab{}c", "postgresql://u:p{}w@db.example.com/x", "amqps://u:p{}w@rabbit.example.com/x",
    "arn:aws:sns:eu-west-1:123456789012:a{}b", "https://hooks.slack.com/services/T/B{}/C",
    "EnCWTevqr2rNnDzM{}QbkO4wgX1UTl0hJ", "Hello\n{{link}}\n{}",
)  # fmt: skip
TEXTS = {"footer_html", "footer_text", "signup_mail"}


def taken(value: str) -> set[str]:
    """Which settings take it."""
    with pytest.raises(ValidationError) as error:
        Settings.model_validate(dict.fromkeys(Settings.model_fields, value))
    assert value not in str(error.value)
    return set(Settings.model_fields) - {str(each["loc"][0]) for each in error.value.errors()}


@pytest.mark.few_variants(2)
@pytest.mark.parametrize("character", ["\r\nX: y", "\x0bx", "\x1b[1m", "\x85x", "\u2028x", "\0x"])
def test_28_no_setting_takes_a_control_character(character: str) -> None:
    for spelling in SPELLINGS:
        found = taken(spelling.format(character))
        assert found <= (TEXTS if character == "\r\nX: y" else set()), spelling


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r", "\x0b", "\u2028"])
def test_28_links_begin_with_an_address_alone(end: str) -> None:
    for name in ("app_base_url", "assets_base_url", "org_name", "from_name", "org_address"):
        with pytest.raises(ConfigurationError, match=name.upper()):
            load_settings(None, **{name: f"https://mail.example.com{end}"})


def test_28_texts_of_several_lines_have_them() -> None:
    found = load_settings(None, footer_text="a\r\n\tb", signup_mail="Hello\n{link}\nBye")
    assert found.footer_text == "a\r\n\tb"
