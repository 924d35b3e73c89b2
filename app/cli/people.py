"""`amazonsender subscribers show`, `set` and `erase`."""

from __future__ import annotations

import sys
from typing import Annotated, cast
from uuid import UUID

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.states import SUBSCRIBER_STATUSES

BY = "cli"
HISTORY_SHOWN = 200

Address = Annotated[str, typer.Argument(metavar="EMAIL", help="In any spelling.")]
_SETTABLE = tuple(status for status in SUBSCRIBER_STATUSES if status != "pending")


def show(email: Address) -> None:
    """Show all that is known of a person, with their history."""
    from app.domain.readership.told import seen_words
    from app.domain.reports.people import as_text, line
    from app.errors import SubscriberNotFound

    async def work() -> None:
        async with open_store(quiet_settings()) as store:
            person = await store.find_subscriber(email=email)
            if person is None:
                raise SubscriberNotFound
            history = await store.subscriber_history(person["id"], HISTORY_SHOWN)
            seen = await store.person_engagement(UUID(person["id"]), 0)
        for name in ("email", "name", "status", "bounce_type", "timezone", "created_at"):
            if person[name]:
                typer.echo(f"{name.replace('_', ' ') + ':':<13}{person[name]}")
        if person["tags"]:
            typer.echo(f"{'tags:':<13}{', '.join(person['tags'])}")
        for name, value in person["fields"].items():
            typer.echo(f"{name + ':':<13}{as_text(value)}")
        for said, value in (person.get("consent") or {}).items():
            typer.echo(f"{'consent:':<13}{said} {as_text(value)}")
        typer.echo(f"{'seen:':<13}{seen_words(seen)}")
        typer.echo("")
        for entry in map(line, history):
            typer.echo(f"{entry.at[:19].replace('T', ' ')}  {entry.title} {entry.by}".rstrip())
            if entry.imported:
                typer.echo(f"{'':<21}Import {entry.imported}")
            for words in entry.details:
                typer.echo(f"{'':<21}{words}")

    run(work())


def set_status(
    email: Address,
    status: Annotated[str, typer.Option(help=f"One of {', '.join(_SETTABLE)}.")],
    reason: Annotated[str, typer.Option(help="Kept in the person's history.")],
    asked: Annotated[bool, typer.Option("--asked", help="They asked for mail themselves.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Lift a complaint or a permanent bounce.")
    ] = False,
) -> None:
    """Change a person's status.

    Somebody who left gets mail again only when they asked for it; the reason says so, or --asked.
    """
    from app.domain.people import Change, says_they_asked
    from app.services.people.refusals import accepted

    if status not in _SETTABLE:
        raise typer.BadParameter(f"one of {', '.join(_SETTABLE)}", param_hint="--status")
    if not reason.strip() or not reason.isprintable():
        raise typer.BadParameter("say why, in one line", param_hint="--reason")
    change = cast(Change, {"status": status})

    async def work() -> None:
        async with open_store(quiet_settings()) as store:
            done = await store.change_subscriber(
                email,
                change,
                BY,
                reason=reason.strip(),
                asked=asked or says_they_asked(reason),
                force=force,
            )
        person = accepted(done)
        typer.echo(f"{person['email']} is {person['status']}.")

    run(work())


def erase(
    email: Address,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask at a terminal.")] = False,
) -> None:
    """Erase a person for good (GDPR, article 17).

    Name, address, fields and history go; the figures of past mailouts stay. No import brings the
    person back.
    """
    from app.errors import SubscriberNotFound

    if not yes and sys.stdin.isatty():  # a script has nobody to ask
        typer.confirm(f"Erase {email} for good?", abort=True)

    async def work() -> None:
        async with open_store(quiet_settings()) as store:
            done = await store.erase_subscriber(email, BY)
        if done is None:
            raise SubscriberNotFound
        typer.echo(
            f"Erased: {done['mails']} records of mails, {done['events']} events and "
            f"{done['changes']} entries of the history no longer tell who it was."
        )

    run(work())
