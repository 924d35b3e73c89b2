"""Files that are kept as they are: PDFs, and nothing else. Pure.

A PDF is shown by the reader's own program, apart from this service's pages. HTML and SVG would run
in its name; office files and archives carry what harms the readers' machines.
"""

from __future__ import annotations

from app.domain.assets.kept import NotKept
from app.domain.assets.sizes import MAX_KEPT_BYTES, MAX_SOURCE_BYTES, in_words

MAX_BYTES_IN_DATABASE = MAX_KEPT_BYTES
"""As for pictures: what passes through Supabase's API in far less than 8 s."""
MAX_BYTES_ON_SHELF = MAX_SOURCE_BYTES
"""S3 and Supabase Storage take it by HTTP, without the database."""
LINK_INSTEAD = "put it where everybody can open it (a website, a shared folder), and link to it"


def is_pdf(data: bytes) -> bool:
    """By its content, whatever a header or name says (ISO 32000-2, 7.5.2)."""
    return data.startswith(b"%PDF-")


def refusal(data: bytes, most: int) -> NotKept | None:
    """Why a file isn't kept; None: it may be. most: bytes that its place takes."""
    if not is_pdf(data):
        return NotKept("no_pdf", f"it isn't a PDF: {LINK_INSTEAD}")
    if len(data) > most:
        has, may = in_words(len(data)), in_words(most)
        return NotKept(
            "too_large",
            f"it has {has}; PDFs of up to {may} are kept: make it smaller, or {LINK_INSTEAD}",
        )
    return None
