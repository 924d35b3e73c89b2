"""Templates to begin with: files of this package, made for real newsletters."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class Starter:
    """key: of its file. name, subject: proposed. title, description: for people."""

    key: str
    name: str
    description: str
    subject: str
    body_html: str

    def to_row(self) -> dict[str, str]:
        return asdict(self)


_ABOUT = {
    "letter": (
        "Letter",
        "A personal letter: your name on top, one column of text, a signature.",
        "{{ name | default: 'Hello' }}, a letter from us",
    ),
    "digest": (
        "Digest",
        "Several stories with pictures, one that leads and a list of short links.",
        "This week: three stories worth your time",
    ),
    "announcement": (
        "Announcement",
        "One piece of news: a large picture, a headline, a button.",
        "It is here",
    ),
}


@cache
def starters() -> tuple[Starter, ...]:
    folder = files("app.services.templates") / "html"
    return tuple(
        Starter(key, *about, (folder / f"{key}.html").read_text("utf-8"))
        for key, about in _ABOUT.items()
    )


def find_starter(key: str) -> Starter | None:
    return next((starter for starter in starters() if starter.key == key), None)
