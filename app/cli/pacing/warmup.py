"""Commands about warm-ups: daily caps for a new domain, IP address or region."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from app.cli.shared import open_store, quiet_settings, run
from app.domain.access import CLI

app = typer.Typer(no_args_is_help=True, help="Begin small with a new domain, IP address or region.")

Target = Annotated[
    int | None, typer.Option(min=50, metavar="MAILS", help="A day, at the end. Default: 50000.")
]


@app.command("plan")
def plan(target: Target = None) -> None:
    """Print the standard plan as CSV, to be changed and passed to `warmup start --plan`."""
    from app.domain.pacing.plan import to_csv
    from app.services.pacing.warmups import asked_plan

    typer.echo(to_csv(asked_plan(target=target)), nl=False)


@app.command("start")
def start(
    route: Annotated[str, typer.Argument(help="An SES region, or a fallback provider.")],
    target: Target = None,
    file: Annotated[
        Path | None,
        typer.Option("--plan", exists=True, dir_okay=False, help="CSV or JSON, a line a day."),
    ] = None,
) -> None:
    """Cap each day's mails by a route from now on."""
    from app.services.pacing.files import read_plan_file
    from app.services.pacing.warmups import Warmups, asked_plan

    if file is not None and target is not None:
        raise typer.BadParameter("give --plan or --target, not both")
    days = asked_plan(target=target) if file is None else read_plan_file(file.read_bytes())
    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            started = await Warmups(store, settings).start(route, days, by=CLI.by)
        typer.echo(
            f"{route} is warmed up from now on, in {started['plan_days']} days up to "
            f"{started['plan'][-1]['total']:,} mails a day. A running sender opens the first day."
        )

    run(work())


@app.command("show")
def show() -> None:
    """Each route's warm-up: which day of its plan, cap, used, what remains."""
    from app.services.pacing.warmups import Warmups

    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            warmups = await Warmups(store, settings).all()
        for warmup in warmups:
            typer.echo(_line(warmup))
        if not warmups:
            typer.echo("No route is being warmed up.", err=True)

    run(work())


def _line(warmup: dict[str, Any]) -> str:
    head = f"{warmup['region']}  {warmup['state']}  "
    head += f"day {warmup['day_number']} of {warmup['plan_days']}"
    if warmup["state"] != "running":
        return head
    if (today := warmup["today"]) is None:
        return f"{head}  not open yet: a running sender opens it"
    held = f"  repeated: {warmup['held']}" if warmup["held"] else ""
    return (
        f"{head}  {today['used']:,} of {today['cap']:,} sent today, {warmup['remains']:,} left"
        f"  ends {warmup['ends_on']} at the earliest{held}"
    )


@app.command("stop")
def stop(route: Annotated[str, typer.Argument(help="As `warmup show` lists it.")]) -> None:
    """Send without caps from now on."""
    from app.services.pacing.warmups import Warmups

    settings = quiet_settings()

    async def work() -> None:
        async with open_store(settings) as store:
            await Warmups(store, settings).stop(route, by=CLI.by)
        typer.echo(f"{route} sends without caps from now on.")

    run(work())
