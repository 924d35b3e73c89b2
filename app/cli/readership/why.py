"""`amazonsender why`: why somebody got a mailout, or why not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from app.cli.shared import open_store, quiet_settings, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

app = typer.Typer()


@app.command("why")
def why(
    mailout_id: Annotated[UUID, typer.Argument(metavar="MAILOUT", help="The mailout's id.")],
    email: Annotated[str, typer.Argument(metavar="EMAIL", help="In any spelling.")],
    as_json: Annotated[
        bool, typer.Option("--json", help="All facts, as the API gives them.")
    ] = False,
) -> None:
    """Tell why somebody got a mailout, or why not: consent, audience, claim, events."""
    from app.services.readership.why import why_mailed

    async def work() -> None:
        async with open_store(quiet_settings()) as store:
            found = await why_mailed(store, mailout_id, email=email)
        if as_json:
            typer.echo(json.dumps(found, indent=2, ensure_ascii=False))
            return
        for line in _lines(found):
            typer.echo(line)

    run(work())


def _lines(found: dict[str, Any]) -> Iterator[str]:
    from app.domain.readership.told import lines

    return lines(found)
