"""Commands about mailouts: write, release, send, and see what became of it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.cli.words import accepted_lines, dry_run_lines
from app.domain.access import CLI
from app.domain.notion import NotAPage, page_id
from app.domain.states import MAILOUT_STATUSES
from app.errors import ConfigurationError, Unavailable

if TYPE_CHECKING:
    from app.services.drafts.drafts import Drafts
    from app.services.starting.start_mailout import SendRequest, StartMailout
    from app.settings import Settings
    from app.store import Store

app = typer.Typer(no_args_is_help=True, help="Create, release and list mailouts.")
sending = typer.Typer()
"""Commands outside of the group `mailouts`."""

PROGRESS_SECONDS = 5.0


@sending.command()
def send(
    mailout_id: UUID,
    test: Annotated[
        bool, typer.Option("--test", help="Only to TEST_EMAILS; the mailout stays as it is.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render everything, send nothing.")
    ] = False,
    confirm_audience: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="COUNT",
            help="The number of recipients, where it was refused because that changed a lot.",
        ),
    ] = None,
) -> None:
    """Start a mailout, as POST /send-mailout does; running senders take it from there."""
    request = (mailout_id, confirm_audience)
    run(_send(quiet_settings(), *request, test=test, dry_run=dry_run))


async def _send(
    settings: Settings, mailout_id: UUID, confirmed: int | None, *, test: bool, dry_run: bool
) -> None:
    from app.services.starting.start_mailout import SendRequest, StartMailout

    async with open_store(settings) as store:
        start = StartMailout(store, settings)
        request = SendRequest(mailout_id=mailout_id, by=CLI.by, confirm_audience=confirmed)
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


@sending.command()
def statement(
    mailout_id: UUID,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; else standard output.")
    ] = None,
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


@app.command("create")
def create(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="FILE.html or FILE.md"),
    ],
    subject: Annotated[str, typer.Option(help="The subject; Liquid allowed.")],
    preheader: Annotated[
        str | None, typer.Option(help="The line that inboxes show after the subject.")
    ] = None,
    text: Annotated[Path | None, typer.Option(help="A text part; derived when absent.")] = None,
    notion_page_id: Annotated[
        str | None, typer.Option(help="The Notion page that triggers it: its link or its id.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Only subscribers with this tag; may be repeated.")
    ] = None,
    canary: Annotated[
        str | None,
        typer.Option(help="SHARE,WAIT such as 0.02,15m: that share first, then wait for events."),
    ] = None,
) -> None:
    """Create a draft from a file and print its id. What couldn't be sent is refused."""

    from app.domain.sending.guards import parse_canary

    kinds = {
        ".html": "body_html",
        ".htm": "body_html",
        ".md": "body_markdown",
        ".markdown": "body_markdown",
    }
    column = kinds.get(file.suffix.lower())
    if column is None:
        raise typer.BadParameter("must end in .html or .md", param_hint="FILE")
    notion_page = None if notion_page_id is None else _notion_page(notion_page_id)
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            drafts = _drafts(store, settings)
            mailout = {
                "subject": subject,
                "preheader": preheader,
                column: _read(file),
                "body_text": _read(text) if text else None,
                "notion_page_id": notion_page,
                "audience": {"tags": tag} if tag else None,
                "canary": parse_canary(canary) if canary else None,
            }
            await drafts.check(mailout)
            created = await drafts.create(mailout, by=CLI.by)
        typer.echo(created.id)

    run(work())


def _drafts(store: Store, settings: Settings) -> Drafts:
    from app.outside import OUTSIDE
    from app.services.checks.preflight import Preflight
    from app.services.drafts.drafts import Drafts
    from app.services.starting.schedule_mailout import ScheduleMailout
    from app.services.starting.start_mailout import StartMailout

    schedules = ScheduleMailout(store, settings, StartMailout(store, settings))
    return Drafts(store, settings, Preflight(store, settings, OUTSIDE), schedules)


def _notion_page(text: str) -> str:
    try:
        return str(page_id(text))
    except NotAPage as exc:
        raise typer.BadParameter(str(exc), param_hint="--notion-page-id") from exc


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{file} is not UTF-8 text: save it as UTF-8.") from exc


@app.command("ready")
def ready(mailout_id: UUID) -> None:
    """Release a draft: it may be sent from now on."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            await _drafts(store, settings).release(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} is ready.")

    run(work())


@app.command("list")
def list_(
    status: Annotated[str | None, typer.Option(help="Only those in this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
) -> None:
    """List mailouts, newest first."""
    if status is not None and status not in MAILOUT_STATUSES:
        raise typer.BadParameter(f"one of {', '.join(MAILOUT_STATUSES)}", param_hint="--status")
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            for row in await store.list_mailouts(limit, status=status):
                reason = f"  ({row['status_reason']})" if row["status_reason"] else ""
                typer.echo(f"{row['id']}  {row['status']:9}  {row['subject']}{reason}")

    run(work())


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items()) if count)
