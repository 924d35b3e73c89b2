"""Commands about subscribers."""

from __future__ import annotations

import typer

from app.cli import exports, imports

app = typer.Typer(no_args_is_help=True, help="Import and export subscribers.")


app.command("import")(imports.import_)
app.command("imports")(imports.imports)
app.command("undo")(imports.undo)
app.command("export")(exports.export)
