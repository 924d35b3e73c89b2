"""Templates to begin with: files of this package, made for real newsletters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Starter:
    """key: of its files. name, subject: proposed. sample: Markdown, a text as it is made for."""

    key: str
    name: str
    description: str
    subject: str
    body_html: str
    sample: str

    def to_row(self) -> dict[str, str]:
        return asdict(self)


INVENTED = (
    "The Harbour Digest",
    "The Harbour Workshop",
    "the Harbour Workshop",
    "Maria Lindqvist",
    "A letter now and then, from the pier",
    "what is worth your time, once a week",
    "https://example.com/subscribe",
    "https://example.com/news",
)
"""What the starters say and nobody else would: an owner puts words of their own there."""


def invented(source: str) -> list[str]:
    """What of a starter still stands in a template."""
    return [words for words in INVENTED if words in source]


_ABOUT = {
    "letter": (
        "Letter",
        "From one person to another: a greeting, one column of text, a signature.",
        "The ice is out",
    ),
    "digest": (
        "Digest",
        "Several stories: one that leads, others below it, a list of short ones.",
        "Mornings without meetings, maps and a punctual ferry",
    ),
    "announcement": (
        "Announcement",
        "One piece of news: the subject as a headline in colour, a text, a button.",
        "The library is open",
    ),
}


@cache
def starters() -> tuple[Starter, ...]:
    folder = files("app.services.templates") / "html"
    return tuple(
        Starter(
            key, *about, *((folder / f"{key}.{end}").read_text("utf-8") for end in ("html", "md"))
        )
        for key, about in _ABOUT.items()
    )


def find_starter(key: str) -> Starter | None:
    return next((starter for starter in starters() if starter.key == key), None)
