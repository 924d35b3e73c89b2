"""The command that shows a mail as a reader gets it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.mailouts import app
from app.cli.shared import open_store, quiet_settings, run
from app.errors import ConfigurationError

PARTS = {".html": "html", ".htm": "html", ".txt": "text"}


@app.command("preview")
def preview(
    mailout_id: UUID,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where to: FILE.html, or FILE.txt for the text.")
    ],
    as_: Annotated[
        str | None, typer.Option("--as", help="A subscriber's address: their mail.")
    ] = None,
    awkward: Annotated[
        bool, typer.Option("--awkward", help="Without --as: the reader whose data fit worst.")
    ] = False,
) -> None:
    """Write the mail of one reader into a file, made as it is when it is sent."""
    from app.services.preview.preview import Preview

    part = PARTS.get(output.suffix.lower())
    if part is None:
        raise typer.BadParameter("must end in .html or .txt", param_hint="--output")
    settings = quiet_settings()

    async def work() -> dict[str, Any]:
        async with open_store(settings) as store:
            return await Preview(store, settings)(
                mailout_id, email=as_, who="awkward" if awkward else "sample"
            )

    found = run(work())
    try:
        output.write_text(found[part], encoding="utf-8", newline="")
    except OSError as exc:
        raise ConfigurationError(f"{output} can't be written: {exc.strerror}.") from exc
    typer.echo(f"From: {found['from']}")
    typer.echo(f"To: {found['reader']['email']}")
    typer.echo(f"Subject: {found['subject']}")
    typer.echo(f"{found['size']:,} bytes, of which {found['html_size']:,} are HTML: {output}")
    for problem in found["problems"]:
        typer.echo(f"{problem['level']}: {problem['what']} To do: {problem['remedy']}", err=True)
