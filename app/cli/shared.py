"""What commands share: settings and log, the store, and how a coroutine is run to its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from app.domain.reports.findings import Finding
    from app.settings import Settings
    from app.store import Store

T = TypeVar("T")

ConfirmAudience = Annotated[
    int | None,
    typer.Option(
        min=0,
        metavar="COUNT",
        help="The number of recipients, where it was refused because that changed a lot.",
    ),
]
OutputFile = Annotated[
    Path | None, typer.Option("--output", "-o", help="A file; else standard output.")
]


def run(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`; a signal to stop ends it in good order."""
    from app.running.event_loop import run as run_to_the_end

    return run_to_the_end(work)


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[Store]:
    from app.runtime import open_database
    from app.store import Store

    async with open_database(settings) as database:
        yield Store(database)


def show_findings(findings: Sequence[Finding]) -> bool:
    """Print a line each; whether one of them fails."""
    for finding in findings:
        remedy = f" → {finding.remedy}" if finding.remedy else ""
        typer.echo(f"{finding.level:5}{finding.what}{remedy}")
    return any(finding.level == "fail" for finding in findings)


def loud_settings() -> Settings:
    """For commands that run until they are stopped: the log is as the settings want it."""
    from app.logs import configure_logging
    from app.settings import load_settings

    settings = load_settings()
    configure_logging(settings)
    return settings


def quiet_settings() -> Settings:
    """For commands that answer a person: at LOG_LEVEL=info, only warnings and errors are logged."""
    from app.logs import configure_logging
    from app.settings import load_settings

    settings = load_settings()
    if settings.log_level == "info":
        settings = settings.model_copy(update={"log_level": "warning"})
    configure_logging(settings)
    return settings
