"""`mailouts list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.mailouts.group import app, with_store
from app.domain.states import MAILOUT_STATUSES

if TYPE_CHECKING:
    from app.domain.reports.lists import MailoutFilter
    from app.store import Store


@app.command("list")
def list_(
    status: Annotated[
        list[str] | None, typer.Option(help="Only those in this state; may be repeated.")
    ] = None,
    q: Annotated[
        str | None, typer.Option("--search", help="Only those with this in the subject.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """List mailouts, newest first."""
    if any(one not in MAILOUT_STATUSES for one in status or []):
        raise typer.BadParameter(f"one of {', '.join(MAILOUT_STATUSES)}", param_hint="--status")
    wanted: MailoutFilter = {}
    if status:
        wanted["statuses"] = status
    if q:
        wanted["q"] = q

    async def work(store: Store) -> None:
        from app.services.drafts.subjects import Subjects

        for row in await Subjects(store).add_to(await store.list_mailouts(limit, wanted=wanted)):
            reason = f"  ({row['status_reason']})" if row["status_reason"] else ""
            typer.echo(f"{row['id']}  {row['status']:9}  {row['subject_shown']}{reason}")

    with_store(work)


_SHOWN = {
    "subject": "subject",
    "preheader": "preheader",
    "from_name": "from name",
    "from_email": "from address",
    "reply_to": "answers to",
    "status": "status",
    "status_reason": "because",
    "scheduled_at": "scheduled",
    "created_at": "created",
    "started_at": "started",
    "sent_at": "sent",
    "recipients": "recipients",
}


@app.command("show")
def show(mailout_id: UUID) -> None:
    """Show a mailout, and what became of its recipients."""

    async def work(store: Store) -> None:
        from app.domain.reports.progress import figures_by_route

        found = await store.show_mailout(mailout_id)
        for name, words in _SHOWN.items():
            if found[name] is not None:
                typer.echo(f"{words + ':':<14}{found[name]}")
        for state, count in found["counts"].items():
            if count:
                typer.echo(f"{state + ':':<14}{count:,}")
        for route in figures_by_route(found["routes"]):
            typer.echo(f"{route.name + ':':<14}{route}")

    with_store(work)
