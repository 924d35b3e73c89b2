"""`mailouts create`, `update`, `duplicate`, `delete`: write a mailout before it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from app.cli.mailouts.group import app, with_drafts
from app.domain.access import CLI
from app.domain.notion.pages import NotAPage, page_id
from app.errors import ConfigurationError, PreconditionFailed, TemplateInvalid

if TYPE_CHECKING:
    from app.domain.reports.findings import Finding
    from app.services.drafts.drafts import Drafts

_KINDS = {
    ".html": "body_html",
    ".htm": "body_html",
    ".md": "body_markdown",
    ".markdown": "body_markdown",
}
_OTHER_BODY = {"body_html": "body_markdown", "body_markdown": "body_html"}
CLEARABLE = {
    "preheader": "preheader",
    "text": "body_text",
    "from-name": "from_name",
    "from-email": "from_email",
    "reply-to": "reply_to",
    "configuration-set": "configuration_set",
    "audience": "audience",
    "canary": "canary",
    "template": "template_id",
    "schedule": "schedule",
    "notion-page-id": "notion_page_id",
    "region": "region",
}
"""What `--clear` takes, and the columns."""

_FILE = {"exists": True, "dir_okay": False, "readable": True}

Preheader = Annotated[
    str | None, typer.Option(help="The line that inboxes show after the subject.")
]
Text = Annotated[
    Path | None, typer.Option(help="A file with the text part; derived when absent.", **_FILE)
]
FromName = Annotated[str | None, typer.Option(help="The sender's name that readers see.")]
FromEmail = Annotated[str | None, typer.Option(help="The sender's address; verified at SES.")]
ReplyTo = Annotated[str | None, typer.Option(help="Where answers go.")]
NotionPage = Annotated[
    str | None, typer.Option(help="The Notion page that triggers it: its link or its id.")
]
Tag = Annotated[
    list[str] | None, typer.Option(help="Only subscribers with this tag; may be repeated.")
]
Audience = Annotated[
    str | None, typer.Option(metavar="JSON", help="Whom it is for, as a rule (docs/audiences.md).")
]
Canary = Annotated[
    str | None,
    typer.Option(help="SHARE,WAIT such as 0.02,15m: that share first, then wait for events."),
]
Region = Annotated[
    str | None, typer.Option(help="Keep it to this one of SES_REGIONS (docs/regions.md).")
]
Template = Annotated[
    UUID | None, typer.Option(metavar="ID", help="The template that the text stands in.")
]
Tracking = Annotated[
    bool | None,
    typer.Option("--tracking/--no-tracking", help="Whether opens and clicks are watched."),
]


@app.command("create")
def create(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="FILE.html or FILE.md"),
    ],
    subject: Annotated[str, typer.Option(help="The subject; Liquid allowed.")],
    preheader: Preheader = None,
    text: Text = None,
    notion_page_id: NotionPage = None,
    tag: Tag = None,
    audience: Audience = None,
    canary: Canary = None,
    from_name: FromName = None,
    from_email: FromEmail = None,
    reply_to: ReplyTo = None,
    template: Template = None,
    tracking: Tracking = None,
    region: Region = None,
) -> None:
    """Create a draft from a file and print its id. What couldn't be sent is refused."""
    mailout = {"subject": subject, **_body(file, "FILE")} | _given(
        preheader=preheader, text=text, notion_page_id=notion_page_id, tag=tag, audience=audience,
        canary=canary, from_name=from_name, from_email=from_email, reply_to=reply_to,
        template=template, tracking=tracking, region=region,
    )  # fmt: skip

    async def work(drafts: Drafts) -> None:
        await drafts.check(mailout)
        created = await drafts.create(mailout, by=CLI.by)
        typer.echo(created.id)

    with_drafts(work)


@app.command("update")
def update(
    mailout_id: UUID,
    subject: Annotated[str | None, typer.Option(help="The subject; Liquid allowed.")] = None,
    html: Annotated[Path | None, typer.Option(help="A file with the HTML.", **_FILE)] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="A file with the Markdown.", **_FILE)
    ] = None,
    preheader: Preheader = None,
    text: Text = None,
    notion_page_id: NotionPage = None,
    tag: Tag = None,
    audience: Audience = None,
    canary: Canary = None,
    from_name: FromName = None,
    from_email: FromEmail = None,
    reply_to: ReplyTo = None,
    template: Template = None,
    tracking: Tracking = None,
    region: Region = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WHAT", help=f"Empty one of: {', '.join(CLEARABLE)}. May be repeated."
        ),
    ] = None,
) -> None:
    """Change a mailout that isn't sent yet: only what you name. Nobody else's change is
    overwritten. It may be unfinished; what speaks against sending it is told."""
    change: dict[str, Any] = {} if subject is None else {"subject": subject}
    if html and markdown:
        raise typer.BadParameter("a mail has one body: give --html or --markdown")
    for file, column in ((html, "body_html"), (markdown, "body_markdown")):
        if file is not None:
            change |= {column: _read(file), _OTHER_BODY[column]: None}
    change |= _given(
        preheader=preheader, text=text, notion_page_id=notion_page_id, tag=tag, audience=audience,
        canary=canary, from_name=from_name, from_email=from_email, reply_to=reply_to,
        template=template, tracking=tracking, region=region,
    )  # fmt: skip
    change |= _cleared(clear or [], change)
    if not change:
        raise typer.BadParameter("name what is to be changed, such as --subject")

    async def work(drafts: Drafts) -> None:
        before = await drafts.store.show_mailout(mailout_id)
        try:
            findings = await drafts.edit(mailout_id, change, {before["version"]}, by=CLI.by)
        except PreconditionFailed as exc:
            raise PreconditionFailed(
                "Somebody else changed the mailout at this very moment, and nothing of yours was "
                "stored. Look at it, then run the command again.",
                **exc.extra,
            ) from None
        for line in _changed_lines(mailout_id, before["status"], findings):
            typer.echo(line)
        if before["status"] == "draft":
            await _warn(drafts, mailout_id)

    with_drafts(work)


def _changed_lines(mailout_id: UUID, status: str, findings: list[Finding]) -> Iterator[str]:
    yield f"Mailout {mailout_id} is changed."
    if findings:
        yield "It was ready and is a draft again, because it can't be sent like this:"
        yield from (f"  {finding.sentences}" for finding in findings)
    elif status == "ready":
        yield "It still is ready: the next request sends it."


async def _warn(drafts: Drafts, mailout_id: UUID) -> None:
    """An unfinished draft is stored all the same."""
    mailout = await drafts.store.show_mailout(mailout_id)
    try:
        await drafts.check(mailout)
    except TemplateInvalid as exc:
        typer.echo(f"warning: it can't be sent like this yet. {exc.detail}", err=True)


@app.command("duplicate")
def duplicate(mailout_id: UUID) -> None:
    """Make a new draft of what a mailout says, to whom, and print its id."""

    async def work(drafts: Drafts) -> None:
        typer.echo(await drafts.duplicate(mailout_id, by=CLI.by))

    with_drafts(work)


@app.command("delete")
def delete(mailout_id: UUID) -> None:
    """Delete a draft. What was sent stays on record."""

    async def work(drafts: Drafts) -> None:
        await drafts.delete(mailout_id, by=CLI.by)
        typer.echo(f"Mailout {mailout_id} is deleted.")

    with_drafts(work)


def _given(
    *,
    text: Path | None,
    notion_page_id: str | None,
    tag: list[str] | None,
    audience: str | None,
    canary: str | None,
    template: UUID | None,
    **columns: Any,
) -> dict[str, Any]:
    """The columns that the options name."""
    from app.domain.sending.guards import parse_canary

    if tag and audience:
        raise typer.BadParameter("give --tag or --audience, not both")
    found = {
        **columns,
        "body_text": _read(text) if text else None,
        "notion_page_id": _notion_page(notion_page_id) if notion_page_id else None,
        "audience": {"tags": tag} if tag else _json(audience) if audience else None,
        "canary": parse_canary(canary) if canary else None,
        "template_id": str(template) if template else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _cleared(names: list[str], change: dict[str, Any]) -> dict[str, None]:
    cleared: dict[str, None] = {}
    for name in names:
        column = CLEARABLE.get(name)
        if column is None:
            raise typer.BadParameter(f"one of {', '.join(CLEARABLE)}", param_hint="--clear")
        if column in change:
            raise typer.BadParameter(f"{name} is given, too", param_hint="--clear")
        cleared[column] = None
    return cleared


def _body(file: Path, hint: str) -> dict[str, str]:
    column = _KINDS.get(file.suffix.lower())
    if column is None:
        raise typer.BadParameter("must end in .html or .md", param_hint=hint)
    return {column: _read(file)}


def _json(text: str) -> Any:
    from app.domain.given.strict_json import NotStrictJson, read_strict

    try:
        return read_strict(text)
    except NotStrictJson as exc:
        raise typer.BadParameter(
            f'{exc}. Write a rule such as \'{{"tags": ["news"]}}\'', param_hint="--audience"
        ) from exc


def _notion_page(text: str) -> str:
    try:
        return str(page_id(text))
    except NotAPage as exc:
        raise typer.BadParameter(str(exc), param_hint="--notion-page-id") from exc


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{file} is not UTF-8 text: save it as UTF-8.") from exc
