"""`amazonsender standing`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.settings import Settings

app = typer.Typer()


@app.command()
def standing(
    look: Annotated[
        bool, typer.Option("--look", help="Look now, instead of showing the latest hourly look.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="All of it, as `GET /standing` gives it.")
    ] = False,
) -> None:
    """Tell how Amazon, mailbox providers and block lists see the sender. Exit code 1 where
    something must be put right."""
    settings = quiet_settings()
    found = run(_report(settings, look=look))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    else:
        from app.domain.standing.lines import lines

        for line in lines(found):
            typer.echo(line)
    if found["verdict"]["level"] == "fail":
        raise typer.Exit(1)


async def _report(settings: Settings, *, look: bool) -> dict[str, Any]:
    from app.services.standing.report import standing_report
    from app.standing import standing_work

    async with open_store(settings) as store:
        if look:
            if missing := settings.missing_to_send():
                raise ConfigurationError(f"Nothing can be looked at: set {', '.join(missing)}.")
            work = standing_work(store, settings)
            assert work is not None
            await work.look()
        return await standing_report(store)
