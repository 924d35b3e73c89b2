"""Commands about subscribers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from app.cli import imports
from app.cli.shared import open_store, quiet_settings, run
from app.domain.states import SUBSCRIBER_STATUSES

app = typer.Typer(no_args_is_help=True, help="Import and export subscribers.")


app.command("import")(imports.import_)
app.command("imports")(imports.imports)
app.command("undo")(imports.undo)


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
