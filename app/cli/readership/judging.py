"""`amazonsender engagement recompute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from app.cli.shared import open_store, quiet_settings, run

if TYPE_CHECKING:
    from app.services.engagement.recompute import Progress

app = typer.Typer(no_args_is_help=True, help="Judge opens and clicks.")


@app.callback()
def _group() -> None:
    """So that the command keeps its name while it is the only one."""


@app.command()
def recompute(
    everybody: Annotated[
        bool, typer.Option("--all", help="Also what the present rules have judged.")
    ] = False,
    after: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Go on where an earlier run ended.")
    ] = 0,
) -> None:
    """Judge opens and clicks again that older rules judged, from what was kept of them."""
    from app.domain.engagement.rules import RULES
    from app.services.engagement.judge_recipients import JudgeRecipients
    from app.services.engagement.recompute import Progress
    from app.services.engagement.recompute import recompute as slices

    settings = quiet_settings()

    async def work() -> None:
        done = Progress(0, 0, after)
        async with open_store(settings) as store:
            judging = JudgeRecipients(store, settings)
            try:
                async for done in slices(
                    store, judging, everybody=everybody, after=after, by="cli"
                ):
                    typer.echo(_words(done), err=True)
            except BaseException:
                typer.echo(f"Ended early: go on with --after {done.after}.", err=True)
                raise
        typer.echo(f"{_words(done)} by rules {RULES}.")

    run(work())


def _words(done: Progress) -> str:
    return f"{done.looked:,} recipients looked at, {done.marked:,} judged anew"
