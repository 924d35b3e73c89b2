"""The `amazonsender` command and its parts."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from app import __version__
from app.cli import mailouts, service, subscribers
from app.errors import AppError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes longer to import than a command to run
    help="Sends a mailout from Postgres or Supabase through Amazon SES: never twice, never lost.",
)
app.add_typer(service.app)
app.add_typer(mailouts.sending)
app.add_typer(subscribers.app, name="subscribers")
app.add_typer(mailouts.app, name="mailouts")


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
