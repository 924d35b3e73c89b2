"""No mail leaves with the address of a file at Notion: it ends within the hour, and the mail is
read for years."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.domain.assets.notion_hosts import may_have_files, notion_files
from app.domain.content import liquid
from app.domain.content.holes import RenderError
from app.errors import NotionFileLeft

Sources = Iterable[tuple[str, str]]
"""What people wrote, each with what errors call it."""


def refuse_written(sources: Sources) -> None:
    """Raises NotionFileLeft with field and line: for pictures, links, styles, and texts that Liquid
    makes an address of."""
    for field, source in sources:
        for line, address in notion_files(source):
            raise _left(address, field, line)


def refuse_shown(sources: Sources, field: str, mails: Iterator[Iterable[str]]) -> None:
    """Raises NotionFileLeft when an address is put together only when the mail is made.

    mails: what some readers would get, rendered as they are asked for, and only where a source
    could lead to Notion at all.
    """
    if not any(may_have_files(source) for _, source in sources):
        return
    try:
        for parts in mails:
            for part in parts:
                for _, address in notion_files(part):
                    raise _left(address, field, None)
    except RenderError:  # of some readers: found elsewhere
        return


def _left(address: str, field: str, line: int | None) -> NotionFileLeft:
    shown = address.partition("?")[0]  # the rest opens it
    return NotionFileLeft(
        f"{liquid.place(field, line)}: this is the address of a file at Notion "
        f"({shown[:60]}{'…' if len(shown) > 60 else ''}), which ends within the hour, so readers "
        "would find nothing there. Put the file on your website, or wherever it stays, and write "
        "that address.",
        field=field,
        line=line,
    )
