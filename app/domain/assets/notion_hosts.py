"""Which addresses are files that lie with Notion. All hosts are named here, and nowhere else.

A file's address there works for an hour (Notion's API, "Retrieving files"), so no mail may have
one; pictures are fetched and kept before (services/assets), links to pages stay. Sources: Notion's
API and Help Center, and what react-notion-x and notion-client meet (domains of `image`, `signed`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import unquote

FILE_HOSTS = (
    "file.notion.so",
    "file.notion.com",
    "file.notion.site",
    "notionusercontent.com",
    "notion-static.com",
)
"""They, and what lies below them, have files alone."""
PAGE_HOSTS = ("notion.so", "notion.site", "notion.com")
"""They have pages for people, and these files:"""
_FILES_OF_PAGE_HOSTS = frozenset({"image", "signed", "f"})  # first part of the path
BUCKETS = ("prod-files-secure", "secure.notion-static.com", "public.notion-static.com")
"""Notion's at Amazon S3: `BUCKET.s3.REGION.amazonaws.com/…`, `s3.REGION.amazonaws.com/BUCKET/…`."""

_AMAZON = re.compile(r"(?:(?P<bucket>.+)\.)?s3(?:[.-][a-z0-9.-]+)?\.amazonaws\.com", re.IGNORECASE)
# As browsers read it: slashes may be missing or lean the other way. Addresses within addresses are
# found, too, as what follows a host isn't taken.
_ADDRESS = re.compile(
    r"(?:https?:[/\\]*+|(?<![/\\:])[/\\]{2,}+)"
    r"(?P<host>[^\s\"'<>()\\/?#]{4,255}+)(?=(?P<path>[\\/?#][^\s\"'<>]{0,100})?)",
    re.IGNORECASE,
)
_HINT = re.compile("notion|prod-files-secure", re.IGNORECASE)


def is_notion_file(url: str) -> bool:
    """Whether it is the address of a file at Notion, which ends within the hour."""
    match = _ADDRESS.match(url.strip())
    return match is not None and _is_file(match["host"], match["path"] or "")


def is_at_notion(url: str) -> bool:
    """Whether it leads to Notion at all: a picture with this address is fetched, as no mail
    program is meant to get it there."""
    match = _ADDRESS.match(url.strip())
    if match is None:
        return False
    host = _plain(match["host"])
    return _is_below(host, PAGE_HOSTS) or _is_file(host, match["path"] or "")


def may_have_files(text: str) -> bool:
    """Whether any of Notion's names is in it: a quick look before a thorough one."""
    return _HINT.search(text) is not None


def notion_files(text: str) -> Iterator[tuple[int, str]]:
    """Each address of a file at Notion in a text of any kind (HTML, CSS, Markdown, Liquid), with
    the number of its line: also where it is percent-encoded in another address, or written with
    HTML's entities."""
    if not may_have_files(text):
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not may_have_files(line):
            continue
        seen: set[str] = set()
        for written in (line, unescape(line), unquote(unescape(line))):
            for match in _ADDRESS.finditer(written):
                if _is_file(match["host"], match["path"] or ""):
                    host = _plain(match["host"])
                    if host not in seen:
                        seen.add(host)
                        yield number, f"{host}{(match['path'] or '')}"


def _is_file(host: str, path: str) -> bool:
    host, path = _plain(host), path.replace("\\", "/").lstrip("/")
    if _is_below(host, FILE_HOSTS):
        return True
    first = path.partition("/")[0].partition("?")[0]
    if _is_below(host, PAGE_HOSTS):
        return first.lower() in _FILES_OF_PAGE_HOSTS
    amazon = _AMAZON.fullmatch(host)
    return amazon is not None and (amazon["bucket"] or unquote(first)).lower() in BUCKETS


def _plain(host: str) -> str:
    """Without user, port and other spellings."""
    return unquote(host).rpartition("@")[2].partition(":")[0].rstrip(".").lower()


def _is_below(host: str, names: tuple[str, ...]) -> bool:
    return any(host == name or host.endswith(f".{name}") for name in names)
