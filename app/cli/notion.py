"""Commands about the Notion database whose rows are newsletters."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.shared import open_store, quiet_settings, run, show_findings
from app.domain.notion.pages import NotAPage, page_id
from app.domain.reports.words import plural
from app.errors import ConfigurationError, NotionAway, NotionRefused

if TYPE_CHECKING:
    from uuid import UUID

    from app.domain.reports.findings import Finding
    from app.settings import Settings

app = typer.Typer(
    no_args_is_help=True, help="Make and check the Notion database whose rows are newsletters."
)


@app.command("init")
def init(
    parent: Annotated[
        str, typer.Option(metavar="PAGE", help="The page it is made on: its link or id.")
    ],
    another: Annotated[
        bool, typer.Option("--another", help="Also where one is there already; don't ask.")
    ] = False,
) -> None:
    """Make the database for newsletters on a page of Notion, with a sample that explains itself."""
    try:
        page = page_id(parent)
    except NotAPage as exc:
        raise typer.BadParameter(str(exc), param_hint="--parent") from exc
    settings = _settings()
    run(_init(settings, page, another=another))


async def _init(settings: Settings, page: UUID, *, another: bool) -> None:
    from app.outside import notion_api
    from app.services.notion.set_up import SetUp

    async with notion_api(settings) as notion:
        set_up = SetUp(notion, settings)
        try:
            if not another:
                _ask_about(await set_up.there_already(page))
            made = await set_up.make(page)
        except NotionAway as exc:
            again = "Run this again later: it looks first what is there."
            raise NotionAway(f"{exc.detail} {again}") from None
        typer.echo(f"ok   The database is made: {made.url}")
        async for finding in set_up.furnish(made):
            show_findings([finding])
    typer.echo(f"\nPut this line into .env:\n\nNOTION_DATABASE_ID={made.database_id}\n")
    if settings.notion_database_id:
        typer.echo("It names another database now, whose rows are left alone from then on.")
    typer.echo(
        "Then restart the service and run `amazonsender notion check`. In Notion open the sample, "
        "and set its Status to “Send test”. docs/notion.md says the rest."
    )


def _ask_about(there: list[UUID]) -> None:
    """Raises typer.Abort when the owner doesn't want another database."""
    if not there:
        return
    typer.echo("Such a database is on that page already. To use it, put this line into .env:\n")
    for one in there:
        typer.echo(f"NOTION_DATABASE_ID={one}")
    typer.confirm("\nMake another one all the same?", abort=True)


@app.command("check")
def check() -> None:
    """Say what is missing in Notion: properties, options, permissions, the way in; a line each."""
    settings = _settings_with_database()
    if show_findings(run(_check(settings))):
        raise typer.Exit(1)


async def _check(settings: Settings) -> list[Finding]:
    from app.outside import notion_api
    from app.services.notion.check import check_notion

    async with notion_api(settings) as notion:
        return await check_notion(notion, settings)


@app.command("sync")
def sync() -> None:
    """Look at every row, answer comments, and write the figures back: once, a line for each row.

    The service does the same all the time; this is to see at once what comes of it.
    """
    run(_sync(_settings_with_database()))


async def _sync(settings: Settings) -> None:
    from app.notion import notion_work
    from app.runtime import open_database
    from app.store import Store
    from app.store.jobs import JobStore
    from app.telemetry.metrics import Metrics

    async with (
        open_database(settings) as database,
        notion_work(Store(database), settings, Metrics()) as work,
    ):
        assert work is not None
        done = await work.sync(JobStore(database))()
        trouble = await Store(database).notion_trouble()
    for row in done.rows:
        typer.echo(row.line)
    typer.echo(
        f"{plural(done.looked, 'row')} looked at, {plural(done.answered, 'command')} answered, "
        f"{plural(done.written, 'row')} written."
    )
    if trouble:
        raise NotionRefused(trouble["trouble"])


@app.command("webhook")
def webhook() -> None:
    """Show the token that Notion sent for its webhook, and what to do with it."""
    from app.services.notion.webhook import unused_tokens

    settings = quiet_settings()
    known = run(_webhook(settings))
    url = f"{settings.app_base_url}/notion-events"
    is_set = settings.notion_webhook_verification_token is not None
    tokens = unused_tokens(known, settings)
    if is_set:
        typer.echo(f"The webhook is set up; its address is {url}")
        last = known["last_event"]
        typer.echo(f"The last event came on {_time(last)}." if last else "No event has come yet.")
    if is_set and tokens:
        typer.echo(
            "\nAnother webhook asks to be used. If you aren't replacing yours, a stranger posted "
            "this, and there is nothing to do.\n"
        )
    for each in tokens:
        typer.echo(f"{each['token']}  (came on {_time(each['received_at'])})")
    if tokens:
        place = ", in place of the one there" if is_set else ""
        typer.echo(
            "\nPaste it into Notion's window (Verify subscription). The one that Notion takes goes "
            f"into .env as NOTION_WEBHOOK_VERIFICATION_TOKEN{place}; then restart the service."
        )
    elif not is_set:
        typer.echo(
            "No token came in the last hour. In Notion, open the settings of your connection, then "
            f"Webhooks, Create a subscription, and give this address: {url}"
        )


def _time(iso: str) -> str:
    at = datetime.fromisoformat(iso).astimezone(UTC)
    return f"{at.day} {at:%B, %H:%M:%S} UTC"


async def _webhook(settings: Settings) -> dict[str, Any]:
    async with open_store(settings) as store:
        return await store.notion_webhook()


def _settings() -> Settings:
    from app.services.notion.check import HOW_TO_CONNECT

    settings = quiet_settings()
    if not settings.notion_api_token:
        raise ConfigurationError(f"NOTION_API_TOKEN is not set: {HOW_TO_CONNECT}")
    return settings


def _settings_with_database() -> Settings:
    settings = _settings()
    if not settings.notion_database_id:
        raise ConfigurationError(
            "NOTION_DATABASE_ID is not set: run `amazonsender notion init --parent PAGE`, which "
            "makes the database, or set it to the link of one that you have."
        )
    return settings
