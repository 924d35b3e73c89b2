"""Parsers that read what strangers wrote, each as a function that takes any bytes and raises
nothing: for hypothesis (test_parsers.py), and for Atheris, which watches which lines are reached
(atheris_run.py)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import UUID

from app.domain.addresses import InvalidAddress, canonical_address, typed_address
from app.domain.content.holes import RenderError
from app.domain.content.markup import Footer
from app.domain.content.render import Content, compile_content, template_variables
from app.domain.notion.blocks.canonical import canonical
from app.domain.notion.blocks.document import document
from app.domain.notion.blocks.shape import is_sound
from app.domain.providers.events import mailgun_row, read_mailgun, sendgrid_rows
from app.domain.ses.events import parse_ses_event, to_row
from app.domain.ses.sns_message import parse_sns_message
from app.errors import AppError
from app.services.lists.list_file import ListFile
from app.services.notion.reading import MAX_DEPTH

NOW = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
FOOTER = Footer("Example Org", "1 Street, Town")
ROWS = 100
READER = template_variables(
    email="ann@example.com",
    name="Ann {{ email }}",
    fields={"city": "<b>Lisbon</b>", "n": "3"},
    mailout_id=str(UUID(int=7)),
    unsubscribe_url="https://example.com/unsubscribe?token=x",
)


def refused(act: Callable[[], Any]) -> Any:
    """What it gives; None: it was refused as it should be."""
    try:
        return act()
    except AppError as error:
        if error.status >= 500:
            raise
        return None


def events(data: bytes) -> None:
    """An envelope of SNS, an event of SES, and what SendGrid and Mailgun post."""
    refused(lambda: parse_sns_message(data, {}))
    text = data.decode("utf-8", "replace")
    event = refused(lambda: parse_ses_event(text, published_at=NOW))
    if event is not None:
        json.dumps(to_row(event, "message")).encode()
    now = NOW.timestamp()
    rows = refused(lambda: sendgrid_rows(data, now=now))
    post = refused(lambda: read_mailgun(data))
    row = post and refused(lambda: mailgun_row(post.event, now=now))
    json.dumps([rows, row]).encode()  # the database takes no half characters


def csv(data: bytes) -> None:
    """A list of subscribers: encoding, delimiter, columns, rows."""

    def read() -> None:
        file = ListFile(io.BytesIO(data))
        for row in islice(file.rows(), ROWS):
            str(row).encode()

    refused(read)


def content(data: bytes) -> None:
    """A mail in HTML or Markdown with Liquid: compiled, and rendered for one reader."""
    text = data[1:].decode("utf-8", "replace").replace("\0", "")
    as_html = bool(data[:1]) and data[0] % 2 == 0
    mail = Content("Hello", text if as_html else None, None if as_html else text, None)

    def render() -> None:
        try:
            compiled = compile_content(mail, FOOTER)
            rendered = compiled.paste(compiled.values(READER))
        except RenderError:
            return
        assert "unsubscribe?token=x" in rendered.html
        rendered.html.encode()

    refused(render)


def subject(data: bytes) -> None:
    """Liquid alone, in the one line that a subject is."""
    text = data.decode("utf-8", "replace")

    def render() -> None:
        try:
            compiled = compile_content(Content(text, "<p>x</p>", None, None), FOOTER)
            rendered = compiled.paste(compiled.values(READER)).subject
        except RenderError:
            return
        assert "\n" not in rendered and "\r" not in rendered

    refused(render)


def blocks(data: bytes) -> None:
    """A page of Notion: a list of blocks as JSON."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not _are_sound(tree, depth=1):
        return
    document(tree).markdown.encode()
    canonical(tree)


def _are_sound(tree: Any, depth: int) -> bool:
    """As services/notion/reading.py lets blocks pass, each with its children beside it."""
    return (
        isinstance(tree, list)
        and depth <= MAX_DEPTH
        and all(map(is_sound, tree))
        and all(_are_sound(each.get("children", []), depth + 1) for each in tree)
    )


def addresses(data: bytes) -> None:
    """Whoever takes an address gives one that everybody takes."""
    text = data.decode("utf-8", "replace")
    for read in (typed_address, canonical_address):
        try:
            taken = read(text)
        except InvalidAddress:
            continue
        assert taken.isascii() and len(taken) <= 254
        assert read(taken) == taken
        assert canonical_address(taken) == taken.lower()


TARGETS: dict[str, Callable[[bytes], None]] = {
    each.__name__: each for each in (events, csv, content, subject, blocks, addresses)
}
