"""`mailouts engagement`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.exports import output
from app.cli.mailouts.group import app, with_store

if TYPE_CHECKING:
    from app.store import Store


@app.command("engagement")
def engagement(
    mailout_id: UUID,
    csv: Annotated[
        Path | None,
        typer.Option("--csv", help="Write what each recipient did; - is the standard output."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Tell who opened a mailout and followed its links, as far as it can be known."""

    async def work(store: Store) -> None:
        from app.services.drafts.subjects import Subjects
        from app.services.engagement.files import recipients_csv
        from app.services.engagement.reports import EngagementReports

        if csv is None:
            report = await EngagementReports(store, Subjects(store))(mailout_id)
            for line in _lines(report):
                typer.echo(line)
            return
        with output(csv, force=force) as out:
            async for part in recipients_csv(store, mailout_id):
                out.write(part)

    with_store(work)


def _lines(report: dict[str, Any]) -> Iterator[str]:
    from app.domain.engagement.words import number_range, people_range, share_range
    from app.domain.reports.words import plural

    if not report["tracking"]:
        yield "Its opens and clicks aren't tracked."
        return
    tracked = report["tracked"]
    yield f"{'tracked:':<10}{tracked:,}" + (" (it is being sent)" if report["partial"] else "")
    for kind in ("opens", "clicks"):
        span = report["range"][kind]
        share = share_range(span)
        yield (
            f"{kind + ':':<10}{people_range(span)}"
            + (f" ({share})" if share else "")
            + f", and {plural(report[kind]['machine'], 'machine')}"
        )
    if report["no_rate"]:
        yield report["no_rate"]
    if report["waiting"]:
        yield f"{plural(report['waiting'], 'reader')} did something that isn't judged yet."
    for link in report["links"]:
        followed = {"low": link["human"], "high": link["human"] + link["unknown"]}
        yield f"{number_range(followed):>11}  {link['url']}"
