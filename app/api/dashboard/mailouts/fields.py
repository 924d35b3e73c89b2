"""What a person writes about a mailout: from the form to columns, and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.domain.writing.drafts import checked
from app.errors import InvalidRequest

Form = dict[str, list[str]]

LINES = ("subject", "preheader", "from_name", "from_email", "reply_to")
LABELS = {
    "subject": "Subject",
    "preheader": "Preview text",
    "body": "Text",
    "format": "Written in",
    "body_text": "Plain-text version",
    "template_id": "Template",
    "from_name": "Sender’s name",
    "from_email": "Sender’s address",
    "reply_to": "Answers go to",
    "tracking": "Opens and clicks",
    "region": "Region",
}
"""The fields of the form, in its order, as people call them."""
FORMATS = {"markdown": "Markdown", "html": "HTML"}
FIELD_OF = {"body_html": "body", "body_markdown": "body"}
"""Where a column's field on the page has another name."""


def one(form: Form, name: str) -> str:
    return form.get(name, [""])[0]


def version_of(form: Form) -> int:
    """Of the mailout as the page showed it. Raises InvalidRequest."""
    try:
        return int(one(form, "version"))
    except ValueError as exc:
        raise InvalidRequest("The form is damaged: reload the page.") from exc


@dataclass(frozen=True)
class Written:
    """A mailout as the form has it: every field a text, and an empty one where nothing stands."""

    fields: dict[str, str]

    @classmethod
    def of_form(cls, form: Form, prefix: str = "") -> Written:
        """Browsers send line breaks as CR LF; texts are kept with LF."""
        found = {name: one(form, prefix + name).replace("\r\n", "\n") for name in LABELS}
        found |= {name: found[name].strip() for name in LINES}
        if found["format"] not in FORMATS:
            found["format"] = "markdown"
        return cls(found | {"tracking": "yes" if found["tracking"] else ""})

    @classmethod
    def of_mailout(cls, mailout: dict[str, Any]) -> Written:
        """mailout: of `Store.show_mailout`."""
        html = bool(mailout["body_html"])
        found = {name: str(mailout.get(name) or "") for name in LABELS}
        return cls(
            found
            | {
                "format": "html" if html else "markdown",
                "body": mailout["body_html"] or mailout["body_markdown"] or "",
                "tracking": "yes" if mailout["tracking"] else "",
            }
        )

    def __getitem__(self, name: str) -> str:
        return self.fields[name]

    def columns(self) -> dict[str, Any]:
        """As the mailout's columns. Of a template's and a body's text nothing is changed."""
        body, html = self["body"] or None, self["format"] == "html"
        return {
            **{name: self[name] or None for name in (*LINES, "body_text", "template_id", "region")},
            "body_html": body if html else None,
            "body_markdown": None if html else body,
            "tracking": bool(self["tracking"]),
        }

    def problems(self) -> dict[str, str]:
        """What can't be stored, by the field on the page, in sentences."""
        found = {}
        for name, value in self.columns().items():
            try:
                checked({name: value})
            except InvalidRequest as refusal:
                words = refusal.detail.removeprefix(f"{name}: ").removeprefix("it is ")
                found[FIELD_OF.get(name, name)] = f"{words[:1].upper()}{words[1:]}."
        return found

    def apart(self, other: Written) -> list[str]:
        """The fields in which two differ."""
        return [name for name in LABELS if self[name] != other[name]]
