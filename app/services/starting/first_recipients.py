"""Before the start: does the template work for anybody?

A template that fails for everyone is its author's mistake. It is found here, before anything has
started, so that the author can correct it.
"""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

from app.domain.content.render import RenderError
from app.domain.sending.batches import Recipient
from app.errors import TemplateInvalid
from app.services.sending.prepare import MailBuilder, Prepared
from app.settings import Settings
from app.store import Store

FIRST = 100
"""Recipients for whom the template is tried, until it works for one."""


async def require_one_who_can_get_it(store: Store, settings: Settings, prepared: Prepared) -> None:
    """Raise TemplateInvalid when the template fails for each of the first recipients.

    What fails for some of them only is those recipients' own; the dry run names them.
    """
    rows = await store.first_recipients(prepared.mailout_id, FIRST)
    failure = await asyncio.to_thread(_shared_failure, MailBuilder(settings), prepared, rows)
    if failure is not None:
        whom = "the one" if len(rows) == 1 else f"each of the first {len(rows)}"
        raise TemplateInvalid(
            f"{failure.field}: the template fails for {whom} who would get it. {failure.detail}. "
            "Correct it, or their data; a dry run names everybody.",
            field=failure.field,
        )


def _shared_failure(
    builder: MailBuilder, prepared: Prepared, rows: list[dict[str, Any]]
) -> RenderError | None:
    """The first recipient's failure if all fail; None: it works for one of them."""
    first: RenderError | None = None
    for row in rows:
        reader = Recipient(0, row["email"], 1, UUID(row["id"]), row["name"], row["fields"])
        try:
            builder.values(prepared, reader)
        except RenderError as exc:
            first = first or exc
        else:
            return None
    return first
