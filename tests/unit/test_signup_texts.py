"""What people who sign up are told, in the owner's words or ours."""

from __future__ import annotations

from html import unescape
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from app.api import pages
from app.api.signup.subscribe import TRAP
from app.errors import ConfigurationError
from app.services.signup.texts import consent_text, write_confirmation
from tests.support.service import settings_for

DOCS = Path(__file__).parents[2] / "docs" / "signup.md"
LINK = "https://mail.example.com/confirm?token=t"


def test_the_form_in_the_documentation_is_the_one_that_works() -> None:
    templates = Environment(
        loader=FileSystemLoader(Path(pages.__file__).parent / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    fields = templates.get_template("signup/fields.html").module.fields  # type: ignore[attr-defined]
    text = consent_text(settings_for("postgresql://unused", None))
    form = str(fields("https://mail.example.com/subscribe", text, ["news"], TRAP)).strip()
    assert unescape(form) in DOCS.read_text("utf-8")


def test_the_owners_words_and_paragraphs() -> None:
    settings = settings_for(
        "postgresql://unused",
        None,
        SIGNUP_TEXT="I <agree>.",
        SIGNUP_SUBJECT="Please & now",
        SIGNUP_MAIL="One {text}\ntwo\n \n{text}\n{link}\nBye {x}",
        SIGNUP_BUTTON="Go <on>",
    )
    notice = write_confirmation(settings, LINK)
    assert notice.text == (
        "One I <agree>.\ntwo\n\nI <agree>.\n\n" + LINK + "\n\nBye {x}\n\n"
        "--\nExample Org\n1 Street, Town\n"
    )
    assert "One I &lt;agree&gt;.<br>\ntwo</p>" in notice.html
    assert ">Go &lt;on&gt;</a>" in notice.html
    assert "<title>Please &amp; now</title>" in notice.html


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SIGNUP_MAIL", "Press this.", "{link}"),
        ("SIGNUP_MAIL", "Press {link} now.", "{link}"),
        ("SIGNUP_MAIL", r"{link}\n{link}", "{link}"),
        ("SIGNUP_SUBJECT", "one\ntwo", "a line break"),
        ("SIGNUP_TEXT", "one\ntwo", "a line break"),
    ],
)
def test_words_that_cant_be_used_stop_the_start(name: str, value: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: .*{words}"):
        settings_for("postgresql://unused", None, **{name: value})
