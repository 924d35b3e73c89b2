"""Commands about templates, which mailouts are written into."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.shared import OutputFile, open_store, quiet_settings, run
from app.domain.access import CLI
from app.domain.templates.names import check_name
from app.errors import ConfigurationError

if TYPE_CHECKING:
    from app.services.templates.templates import Saved, Templates
    from app.settings import Settings
    from app.store import Store

app = typer.Typer(no_args_is_help=True, help="Make, change and look at templates.")

KINDS = {
    ".html": "body_html",
    ".htm": "body_html",
    ".md": "body_markdown",
    ".markdown": "body_markdown",
}

File = Annotated[
    Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="FILE.html or FILE.md")
]
Which = Annotated[str, typer.Argument(metavar="TEMPLATE", help="Its name or its id.")]
Subject = Annotated[str | None, typer.Option(help="Proposed to new mailouts; Liquid allowed.")]
Layout = Annotated[
    str | None, typer.Option(help="The template whose content block it fills: name or id.")
]


@app.command("create")
def create(
    file: File,
    name: Annotated[str | None, typer.Option(help="Else that of the file.")] = None,
    subject: Subject = None,
    layout: Layout = None,
) -> None:
    """Store a template from a file and print its id. {{ content }} is where the text goes."""
    columns = {"name": _name(name or file.stem), "subject": subject, **_body(file)}
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            templates = _templates(store, settings)
            columns["layout_id"] = await _layout(templates, layout)
            saved = await templates.create(columns, by=CLI.by)
        typer.echo(saved.template["id"])
        _warn(saved)

    run(work())


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, max=1000)] = 200) -> None:
    """List templates, by name."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            rows = await store.list_templates(limit)
        for row in rows:
            typer.echo(f"{row['id']}  v{row['version']:<4} {row['kind']:8}  {row['name']}")
        if not rows:
            typer.echo("There is no template.", err=True)

    run(work())


@app.command("show")
def show(
    template: Which,
    version: Annotated[int | None, typer.Option(min=1, help="An earlier one.")] = None,
    output: OutputFile = None,
) -> None:
    """Write a template's text; name, version and versions go to stderr."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            templates = _templates(store, settings)
            found = await templates.find(template)
            rows = await store.list_template_versions(UUID(found["id"]), 20) or []
            if version is not None:
                found = await templates.show(UUID(found["id"]), version)
        typer.echo(f"{found['name']}, version {found['version']}, id {found['id']}", err=True)
        if found["subject"]:
            typer.echo(f"subject: {found['subject']}", err=True)
        for row in rows:
            when = row["created_at"][:16].replace("T", " ")
            typer.echo(f"  v{row['version']}  {when}  {row['by']}", err=True)
        _write(found["body_html"] or found["body_markdown"], output)

    run(work())


@app.command("update")
def update(
    template: Which,
    file: Annotated[
        Path | None,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="FILE.html or FILE.md"),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Another name.")] = None,
    subject: Subject = None,
    layout: Layout = None,
    no_layout: Annotated[bool, typer.Option("--no-layout", help="Take the layout away.")] = False,
    restore: Annotated[
        int | None, typer.Option(min=1, help="Save this earlier version again.")
    ] = None,
) -> None:
    """Save a new version. Drafts take it; what has started doesn't change."""
    changes: dict[str, Any] = _body(file) if file else {}
    if name is not None:
        changes["name"] = _name(name)
    if subject is not None:
        changes["subject"] = subject
    if layout and no_layout:
        raise typer.BadParameter("not with --layout", param_hint="--no-layout")
    asked = bool(changes or layout or no_layout)
    if asked == (restore is not None):
        raise typer.BadParameter("give a file or an option that says what changes")
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            templates = _templates(store, settings)
            found = UUID((await templates.find(template))["id"])
            if layout or no_layout:
                changes["layout_id"] = await _layout(templates, layout)
            saved = await (
                templates.change(found, changes, None, by=CLI.by)
                if restore is None
                else templates.restore(found, restore, None, by=CLI.by)
            )
        typer.echo(f"{saved.template['name']} is version {saved.template['version']} now.")
        _warn(saved)

    run(work())


@app.command("delete")
def delete(template: Which) -> None:
    """Take a template out of use, unless a mailout not started yet or a template needs it."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            templates = _templates(store, settings)
            found = await templates.find(template)
            await templates.delete(UUID(found["id"]), by=CLI.by)
        typer.echo(f"{found['name']} is deleted.")

    run(work())


@app.command("preview")
def preview(
    template: Which,
    output: OutputFile = None,
    email: Annotated[
        str | None, typer.Option("--as", help="The subscriber to show it for.")
    ] = None,
    text: Annotated[bool, typer.Option("--text", help="The text part.")] = False,
) -> None:
    """Write what a mailout with a sample text looks like in it."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            templates = _templates(store, settings)
            shown = await templates.preview(await templates.find(template), email=email)
        typer.echo(f"subject: {shown.subject}", err=True)
        for problem in shown.problems:
            typer.echo(f"warning: {problem}", err=True)
        _write(shown.text if text else shown.html, output)

    run(work())


def _templates(store: Store, settings: Settings) -> Templates:
    from app.services.templates.templates import Templates

    return Templates(store, settings)


async def _layout(templates: Templates, layout: str | None) -> str | None:
    return None if layout is None else str((await templates.find(layout))["id"])


def _name(name: str) -> str:
    try:
        return check_name(name)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="--name") from exc


def _body(file: Path) -> dict[str, Any]:
    column = KINDS.get(file.suffix.lower())
    if column is None:
        raise typer.BadParameter("must end in .html or .md", param_hint="FILE")
    try:
        return {column: file.read_text(encoding="utf-8-sig")}
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{file} is not UTF-8 text: save it as UTF-8.") from exc


def _write(text: str, output: Path | None) -> None:
    if output is None:
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    else:
        output.write_text(text, "utf-8")


def _warn(saved: Saved) -> None:
    for finding in saved.findings:
        typer.echo(f"warning: {finding.sentences}", err=True)
