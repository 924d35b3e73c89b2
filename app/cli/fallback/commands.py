"""`amazonsender fallback …`: whether another provider sends in SES's place."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.access import CLI
from app.domain.providers.words import provider_name

if TYPE_CHECKING:
    from app.services.providers.fallback import Fallback

app = typer.Typer(no_args_is_help=True, help="Another provider in SES's place: look, open, close.")

Reason = Annotated[str | None, typer.Option(help="For the history and the audit log.")]


@app.command("status")
def status() -> None:
    """Say whether a provider sends now, since when, why, and by whose word."""
    run(_with(_show))


@app.command("open")
def open_(
    provider: Annotated[
        str | None, typer.Argument(help="Of FALLBACK_PROVIDERS; else the first of it.")
    ] = None,
    reason: Reason = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask.")] = False,
) -> None:
    """Let a provider send to those who are queued, until SES can again."""

    async def work(fallback: Fallback) -> None:
        if not yes:
            for line in (await fallback.show(provider))["consequences"]:
                typer.echo(f"- {line}", err=True)
            typer.confirm("Open it?", abort=True, err=True)
        _tell(await fallback.open(provider, reason, by=CLI.by))

    run(_with(work))


@app.command("close")
def close(reason: Reason = None) -> None:
    """Let SES alone send."""

    async def work(fallback: Fallback) -> None:
        _tell(await fallback.close(reason, by=CLI.by))

    run(_with(work))


async def _with(work: Any) -> None:
    from app.services.providers.fallback import Fallback

    settings = quiet_settings()
    async with open_store(settings) as store:
        await work(Fallback(store, settings))


async def _show(fallback: Fallback) -> None:
    _tell(await fallback.show())


def _tell(state: dict[str, Any]) -> None:
    if state.get("changed") is False:
        typer.echo("Nothing was changed.")
    if state["open"]:
        by = state["by"] or "the rule"
        typer.echo(f"Open: {state['name']} sends, since {state['since'][:16]}, by {by}.")
    elif state["providers"]:
        who = " and ".join(provider_name(one) for one in state["providers"])
        typer.echo(f"Closed: SES alone sends. {who} could.")
    else:
        typer.echo("Closed: SES alone sends. FALLBACK_PROVIDERS names nobody else.")
    if state["reason"]:
        typer.echo(state["reason"])
