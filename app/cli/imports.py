"""`subscribers import`, `subscribers imports`, `subscribers undo`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from app.cli.shared import quiet_settings, run
from app.domain.reports.words import plural
from app.running.importing import importing

if TYPE_CHECKING:
    from app.services.imports.imports import Imports, Options
    from app.settings import Settings

READ_BYTES = 1_000_000
LOOK_SECONDS = 0.3
"""How often the progress bar moves."""
SHOWN_REFUSALS = 20
SHOWN_IMPORTS = 50

_COUNTS = {
    "added": "added",
    "updated": "updated",
    "unchanged": "unchanged",
    "lowered": "with a status that became stricter",
    "repeated": "repeated in the file",
    "refused": "refused",
}
_LEFT = {
    "mailed": "got mail since",
    "changed": "changed since",
    "left": "had left or bounced since",
    "gone": "are no longer there",
}


def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)],
    mapped: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="COLUMN=FIELD", help="What a column means; repeatable."),
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", help="A tag for everybody; repeatable.")
    ] = None,
    mode: Annotated[
        Literal["upsert", "insert", "skip"],
        typer.Option(
            help="People who are known get what the file says (upsert), only a stricter status "
            "(insert), or nothing (skip)."
        ),
    ] = "upsert",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count and show, and change nothing.")
    ] = False,
    rejected: Annotated[
        Path | None,
        typer.Option(
            "--rejected", "--rejects", dir_okay=False, help="Write the refused rows to this CSV."
        ),
    ] = None,
) -> None:
    """Import a CSV file: an export of another tool, or of this one.

    What its columns mean is recognised and named; other columns become fields. Nobody who left is
    brought back, blank cells change nothing, and `undo` takes the import back.
    """
    from app.services.imports.imports import Options, checked_tags
    from app.services.lists.list_file import read_mapping

    if rejected is not None and rejected.exists():
        raise typer.BadParameter(f"{rejected} is there already", param_hint="--rejected")
    options = Options(
        mode,
        dry_run,
        checked_tags(tag or []),
        dict(read_mapping(text, "=") for text in mapped or []),
    )
    settings = quiet_settings()

    async def work() -> dict[str, Any]:
        async with _LocalImports(settings) as local:
            done = await local.import_file(file, options)
            if rejected is not None and done["refused"]:
                with rejected.open("x", encoding="utf-8", newline="") as out:
                    async for part in local.imports.rejected(UUID(done["id"])):
                        out.write(part)
            for line in report(done):
                typer.echo(line)
            if rejected is None and done["refused"]:
                await local.say_refusals(done)
            return done

    done = run(work())
    if done["state"] == "question":
        for question in done["question"]:
            typer.echo(_question(question), err=True)
        typer.echo("Nothing was imported. Say it, and import the file again.", err=True)
    elif done["state"] != "done":
        typer.echo(f"amazonsender: {done['error']}", err=True)
    if done["state"] != "done":
        raise typer.Exit(1)


def imports() -> None:
    """List earlier imports, the newest first."""
    settings = quiet_settings()

    async def work() -> None:
        async with _LocalImports(settings) as local:
            rows = await local.store.list_imports(SHOWN_IMPORTS)
        for row in rows:
            kind = " (dry run)" if row["dry_run"] else ""
            typer.echo(
                f"{row['id']}  {row['created_at'][:16].replace('T', ' ')}  {row['state']:<8}  "
                f"{row['rows']:>9,} rows  {row['file_name'] or ''}{kind}"
            )
        if not rows:
            typer.echo("Nothing was imported yet.")

    run(work())


def undo(import_id: Annotated[UUID, typer.Argument(metavar="IMPORT_ID")]) -> None:
    """Take an import back, except what happened to people since."""
    settings = quiet_settings()

    async def work() -> dict[str, Any]:
        async with _LocalImports(settings) as local:
            return await local.undo(import_id)

    done = run(work())
    if done["state"] != "undone":
        typer.echo(f"amazonsender: {done['error']}", err=True)
        raise typer.Exit(1)
    for line in undo_report(done["undo"]):
        typer.echo(line)


def report(done: dict[str, Any]) -> Iterator[str]:
    """What was found and done, without questions, errors and refused rows."""
    if done["encoding"] is not None:
        origin = f"{done['preset']}, " if done["preset"] else ""
        delimiter = {",": "commas", ";": "semicolons", "\t": "tabs"}.get(
            done["delimiter"], repr(done["delimiter"])
        )
        yield f"Read as: {origin}{done['encoding']}, {delimiter}"
    for warning in done["warnings"]:
        yield f"Note: {warning}"
    if done["state"] not in {"done", "failed"}:
        return
    counts = ", ".join(
        f"{done[name]:,} {words}"
        for name, words in _COUNTS.items()
        if done[name] or name == "added"
    )
    yield f"{plural(done['rows'], 'row')}: {counts}"
    if done["dry_run"]:
        for row in done["preview"]:
            tags = f"  [{', '.join(row['tags'])}]" if row["tags"] else ""
            name = f"  {row['name']}" if row["name"] else ""
            yield f"  {row['kind']:<9}  {row['status']:<12}  {row['email']}{name}{tags}"
        yield "Nothing was changed: this was a dry run."
    elif done["rows"]:
        yield f"To take it back: amazonsender subscribers undo {done['id']}"


def undo_report(undo: dict[str, Any]) -> Iterator[str]:
    yield f"Taken back: {undo['deleted']:,} removed, {undo['restored']:,} as they were before."
    for why, count in undo["left"].items():
        yield f"Left as they are: {count:,} who {_LEFT[why]}."


def _question(question: dict[str, Any]) -> str:
    """As `Question.in_full`."""
    said = " or ".join(
        f'--map "{answer["column"]}={answer["meaning"]}" ({answer["words"]})'
        for answer in question["answers"]
    )
    return f"{question['text']} Say {said}."


class _LocalImports:
    """Imports with a store of their own; their jobs are done here unless a service takes them."""

    def __init__(self, settings: Settings) -> None:
        with importing():
            from app.runtime import open_database

        self._database = open_database(settings)

    async def __aenter__(self) -> _LocalImports:
        database = await self._database.__aenter__()
        # Else the collector would look through all of it with each chunk: 2.5 µs a row.
        with importing():
            from app.services.imports.imports import Imports
            from app.services.imports.run_import import RunImport, import_kinds
            from app.services.jobs.runner import JobRunner
            from app.store import Store
            from app.store.jobs import JobStore

        self.store = Store(database)
        self.imports: Imports = Imports(self.store)
        self._runner = JobRunner(JobStore(database), import_kinds(RunImport(self.store)))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._database.__aexit__(*error)

    async def import_file(self, file: Path, options: Options) -> dict[str, Any]:
        with _progress() as tell:
            started = await self.imports.upload(
                _parts(file, lambda sent: tell("Sending the file: bytes", sent, None)),
                options,
                by="cli",
                file_name=file.name,
            )
            return await self._finish(UUID(started["id"]), "Importing", tell)

    async def undo(self, import_id: UUID) -> dict[str, Any]:
        with _progress() as tell:
            await self.imports.undo(import_id, by="cli")
            return await self._finish(import_id, "Taking it back", tell)

    async def say_refusals(self, done: dict[str, Any]) -> None:
        _, rows = await self.store.list_import_refusals(UUID(done["id"]), -1, SHOWN_REFUSALS)
        for row in rows:
            typer.echo(f"  line {row['line']}: {row['reason']}", err=True)
        if done["refused"] > len(rows):
            typer.echo("  … use --rejected FILE for all of them", err=True)

    async def _finish(self, import_id: UUID, title: str, tell: Tell) -> dict[str, Any]:
        """Do the import's job, or wait for the service that does it; give the import at its end."""
        work: asyncio.Task[bool] | None = None
        try:
            while True:
                found = await self.imports.show(import_id)
                if found["state"] not in {"running", "undoing"}:
                    return found
                progress = found["progress"] or {}
                tell(title, progress.get("done", 0), progress.get("total"))
                if work is None or work.done():
                    if work is not None:
                        work.result()
                    work = asyncio.create_task(self._runner.do(UUID(found["job_id"])))
                await asyncio.wait({work}, timeout=LOOK_SECONDS)
                if work.done() and not work.result():  # a service has taken it
                    await asyncio.sleep(LOOK_SECONDS)
        finally:
            if work is not None:
                work.cancel()
                with suppress(asyncio.CancelledError):
                    await work


async def _parts(file: Path, tell: Callable[[int], None]) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while part := await asyncio.to_thread(source.read, READ_BYTES):
            yield part
            tell(source.tell())


Tell = Callable[[str, int, int | None], None]


@contextmanager
def _progress() -> Iterator[Tell]:
    """A bar on a terminal, and nothing elsewhere."""
    if not sys.stderr.isatty():
        yield lambda _title, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar = bars.add_task("")

        def tell(title: str, done: int, total: int | None) -> None:
            bars.update(bar, description=title, completed=done, total=total)

        yield tell
