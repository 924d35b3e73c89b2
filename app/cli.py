"""The command line: each command calls a service and prints plain lines.

Errors go to stderr in one line with the remedy; the exit code is then 1 (2: wrong usage). What
only one command needs is imported in it, so that the others start quickly.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app import __version__
from app.adapters import migrations
from app.adapters.store import Store
from app.domain.guards import parse_canary
from app.domain.notion import NotAPage, page_id
from app.domain.states import MAILOUT_STATUSES, SUBSCRIBER_STATUSES
from app.errors import AppError, ConfigurationError, Unavailable
from app.listening import listen
from app.logs import configure_logging
from app.runtime import direct_dsn, open_database, run
from app.services.checks.database import check_database
from app.services.drafts import Drafts
from app.services.dry_run import DryRuns, RunDryRun
from app.services.in_words import accepted_lines, dry_run_lines
from app.services.start_mailout import SendRequest, StartMailout
from app.services.statement import write_statement
from app.services.subscribers_csv import export_csv, import_csv
from app.settings import Settings, load_settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Sends a mailout from Postgres or Supabase through Amazon SES: never twice, never lost.",
)
subscribers_app = typer.Typer(no_args_is_help=True, help="Import and export subscribers.")
mailouts_app = typer.Typer(no_args_is_help=True, help="Create, release and list mailouts.")
app.add_typer(subscribers_app, name="subscribers")
app.add_typer(mailouts_app, name="mailouts")

PROGRESS_SECONDS = 5.0


def main() -> None:
    """The `amazonsender` command."""
    try:
        app()
    except AppError as error:
        fail(error.detail)
    except BrokenPipeError:  # `amazonsender … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def fail(message: str) -> None:
    """Say why, in one plain line, and end."""
    typer.echo(f"amazonsender: {' '.join(message.split())}", err=True)
    sys.exit(1)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    async with open_database(settings) as database:
        yield Store(database)


def quiet_settings() -> Settings:
    """For commands that answer a person: warnings and errors only in the log."""
    settings = load_settings()
    if settings.log_level == "info":
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logging(settings)
    return settings


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and end."
        ),
    ] = False,
) -> None:
    """Options before a command."""


@app.command()
def serve(
    sender: Annotated[
        bool, typer.Option("--sender/--no-sender", help="Without: HTTP only, others send.")
    ] = True,
    one_process: Annotated[
        bool, typer.Option("--one-process", help="HTTP and sending in one, for a small machine.")
    ] = False,
) -> None:
    """Run the service: a process for HTTP and one that sends, or only HTTP (--no-sender)."""
    settings = load_settings()
    configure_logging(settings)
    from app import server

    if sender and not one_process:
        sys.exit(server.supervise(settings))
    run(server.serve(settings, with_sender=sender))
    _end()


@app.command()
def worker() -> None:
    """Run a sender alone; any number may share one database."""
    settings = load_settings()
    configure_logging(settings)
    from app.server import work

    run(work(settings))
    _end()


def _end() -> None:
    """Leave without waiting for threads in a call that SES never answers: all is recorded."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@app.command()
def migrate(
    print_: Annotated[
        bool, typer.Option("--print", help="Write one SQL script for Supabase's SQL editor.")
    ] = False,
    status: Annotated[
        bool, typer.Option("--status", help="List what is applied and what isn't.")
    ] = False,
) -> None:
    """Bring the database's tables and functions up to date."""
    if print_:
        typer.echo(migrations.print_script())
        return
    settings = quiet_settings()
    run(_migrate(settings, only_status=status))


async def _migrate(settings: Settings, *, only_status: bool) -> None:
    async with direct_dsn(settings) as dsn:
        if dsn is None:
            raise ConfigurationError(
                "Migrations can't run over Supabase's API: paste what `amazonsender migrate "
                "--print` writes into Supabase's SQL editor, or set DATABASE_URL."
            )
        if only_status:
            for entry in await migrations.status(dsn):
                when = f"  {entry.applied_at:%Y-%m-%d %H:%M}" if entry.applied_at else ""
                typer.echo(f"{entry.state:8} {entry.name}{when}")
            return
        applied = await migrations.migrate(dsn)
        typer.echo(f"Applied: {', '.join(applied)}" if applied else "Nothing to do.")
        async with open_database(settings, checked=False) as database:
            for finding in check_database(await Store(database).examine_database()):
                typer.echo(finding.sentences, err=True)


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(help="Listen address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.")] = 8025,
    events: Annotated[
        str, typer.Option(help="Where signed SNS messages are posted; empty: nowhere.")
    ] = "",
    rate: Annotated[float, typer.Option(help="MaxSendRate: recipients per second.")] = 14.0,
    quota: Annotated[float, typer.Option(help="Recipients per 24 hours; -1: no limit.")] = 50_000,
    topic: Annotated[
        str, typer.Option(help="Topic ARN of the events.")
    ] = "arn:aws:sns:us-east-1:123456789012:amazonsender",
    bounce_share: Annotated[
        float, typer.Option(help="Share of ordinary addresses that bounce.")
    ] = 0.0,
    complaint_share: Annotated[float, typer.Option(help="Share that complains.")] = 0.0,
    public_url: Annotated[
        str, typer.Option(help="This sandbox's address as others reach it.")
    ] = "",
    accept_log: Annotated[
        Path | None, typer.Option(help="Append a line per accepted recipient.")
    ] = None,
    signature_version: Annotated[str, typer.Option(help="SNS signature version, 1 or 2.")] = "1",
) -> None:
    """Run a local Amazon SES and SNS: accepts, judges and shows mail, posts signed events."""
    from app.sandbox.config import SandboxConfig
    from app.sandbox.main import run as run_sandbox

    if signature_version not in {"1", "2"}:
        raise typer.BadParameter("must be 1 or 2", param_hint="--signature-version")
    run_sandbox(
        listen(
            host, port, remedy="Another sandbox may run there: choose another place with --port."
        ),
        SandboxConfig(
            max_send_rate=rate,
            max_24h_send=quota,
            topic_arn=topic,
            event_endpoint=events or None,
            bounce_share=bounce_share,
            complaint_share=complaint_share,
            public_url=public_url or None,
            accept_log=accept_log,
            signature_version="1" if signature_version == "1" else "2",
        ),
    )


@app.command()
def send(
    mailout_id: UUID,
    test: Annotated[
        bool, typer.Option("--test", help="Only to TEST_EMAILS; the mailout stays as it is.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Render everything, send nothing.")
    ] = False,
) -> None:
    """Start a mailout, as POST /send-mailout does; running senders take it from there."""
    run(_send(quiet_settings(), mailout_id, test=test, dry_run=dry_run))


async def _send(settings: Settings, mailout_id: UUID, *, test: bool, dry_run: bool) -> None:
    async with open_store(settings) as store:
        start = StartMailout(store, settings)
        request = SendRequest(mailout_id=mailout_id)
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
    """In this process, so that it needs no running service."""
    from app.services.account import refresh_account

    try:
        await refresh_account(store, settings)
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


@app.command()
def statement(
    mailout_id: UUID,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; else standard output.")
    ] = None,
) -> None:
    """Write the closing statement as CSV: every recipient, outcome and reason."""
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


@app.command()
def doctor(
    mailout_id: Annotated[
        UUID | None, typer.Argument(help="Check this mailout, too: content, readers, time.")
    ] = None,
    links: Annotated[
        bool, typer.Option("--links", help="Ask every link of the mailout whether it answers.")
    ] = False,
) -> None:
    """Check configuration, database and SES account; say what to fix, a line each."""
    from app.services.doctor import examine

    if links and mailout_id is None:
        raise typer.BadParameter("needs a MAILOUT_ID", param_hint="--links")
    findings = run(examine(quiet_settings(), mailout_id, links=links))
    for finding in findings:
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        typer.echo(f"{finding.level:5}{finding.what}{remedy}")
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


@subscribers_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    rejects: Annotated[
        Path | None, typer.Option(help="Write the refused rows' reasons to a file.")
    ] = None,
) -> None:
    """Import a CSV: `email`, optional `name` and `tags`; other columns become fields.

    Importing a file again changes nothing, and nobody who left is brought back.
    """
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            report = await import_csv(store, file)
        typer.echo(report.summary())
        shown = report.refused_rows if rejects is None else []
        for row in shown[:20]:
            typer.echo(f"  line {row.line}: {row.reason}", err=True)
        if len(shown) > 20:
            typer.echo("  … use --rejects FILE for all of them", err=True)
        if rejects is not None:
            rejects.write_text(
                "".join(f"line {row.line}: {row.reason}\n" for row in report.refused_rows),
                encoding="utf-8",
            )

    run(work())


@subscribers_app.command("export")
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, writable=True)],
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
) -> None:
    """Export subscribers as CSV."""
    if status is not None and status not in SUBSCRIBER_STATUSES:
        raise typer.BadParameter(f"one of {', '.join(SUBSCRIBER_STATUSES)}", param_hint="--status")
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            with file.open("w", encoding="utf-8", newline="") as out:
                count = await export_csv(store, out, status=status)
        typer.echo(f"{count} subscribers written to {file}.")

    run(work())


@mailouts_app.command("create")
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
            mailout_id = await Drafts(store, settings).create(
                {
                    "subject": subject,
                    "preheader": preheader,
                    column: _read(file),
                    "body_text": _read(text) if text else None,
                    "notion_page_id": notion_page,
                    "audience": {"tags": tag} if tag else None,
                    "canary": parse_canary(canary) if canary else None,
                }
            )
        typer.echo(mailout_id)

    run(work())


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


@mailouts_app.command("ready")
def ready(mailout_id: UUID) -> None:
    """Release a draft: it may be sent from now on."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            await Drafts(store, settings).release(mailout_id)
        typer.echo(f"Mailout {mailout_id} is ready.")

    run(work())


@mailouts_app.command("list")
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


if __name__ == "__main__":
    main()
