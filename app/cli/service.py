"""Commands that run the service or the sandbox until they are stopped; `migrate` and `doctor`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.shared import loud_settings, quiet_settings, run, show_findings
from app.errors import ConfigurationError
from app.listening import listen
from app.running.importing import importing

if TYPE_CHECKING:
    from app.settings import Settings

app = typer.Typer()


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
    with importing():
        from app.processes import server
    settings = loud_settings()

    if sender and not one_process:
        sys.exit(server.supervise(settings))
    run(server.serve(settings, with_sender=sender))


@app.command()
def worker() -> None:
    """Run a sender alone; any number may share one database."""
    with importing():
        from app.processes.server import work
    settings = loud_settings()

    run(work(settings))


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

    from app.adapters.database import migrations

    if print_:
        typer.echo(migrations.print_script())
        return
    settings = quiet_settings()
    run(_migrate(settings, only_status=status))


async def _migrate(settings: Settings, *, only_status: bool) -> None:
    from app.adapters.database import migrations
    from app.runtime import direct_dsn, open_database
    from app.services.checks.database import check_database
    from app.store import Store

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
            about = await Store(database).examine_database()
            for finding in check_database(about, embedded=settings.uses_embedded_database):
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
    readers: Annotated[
        str,
        typer.Option(
            help="Who opens and clicks tracked mail, as shares of ordinary addresses, such as "
            "person=0.2,apple=0.1; or mix. Kinds: person, phone, gmail, apple, microsoft, "
            "proofpoint, scanner, forwarded."
        ),
    ] = "",
    reader_seconds: Annotated[
        tuple[float, float],
        typer.Option(help="Least and most seconds until a person opens a mail."),
    ] = (30.0, 600.0),
    region: Annotated[
        list[str] | None,
        typer.Option(help="A further region with an SES and a topic of its own, on the next port."),
    ] = None,
    public_url: Annotated[
        str, typer.Option(help="This sandbox's address as others reach it.")
    ] = "",
    accept_log: Annotated[
        Path | None, typer.Option(help="Append a line per accepted recipient.")
    ] = None,
    signature_version: Annotated[str, typer.Option(help="SNS signature version, 1 or 2.")] = "1",
    notion: Annotated[
        bool, typer.Option("--notion", help="Play Notion, too: its API and its webhooks.")
    ] = False,
    slack: Annotated[
        bool, typer.Option("--slack", help="Play Slack, too: a channel that is told.")
    ] = False,
    sendgrid: Annotated[
        bool, typer.Option("--sendgrid", help="Play SendGrid, too: its API and its webhook.")
    ] = False,
    mailgun: Annotated[
        bool, typer.Option("--mailgun", help="Play Mailgun, too: its API and its webhooks.")
    ] = False,
    provider_events: Annotated[
        str,
        typer.Option(
            help="The service that gets the webhooks of SendGrid and Mailgun; empty: nobody."
        ),
    ] = "",
) -> None:
    """Run a local Amazon SES and SNS: accepts, judges and shows mail, posts signed events."""
    from app.sandbox.config import SandboxConfig
    from app.sandbox.main import run as run_sandbox
    from app.sandbox.notion.config import NotionConfig
    from app.sandbox.tracking.readers import parse_shares

    try:
        shares = parse_shares(readers)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--readers") from exc
    if signature_version not in {"1", "2"}:
        raise typer.BadParameter("must be 1 or 2", param_hint="--signature-version")
    run_sandbox(
        [
            listen(
                host,
                port + number,
                remedy="Another sandbox may run there: choose another place with --port.",
            )
            for number in range(1 + len(region or []))
        ],
        SandboxConfig(
            max_send_rate=rate,
            max_24h_send=quota,
            topic_arn=topic,
            event_endpoint=events or None,
            bounce_share=bounce_share,
            complaint_share=complaint_share,
            readers=shares,
            reader_seconds=reader_seconds,
            regions=tuple(region or []),
            public_url=public_url or None,
            accept_log=accept_log,
            signature_version="1" if signature_version == "1" else "2",
            notion=NotionConfig() if notion else None,
            slack=slack,
            sendgrid=sendgrid,
            mailgun=mailgun,
            provider_events=provider_events or None,
        ),
    )


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
    from app.outside import examine

    if links and mailout_id is None:
        raise typer.BadParameter("needs a MAILOUT_ID", param_hint="--links")
    if show_findings(run(examine(quiet_settings(), mailout_id, links=links))):
        raise typer.Exit(1)
