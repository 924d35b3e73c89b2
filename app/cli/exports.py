"""`subscribers export`."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.people import Filter
from app.domain.states import SUBSCRIBER_STATUSES


def export(
    file: Annotated[Path, typer.Argument(help="The file to write; - is the standard output.")],
    status: Annotated[str | None, typer.Option(help="Only those with this status.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="Only those with this tag; repeat for more.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Export subscribers as CSV, such that `import` reads the same list from it.

    The file appears when it is complete, readable for you alone.
    """
    from app.services.lists.export import Export

    if status is not None and status not in SUBSCRIBER_STATUSES:
        raise typer.BadParameter(f"one of {', '.join(SUBSCRIBER_STATUSES)}", param_hint="--status")
    wanted = Filter()
    if status is not None:
        wanted["status"] = status
    if tag:
        wanted["tags"] = tag
    settings = quiet_settings()

    async def work() -> int:
        async with open_store(settings) as store:
            export = Export(store, wanted)
            with output(file, force=force) as out:
                async for part in export.parts():
                    out.write(part)
            return export.count

    try:
        count = run(work())
    except OSError as exc:
        typer.echo(f"amazonsender: {file} can't be written: {exc.strerror}.", err=True)
        raise typer.Exit(1) from exc
    typer.echo(f"{count} subscribers written to {file}.", err=str(file) == "-")


@contextmanager
def output(file: Path, *, force: bool) -> Iterator[TextIO]:
    """Where to write. The file takes its place when all of it was written: an export that fails
    leaves what was there."""
    if str(file) == "-":
        yield sys.stdout
        sys.stdout.flush()
        return
    if file.exists() and not file.is_file() and not file.is_dir():  # a pipe or a device
        with file.open("w", encoding="utf-8", newline="") as device:
            yield device
        return
    _refuse(file, force=force)
    part = tempfile.NamedTemporaryFile(  # noqa: SIM115  renamed, not removed, in the end
        "w", encoding="utf-8", newline="", dir=file.parent, prefix=f".{file.name}.", delete=False
    )
    try:
        with part:
            yield part  # type: ignore[misc]
            part.flush()
            os.fsync(part.fileno())
        _refuse(file, force=force)  # somebody may have put one there meanwhile
        Path(part.name).replace(file)
    except BaseException:
        Path(part.name).unlink(missing_ok=True)
        raise


def _refuse(file: Path, *, force: bool) -> None:
    if file.is_dir() or not file.parent.is_dir():
        raise typer.BadParameter(f"{file} can't be written: name a file in a folder that is there")
    if file.exists() and not force:
        raise typer.BadParameter(f"{file} is there already; --force replaces it")
