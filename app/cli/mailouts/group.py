"""The group `mailouts`, and what its commands share."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import typer

from app.cli.shared import open_store, quiet_settings, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from app.services.drafts.drafts import Drafts
    from app.settings import Settings
    from app.store import Store

app = typer.Typer(
    no_args_is_help=True, help="Write, release, steer and list mailouts.", rich_markup_mode=None
)
outside = typer.Typer()
"""Commands outside of the group `mailouts`."""


def drafts_of(store: Store, settings: Settings) -> Drafts:
    from app.outside import OUTSIDE
    from app.services.checks.preflight import Preflight
    from app.services.drafts.drafts import Drafts
    from app.services.starting.schedule_mailout import ScheduleMailout
    from app.services.starting.start_mailout import StartMailout

    schedules = ScheduleMailout(store, settings, StartMailout(store, settings))
    return Drafts(store, settings, Preflight(store, settings, OUTSIDE), schedules)


def with_store(work: Callable[[Store], Coroutine[Any, Any, None]]) -> None:
    """Run `work` to its end with the store of the settings."""
    settings = quiet_settings()

    async def opened() -> None:
        async with open_store(settings) as store:
            await work(store)

    run(opened())


def with_drafts(work: Callable[[Drafts], Coroutine[Any, Any, None]]) -> None:
    settings = quiet_settings()

    async def opened() -> None:
        async with open_store(settings) as store:
            await work(drafts_of(store, settings))

    run(opened())
