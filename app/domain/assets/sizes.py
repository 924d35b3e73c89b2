"""How large pictures may be, for those who pass them on and need nothing that decodes them: that is
5 MB of a process's memory."""

from __future__ import annotations

from app.errors import PictureRefused

RECIPE = 1
"""Counts what pictures.py does: pictures made by an earlier recipe are made anew when they are
read again."""
MAX_SOURCE_BYTES = 20_000_000
MAX_KEPT_BYTES = 5_000_000
"""A reader loads it over a phone's network; in base64 it passes through Supabase's API in far less
than the 8 s that a statement may take there."""


def too_large(size: int | None) -> PictureRefused:
    """size: bytes, where they are known."""
    has = f"it has {in_words(size)}" if size else "it is larger than that"
    return PictureRefused(
        f"{has}; up to {in_words(MAX_SOURCE_BYTES)} is taken: make it smaller",
        problem="too_large",
    )


def in_words(size: int) -> str:
    """A number of bytes, as people say it."""
    if size < 1_000_000:
        return f"{max(1, round(size / 1000))} KB"
    return f"{size / 1_000_000:.1f} MB".replace(".0 MB", " MB")
