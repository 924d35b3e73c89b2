"""Commands about subscribers."""

from __future__ import annotations

import typer

from app.cli import exports, imports, people

app = typer.Typer(no_args_is_help=True, help="Import, export, show, change and erase subscribers.")


app.command("import")(imports.import_)
app.command("imports")(imports.imports)
app.command("undo")(imports.undo)
app.command("export")(exports.export)
app.command("show")(people.show)
app.command("set")(people.set_status)
app.command("erase")(people.erase)
