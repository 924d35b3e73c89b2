"""Commands about outgoing webhooks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.access import CLI

if TYPE_CHECKING:
    from app.services.hooks.hooks import Hooks

app = typer.Typer(no_args_is_help=True, help="Tell other programs what happens: webhooks.")

LISTED = 200
HookId = Annotated[UUID, typer.Argument(metavar="ID", help="As `hooks list` shows it.")]


@asynccontextmanager
async def _open() -> AsyncIterator[Hooks]:
    from app.services.hooks.hooks import Hooks

    settings = quiet_settings()
    async with open_store(settings) as store:
        yield Hooks(store, settings)


@app.command("create")
def create(
    url: Annotated[str, typer.Argument(help="Where it is sent.")],
    event: Annotated[
        list[str], typer.Option(help="Such as mailout.finished; repeat it for several.")
    ],
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    rate: Annotated[
        float | None, typer.Option(min=0.01, max=1000, help="At most so many a second.")
    ] = None,
) -> None:
    """Have events sent to an address, and print the secret: it is shown this once."""

    async def work() -> None:
        async with _open() as hooks:
            made = await hooks.create(url, event, CLI, description=note, rate_per_second=rate)
        typer.echo(made["secret"])
        typer.echo(f"Webhook {made['id']}. The secret isn't shown again.", err=True)

    run(work())


@app.command("list")
def list_() -> None:
    """List the webhooks: id, state, where to, events, and what waits or was given up."""

    from app.domain.hooks.words import shown_host

    async def work() -> None:
        async with _open() as hooks:
            found = await hooks.list_all()
        for hook in found:
            host, events = shown_host(hook["url"]), ",".join(hook["events"])
            typer.echo(
                f"{hook['id']}  {hook['state']:<8}  {host}  {events}  "
                f"{hook['waiting']:,} waiting, {hook['dead']:,} given up"
                + (f"  {hook['description']}" if hook["description"] else "")
            )
        if not found:
            typer.echo("There is no webhook.", err=True)

    run(work())


@app.command("show")
def show(hook_id: HookId) -> None:
    """Show all of one webhook but its secret."""

    async def work() -> None:
        async with _open() as hooks:
            hook = await hooks.show(hook_id)
        lines = {
            "address": hook["url"],
            "note": hook["description"],
            "state": hook["state"],
            "because": hook["reason"],
            "events": ", ".join(hook["events"]),
            "at most": f"{hook['rate_per_second']:g} a second",
            "waiting": f"{hook['waiting']:,}",
            "given up": f"{hook['dead']:,}",
            "delivered": _time(hook["delivered_at"]),
            "failing": hook["failing_since"] and f"since {_time(hook['failing_since'])}",
            "old secret": hook["old_secret_until"]
            and f"signs until {_time(hook['old_secret_until'])}",
            "made": f"{_time(hook['created_at'])} by {hook['created_by']}",
        }
        for name, value in lines.items():
            if value:
                typer.echo(f"{name + ':':<12}{value}")

    run(work())


@app.command("delete")
def delete(hook_id: HookId) -> None:
    """Send nothing there any more, also not what waits."""

    async def work() -> None:
        async with _open() as hooks:
            await hooks.delete(hook_id, CLI)
        typer.echo("Deleted.")

    run(work())


@app.command("off")
def off(hook_id: HookId) -> None:
    """Switch it off. What happens meanwhile isn't told later."""

    async def work() -> None:
        async with _open() as hooks:
            await hooks.disable(hook_id, CLI)
        typer.echo("It is off.")

    run(work())


@app.command("on")
def on(hook_id: HookId) -> None:
    """Switch it on again; what waited is sent."""

    async def work() -> None:
        async with _open() as hooks:
            await hooks.enable(hook_id, CLI)
        typer.echo("It is on.")

    run(work())


@app.command("rotate")
def rotate(hook_id: HookId) -> None:
    """Make a new secret and print it; the old one signs, too, for a day."""

    async def work() -> None:
        async with _open() as hooks:
            made = await hooks.rotate(hook_id, CLI)
        typer.echo(made["secret"])
        typer.echo(
            f"The old one signs, too, until {_time(made['old_secret_until'])}. The new one isn't "
            "shown again.",
            err=True,
        )

    run(work())


@app.command("test")
def send_test(
    hook_id: HookId,
    event: Annotated[
        str | None, typer.Option(help="Of which an example is sent; else the webhook's first.")
    ] = None,
) -> None:
    """Send an example and tell what was answered; exit code 1 if it wasn't taken."""
    from app.domain.hooks.words import delivery_words
    from app.services.hooks.trying import try_hook

    async def work() -> dict[str, Any]:
        async with _open() as hooks:
            return await try_hook(hooks, hook_id, CLI, event)

    sent = run(work())
    if not sent["attempts"]:
        typer.echo("Nobody has sent it yet: is `amazonsender serve` running?", err=True)
    else:
        typer.echo(delivery_words(sent), err=sent["state"] != "done")
    if sent["state"] != "done":
        raise typer.Exit(1)


@app.command("deliveries")
def deliveries(
    hook_id: HookId,
    state: Annotated[
        str | None, typer.Option(help="Only `waiting`, `sending`, `done` or `dead`.")
    ] = None,
) -> None:
    """List what was sent last, newest first, and what was answered."""
    from app.domain.hooks.words import delivery_words

    if state not in (None, "waiting", "sending", "done", "dead"):
        raise typer.BadParameter("one of waiting, sending, done, dead", param_hint="--state")

    async def work() -> None:
        async with _open() as hooks:
            off = (await hooks.show(hook_id))["state"] != "active"
            found = await hooks.deliveries(hook_id, state=state, limit=LISTED)
        for one in found:
            how = delivery_words(one, off=off)
            typer.echo(f"{one['id']}  {_time(one['occurred_at'])}  {one['type']}  {how}")
        if not found:
            typer.echo("There is none.", err=True)

    run(work())


@app.command("replay")
def replay(
    hook_id: HookId,
    delivery: Annotated[
        list[int] | None,
        typer.Option(help="Only this one; repeat it for several. Else all that were given up."),
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(help="Whatever was told since then, in UTC.")
    ] = None,
) -> None:
    """Send once more what was given up, or any that are over."""
    if delivery and since:
        raise typer.BadParameter("use this or --delivery, not both", param_hint="--since")
    moment = since and since.replace(tzinfo=UTC)

    async def work() -> None:
        async with _open() as hooks:
            count = await hooks.replay(hook_id, CLI, delivery or None, moment)
        typer.echo(f"{count:,} to be sent again.")

    run(work())


def _time(iso: str | None) -> str:
    return iso[:16].replace("T", " ") if iso else "never"
