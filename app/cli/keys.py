"""Commands about API keys."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.access import CLI, SCOPES, Scope, check_name

app = typer.Typer(no_args_is_help=True, help="Make, list and revoke API keys.")


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="By which the audit log knows it.")],
    scope: Annotated[list[str], typer.Option(help=f"{', '.join(SCOPES)}; repeat it for several.")],
) -> None:
    """Make a key and print it: it is shown this once."""
    from app.services.access.keys import Keys

    scopes = [_scope(one) for one in scope]
    try:
        name = check_name(name)
    except ValueError as exc:
        raise typer.BadParameter(str(exc), param_hint="NAME") from exc
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            made = await Keys(store).create(name, scopes, CLI)
        typer.echo(made["key"])
        typer.echo(
            f"Key {name} ({', '.join(made['scopes'])}), id {made['id']}. It isn't shown again.",
            err=True,
        )

    run(work())


def _scope(text: str) -> Scope:
    for scope in SCOPES:
        if text == scope:
            return scope
    raise typer.BadParameter(f"one of {', '.join(SCOPES)}", param_hint="--scope")


@app.command("list")
def list_() -> None:
    """List the living keys: id, beginning and end, name, scopes and last use."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            keys = await store.list_keys()
        for key in keys:
            used = key["last_used_at"]
            typer.echo(
                f"{key['id']}  {key['hint']}  {key['name']}  {','.join(key['scopes'])}  "
                + (f"last used {used[:16].replace('T', ' ')}" if used else "never used")
            )
        if not keys:
            typer.echo("There is no key.", err=True)

    run(work())


@app.command("revoke")
def revoke(key_id: UUID) -> None:
    """Refuse a key from now on; running services do so within two seconds."""
    from app.services.access.keys import Keys

    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            gone = await Keys(store).revoke(key_id, CLI)
        typer.echo(f"Key {gone['name']} is revoked.")

    run(work())
