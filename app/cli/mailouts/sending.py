"""`amazonsender send` and `statement`: send a mailout, and see what became of it."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.mailouts.group import outside
from app.cli.shared import ConfirmAudience, OutputFile, open_store, quiet_settings, run
from app.cli.words import accepted_lines, dry_run_lines
from app.domain.access import CLI
from app.errors import Unavailable

if TYPE_CHECKING:
    from app.services.starting.start_mailout import SendRequest, StartMailout
    from app.settings import Settings
    from app.store import Store

PROGRESS_SECONDS = 5.0


@outside.command()
def send(
    mailout_id: UUID,
    test: Annotated[
        bool, typer.Option("--test", help="Only to TEST_EMAILS; the mailout stays as it is.")
    ] = False,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ADDRESS", help="With --test: to this address instead; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render everything, send nothing.")
    ] = False,
    confirm_audience: ConfirmAudience = None,
) -> None:
    """Start a mailout, as POST /send-mailout does; running senders take it from there."""
    if to and not test:
        raise typer.BadParameter(
            "belongs to --test: a mailout goes to its audience", param_hint="--to"
        )
    addresses = tuple(map(_usable, to)) if to else None
    asked = {"mailout_id": mailout_id, "to": addresses, "confirm_audience": confirm_audience}
    run(_send(quiet_settings(), asked, test=test, dry_run=dry_run))


def _usable(address: str) -> str:
    from app.domain.addresses import InvalidAddress, typed_address

    try:
        return typed_address(address)
    except InvalidAddress as exc:
        raise typer.BadParameter(
            f"{address!r} is no usable mail address: {exc}", param_hint="--to"
        ) from exc


async def _send(settings: Settings, asked: dict[str, Any], *, test: bool, dry_run: bool) -> None:
    from app.services.starting.start_mailout import SendRequest, StartMailout

    async with open_store(settings) as store:
        start = StartMailout(store, settings)
        request = SendRequest(**asked, by=CLI.by)
        if dry_run or settings.dry_run_send:
            await _rehearse(store, settings, start, request)
            return
        accepted = await (start.test(request) if test else start(request))
        for line in accepted_lines(accepted):
            typer.echo(line)
        for warning in accepted.get("warnings", []):
            typer.echo(f"warning: {warning}", err=True)
        if not await store.count_executors():
            typer.echo(
                "No sender is running: start `amazonsender serve` or `amazonsender worker`.",
                err=True,
            )


async def _rehearse(
    store: Store, settings: Settings, start: StartMailout, request: SendRequest
) -> None:
    """A dry run in this process, so that no service has to run."""

    from app.outside import ask_account
    from app.services.starting.dry_run import DryRuns, RunDryRun

    try:
        await ask_account(store, settings)
    except Unavailable as exc:
        typer.echo(f"Rate and quota may be unknown: {exc.detail}", err=True)
    dry_runs = DryRuns(store, settings, start)
    order, _ = await dry_runs.start_here(request)
    work = asyncio.create_task(RunDryRun(store, settings, start)(order))
    while not (await asyncio.wait({work}, timeout=PROGRESS_SECONDS))[0]:
        done = (await dry_runs.report(order.mailout_id)).get("rendered", 0)
        typer.echo(f"{done:,} of {order.recipients:,} rendered", err=True)
    work.result()
    report = await dry_runs.report(order.mailout_id)
    for line in dry_run_lines(report):
        typer.echo(line)
    if report["state"] != "done":
        raise typer.Exit(1)


@outside.command()
def statement(
    mailout_id: UUID,
    output: OutputFile = None,
) -> None:
    """Write the closing statement as CSV: every recipient, outcome and reason."""

    from app.services.lists.statement import write_statement

    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            if output is None:
                await write_statement(store, mailout_id, sys.stdout)
                return
            with output.open("w", encoding="utf-8", newline="") as file:
                counts = await write_statement(store, mailout_id, file)
        typer.echo(f"{sum(counts.values())} recipients: {_counted(counts)}")

    run(work())


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)
