"""`mailouts ready`, `unready`, `pause`, `resume`, `cancel`, `resend`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.mailouts.group import app, with_drafts, with_store
from app.domain.access import CLI
from app.domain.reports.words import plural

if TYPE_CHECKING:
    from app.services.drafts.drafts import Drafts
    from app.store import Store

MISSED = ("failed", "unknown")


@app.command("ready")
def ready(mailout_id: UUID) -> None:
    """Release a draft: it may be sent from now on. Refused when it couldn't be sent."""

    async def work(drafts: Drafts) -> None:
        await drafts.release(mailout_id, by=CLI.by)
        status = (await drafts.store.mailout_headline(mailout_id))["status"]
        typer.echo(f"Mailout {mailout_id} is {status}.")

    with_drafts(work)


@app.command("unready")
def unready(mailout_id: UUID) -> None:
    """Take a released mailout back: it is a draft again, and isn't sent."""

    async def work(drafts: Drafts) -> None:
        await drafts.take_back(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} is a draft again.")

    with_drafts(work)


@app.command("pause")
def pause(mailout_id: UUID) -> None:
    """Stop a mailout that is being sent, for now. Who is waiting keeps waiting."""

    async def work(store: Store) -> None:
        from app.services.starting.steering import Steering

        await Steering(store).pause(mailout_id, by=CLI.by)
        typer.echo(
            f"Mailout {mailout_id} is paused: no new mail leaves. `mailouts resume` goes on."
        )

    with_store(work)


@app.command("resume")
def resume(mailout_id: UUID) -> None:
    """Go on with a paused mailout."""

    async def work(store: Store) -> None:
        from app.services.starting.steering import Steering

        await Steering(store).resume(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} goes on.")

    with_store(work)


@app.command("cancel")
def cancel(mailout_id: UUID) -> None:
    """End a mailout for good: who was not mailed yet never is."""

    async def work(store: Store) -> None:
        from app.services.starting.steering import Steering

        await Steering(store).cancel(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} is cancelled: nobody else is mailed.")

    with_store(work)


@app.command("resend")
def resend(
    mailout_id: UUID,
    status: Annotated[
        list[str] | None,
        typer.Option(help="To whom: failed or unknown; may be repeated. Default: failed."),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Also to those unknown for less than 20 minutes, who may get it twice."
        ),
    ] = False,
) -> None:
    """Send a mailout again to those who were missed, and to nobody else."""
    statuses = status or ["failed"]
    if any(one not in MISSED for one in statuses):
        raise typer.BadParameter(f"one of {', '.join(MISSED)}", param_hint="--status")

    async def work(store: Store) -> None:
        from app.services.starting.steering import Steering

        done = await Steering(store).resend(mailout_id, statuses, force=force, by=CLI.by)
        for line in _resend_lines(done):
            typer.echo(line)

    with_store(work)


def _resend_lines(done: dict[str, Any]) -> Iterator[str]:
    if done["requeued"] or done["remaining"]:
        yield f"{plural(done['requeued'], 'recipient')} wait for their turn again."
    else:
        yield "Nobody was missed in this way: nothing is sent."
    if done["remaining"]:
        yield f"{done['remaining']:,} more are looked at while it is being sent."
    if done["too_young"]:
        yield (
            f"{plural(done['too_young'], 'recipient')} are unknown for less than 20 minutes and "
            "were left out: their mail may still arrive."
        )
