"""Commands about subscribers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.states import SUBSCRIBER_STATUSES

app = typer.Typer(no_args_is_help=True, help="Import and export subscribers.")


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    rejects: Annotated[
        Path | None, typer.Option(help="Write the refused rows' reasons to a file.")
    ] = None,
) -> None:
    """Import a CSV: `email`, optional `name` and `tags`; other columns become fields.

    Importing a file again changes nothing, and nobody who left is brought back.
    """

    from app.services.lists.subscribers_csv import import_csv

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


@app.command("export")
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, writable=True)],
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
) -> None:
    """Export subscribers as CSV."""

    from app.services.lists.subscribers_csv import export_csv

    if status is not None and status not in SUBSCRIBER_STATUSES:
        raise typer.BadParameter(f"one of {', '.join(SUBSCRIBER_STATUSES)}", param_hint="--status")
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            with file.open("w", encoding="utf-8", newline="") as out:
                count = await export_csv(store, out, status=status)
        typer.echo(f"{count} subscribers written to {file}.")

    run(work())
