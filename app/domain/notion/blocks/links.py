"""Addresses that a reader of a mail can open."""

from __future__ import annotations

import html
import re
from urllib.parse import unquote, urlsplit

from app.domain.content.masking import pieces
from app.domain.notion.blocks.liquid import plain
from app.domain.notion.blocks.tree import sendable

_SCHEME = re.compile(r"(?:https?://|mailto:|tel:)", re.IGNORECASE)
_NOTION = ("notion.so", "notion.com")


def is_open_to_all(url: str) -> bool:
    """Whether it is an address of the web, of mail or of a telephone, or one that Liquid shows."""
    return bool(_SCHEME.match(url)) or unquote(url).lstrip().startswith("{{")


def is_in_notion(url: str) -> bool:
    """Whether it leads to a page in the workspace, which readers may not open."""
    if url.startswith(("/", "#")):
        return True
    try:
        host = (urlsplit(url).hostname or "").lower()
    except ValueError:
        return False
    return any(host in (notion, f"www.{notion}", f"app.{notion}") for notion in _NOTION)


def attribute(url: str) -> str:
    """An address between quotation marks in HTML, its Liquid as it is."""
    url = re.sub(r"\s+", lambda m: "%20" if " " in m[0] else "", sendable(url).strip())
    return "".join(
        html.escape(piece.text) if piece.kind in ("static", "raw") else plain(piece.text)
        for piece in pieces(_with_blanks(url))
    )


def _with_blanks(url: str) -> str:
    return url.replace("%20", " ") if "{" in url else url


def readable(url: str) -> str:
    """An address as a person would say it: without its scheme, and not too long."""
    shown = re.sub(r"^(?:https?://(?:www\.)?|mailto:|tel:)", "", url.strip(), flags=re.IGNORECASE)
    shown = unquote(shown).rstrip("/")
    return shown if len(shown) <= 50 else shown[:49] + "…"


def host(url: str) -> str:
    try:
        return (urlsplit(url.strip()).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
