"""Pictures and files that are kept, and how they are called. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_NAME = re.compile(r"(?P<sha256>[0-9a-f]{64})\.(?P<extension>png|jpg|gif|pdf)")


@dataclass(frozen=True)
class Asset:
    """sha256: of the content, in hex. width, height: pixels; None: it is no picture. size: bytes.
    note: for its author, how it differs from the file that it was made of."""

    sha256: str
    media_type: str
    extension: str
    width: int | None
    height: int | None
    size: int
    note: str | None = None

    @property
    def name(self) -> str:
        """In every store, and the last part of its address."""
        return f"{self.sha256}.{self.extension}"


@dataclass(frozen=True)
class Stored:
    """content: None where it lies in another store than the database: in `store`."""

    media_type: str
    store: str
    content: bytes | None


@dataclass(frozen=True)
class Kept:
    """A picture. url: public, for ever. width, height: pixels, at most twice what a mail shows.
    note: for the author; None: nothing to say. sha256: of the content."""

    url: str
    width: int
    height: int
    note: str | None = None
    sha256: str = ""


@dataclass(frozen=True)
class KeptFile:
    """A PDF. url: public, for ever. size: bytes. sha256: of the content."""

    url: str
    size: int
    sha256: str


@dataclass(frozen=True)
class NotKept:
    """problem: one word (`svg`, `too_large`, `expired`, …). detail: what is wrong and what to do,
    in words that follow the picture's or file's name."""

    problem: str
    detail: str


Assets = Mapping[str, Kept | KeptFile | NotKept]
"""What became of a page's pictures and files, by their addresses there."""


def parse_name(name: str) -> tuple[str, str] | None:
    """Hash and extension; None: it is no name of a picture or file."""
    match = _NAME.fullmatch(name)
    return (match["sha256"], match["extension"]) if match else None
