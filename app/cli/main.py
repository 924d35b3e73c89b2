"""The `amazonsender` command and its parts."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Annotated, NoReturn

import typer

from app import __version__
from app.cli import (
    keys,
    mailouts,
    notion,
    previews,
    schedules,
    service,
    standing,
    subscribers,
    templates,
)
from app.cli.fallback import commands as fallback
from app.cli.hooks import commands as hooks
from app.cli.mailouts import engagement, lists, sending, steering, writing
from app.cli.pacing import warmup
from app.cli.readership import judging, why
from app.cli.telling import slack
from app.errors import AppError
from app.running.leaving import leave

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich takes longer to import than a command to run
    help="Sends a mailout from Postgres or Supabase through Amazon SES: never twice, never lost.",
)
app.add_typer(service.app)
app.add_typer(mailouts.outside)
app.add_typer(why.app)
app.add_typer(standing.app)
app.add_typer(subscribers.app, name="subscribers")
app.add_typer(mailouts.app, name="mailouts")
# Each adds its commands to those of mailouts/group.py.
_ = (engagement, lists, previews, schedules, sending, steering, writing)
app.add_typer(templates.app, name="templates")
app.add_typer(judging.app, name="engagement")
app.add_typer(keys.app, name="keys")
app.add_typer(notion.app, name="notion")
app.add_typer(hooks.app, name="hooks")
app.add_typer(warmup.app, name="warmup")
app.add_typer(slack.app, name="slack")
app.add_typer(fallback.app, name="fallback")


EXIT_SECONDS = 9.5
"""How long a command may take to end after SIGTERM; then the process is ended."""


def main() -> NoReturn:
    """The `amazonsender` command."""
    # Before anything is imported for the command: process 1 of a container ignores SIGTERM as long
    # as it has no handler.
    signal.signal(signal.SIGTERM, _end)
    leave(_outcome())


def _outcome() -> int:
    """The exit code of the command that was asked for, run to its end."""
    try:
        app()
    except AppError as error:
        typer.echo(f"amazonsender: {' '.join(error.detail.split())}", err=True)
    except BrokenPipeError:  # `amazonsender … | head`
        pass
    except SystemExit as end:  # how typer ends, and what `_end` raises
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001  a bug; `leave` waits for no threads
        sys.excepthook(*sys.exc_info())
    return 1


def _end(number: int, _: FrameType | None) -> NoReturn:
    """Handles SIGTERM for commands without a handler of their own.

    SystemExit, so that `finally` blocks run; after EXIT_SECONDS the process ends in any case.
    """
    signal.signal(number, signal.SIG_IGN)
    last_resort = threading.Timer(EXIT_SECONDS, leave, args=(128 + number,))
    last_resort.daemon = True
    last_resort.start()
    sys.exit(128 + number)


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
