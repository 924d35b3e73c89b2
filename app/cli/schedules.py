"""Commands that have a mailout start at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.mailouts import app
from app.cli.shared import ConfirmAudience, open_store, quiet_settings, run
from app.domain.access import CLI

if TYPE_CHECKING:
    from app.services.starting.schedule_mailout import ScheduleMailout
    from app.settings import Settings
    from app.store import Store


@app.command("schedule")
def schedule(
    mailout_id: UUID,
    at: Annotated[str, typer.Option(help="When, by the clock: 2026-12-01T09:00.")],
    zone: Annotated[
        str | None,
        typer.Option(help='Of which place: Europe/Berlin, or "recipient": each one\'s own.'),
    ] = None,
    fallback: Annotated[
        str | None, typer.Option(help="With recipient: the zone of those whose own isn't known.")
    ] = None,
    passed: Annotated[
        str | None,
        typer.Option(help="With recipient: now, next_day or skip, where the hour has passed."),
    ] = None,
    confirm_audience: ConfirmAudience = None,
) -> None:
    """Have a mailout that is ready start at a time, by TIMEZONE unless a zone is named."""
    given = {"at": at, "zone": zone, "fallback": fallback, "passed": passed}
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            done = await _schedules(store, settings)(
                mailout_id, given, confirm_audience=confirm_audience, by=CLI.by
            )
        for line in schedule_lines(done):
            typer.echo(line)
        for warning in done["warnings"]:
            typer.echo(f"warning: {warning}", err=True)

    run(work())


@app.command("unschedule")
def unschedule(mailout_id: UUID) -> None:
    """Take the schedule back: the mailout is ready again, and may be changed."""
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            await _schedules(store, settings).take_back(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} is ready, without a schedule.")

    run(work())


def _schedules(store: Store, settings: Settings) -> ScheduleMailout:
    from app.services.starting.schedule_mailout import ScheduleMailout
    from app.services.starting.start_mailout import StartMailout

    return ScheduleMailout(store, settings, StartMailout(store, settings))


def schedule_lines(done: dict[str, Any]) -> list[str]:
    """What was scheduled, in lines for a person."""
    lines = [
        f"Mailout {done['mailout_id']} is scheduled for {done['recipients']:,} recipients.",
        *done["notes"],
    ]
    for wave in done["waves"]:
        zones = ", ".join(wave["zones"][:3]) or "no known zone"
        more = f" and {len(wave['zones']) - 3} more" if len(wave["zones"]) > 3 else ""
        lines.append(f"{wave['at'][:16]}Z  {wave['recipients']:>10,}  {zones}{more}")
    unknown = sum(wave["unknown"] for wave in done["waves"])
    if unknown:
        lines.append(
            f"{unknown:,} of them have no zone that is known: they get it at the fallback's time."
        )
    if done["skipped"]:
        lines.append(f"{done['skipped']:,} are skipped: their hour has passed.")
    return lines
