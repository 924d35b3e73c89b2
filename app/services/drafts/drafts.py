"""Mailouts before they are sent: written, changed, copied, released and taken back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.domain.mailouts import Created, Mailout, MailoutContent
from app.domain.reports.findings import Finding
from app.domain.untrusted import plain
from app.domain.writing.drafts import TWO_BODIES, checked
from app.errors import (
    AppError,
    AudienceEmpty,
    DatabaseUnavailable,
    InvalidRequest,
    MailoutNotEditable,
    MailoutNotFound,
    NotSendable,
    PreconditionFailed,
    TransitionNotAllowed,
    Unavailable,
)
from app.services.checks.content import NOBODY
from app.services.checks.preflight import Preflight
from app.services.rendering import tasks
from app.services.rendering.renderer import RENDERER
from app.services.starting.schedule_mailout import ScheduleMailout
from app.services.starting.start_mailout import being_edited
from app.settings import Settings
from app.store import Store

_MAX_CHANGES = 5
"""How often others may write it between reading and writing before we give up."""

Versions = Collection[int] | None
"""Those that the caller has read; None: whatever it is now."""


@dataclass(frozen=True)
class Drafts:
    """by: who asks, for the audit log. Every method raises MailoutNotFound."""

    store: Store
    settings: Settings
    preflight: Preflight
    schedules: ScheduleMailout

    async def create(self, mailout: Mapping[str, Any], *, by: str) -> Created:
        """Store a draft, finished or not. mailout: its columns; a subject is among them.

        Raises InvalidRequest, NotionPageTaken.
        """
        return await self.store.add_mailout(self._checked({"subject": None, **mailout}), by=by)

    async def check(self, mailout: Mapping[str, Any]) -> None:
        """Raises TemplateInvalid for what couldn't be sent like this; for authors who have their
        text in a file, and nothing to lose."""
        content = await self.store.content_of(mailout)
        await RENDERER(tasks.check_draft, self.settings, content)

    async def edit(
        self, mailout_id: UUID, change: Mapping[str, Any], versions: Versions, *, by: str
    ) -> list[Finding]:
        """Change columns of a draft or a ready mailout, or the region alone of a paused one. One
        that was ready and couldn't be sent any more goes back to draft: what is written is kept,
        and the findings say why.

        Raises InvalidRequest, MailoutNotEditable, PreconditionFailed, NotionPageTaken; then nothing
        is changed.
        """
        columns = self._checked(change)
        for _ in range(_MAX_CHANGES):
            mailout = await self._find(mailout_id)
            if not _is_editable(mailout, columns):
                raise _not_editable(mailout)
            _require_version(mailout.version, versions)
            _require_one_body(mailout.content, columns)
            if columns.get("schedule") and mailout.status == "ready":
                raise InvalidRequest(
                    "schedule: the mailout is ready; schedule it (POST …/schedule), or take it "
                    "back first."
                )
            edited = await self.store.edit_mailout(mailout_id, mailout.version, columns, by=by)
            if edited.changed:
                if edited.status == "ready" and edited.version != mailout.version:
                    return await self._recall(mailout_id, edited.version, by)
                return []
        raise being_edited()

    async def _recall(self, mailout_id: UUID, version: int, by: str) -> list[Finding]:
        """What is ready was checked, so one that can't be checked now is a draft again, too. A
        request to send it meanwhile does no harm: it checks the content itself."""
        try:
            findings = await self.preflight.blocking(mailout_id)
        except DatabaseUnavailable:
            raise
        except Unavailable as exc:
            findings = [Finding("fail", f"It can't be checked: {exc.detail}", "release it again.")]
        if findings:
            await self.store.unready_mailout(
                mailout_id, version, reason=f"It can't be sent: {_words(findings)}", by=by
            )
        return findings

    async def release(self, mailout_id: UUID, *, by: str) -> None:
        """Make a draft ready, and schedule one that names its time. Raises TransitionNotAllowed for
        what is no draft; AudienceEmpty and NotSendable with the `findings` when it couldn't be
        sent; what scheduling raises. Then nothing is changed."""
        for _ in range(_MAX_CHANGES):
            mailout = await self._find(mailout_id)
            if mailout.status == "draft":
                _require_sendable(mailout, await self.preflight.blocking(mailout_id))
            moved = await self.store.release_mailout(mailout_id, mailout.version, by=by)
            if moved.changed:
                await self._schedule(mailout_id, by)
                return
            if moved.status != "draft":
                raise TransitionNotAllowed(
                    f"Mailout {mailout_id} is {moved.status}, not draft.",
                    mailout_status=moved.status,
                )
        raise being_edited()

    async def _schedule(self, mailout_id: UUID, by: str) -> None:
        wanted = (await self.store.mailout_headline(mailout_id))["schedule"]
        if wanted is None:
            return
        try:
            await self.schedules(mailout_id, wanted, by=by)
        except AppError:
            await self.store.unready_mailout(mailout_id, by=by)
            raise

    async def take_back(self, mailout_id: UUID, *, by: str) -> None:
        """Make a ready one a draft again. Raises TransitionNotAllowed."""
        moved = await self.store.unready_mailout(mailout_id, by=by)
        if not moved.changed:
            raise TransitionNotAllowed(
                f"Mailout {mailout_id} is {moved.status}; only a ready one goes back to draft.",
                mailout_status=moved.status,
            )

    async def duplicate(self, mailout_id: UUID, *, by: str) -> UUID:
        """The id of a new draft with its content, audience and template."""
        return await self.store.duplicate_mailout(mailout_id, by=by)

    async def delete(self, mailout_id: UUID, versions: Versions = None, *, by: str) -> None:
        """Delete a draft. Raises TransitionNotAllowed for what is none, PreconditionFailed."""
        for _ in range(_MAX_CHANGES):
            mailout = await self._find(mailout_id)
            if mailout.status != "draft":
                raise _not_deletable(mailout_id, mailout.status)
            _require_version(mailout.version, versions)
            deleted = await self.store.delete_mailout(mailout_id, mailout.version, by=by)
            if deleted.changed:
                return
        raise being_edited()

    def _checked(self, columns: Mapping[str, Any]) -> dict[str, Any]:
        stored = checked(columns, self.settings.timezone)
        names = self.settings.region_names
        if stored.get("region") and stored["region"] not in names:
            raise InvalidRequest(
                f"region: nothing is sent from {plain(stored['region'], 40)}; there are "
                f"{', '.join(names) or 'none (set AWS_REGION)'}."
            )
        return stored

    async def _find(self, mailout_id: UUID) -> Mailout:
        mailout = await self.store.find_mailout(mailout_id)
        if mailout is None:
            raise MailoutNotFound(f"There is no mailout {mailout_id}.")
        return mailout


def etag(version: int) -> str:
    """Of a mailout, as HTTP writes it."""
    return f'"{version}"'


def _require_version(version: int, read: Versions) -> None:
    if read is not None and version not in read:
        raise PreconditionFailed(
            "Somebody changed the mailout since you read it. Read it again, put the two together "
            f"and send that with If-Match: {etag(version)}.",
            etag=etag(version),
        )


def _require_one_body(content: MailoutContent, columns: Mapping[str, Any]) -> None:
    """Else a change to the body that isn't sent would seem to do something."""
    if not columns.keys() & {"body_html", "body_markdown"}:
        return
    html = columns.get("body_html", content.body_html)
    markdown = columns.get("body_markdown", content.body_markdown)
    if html and markdown:
        raise InvalidRequest(TWO_BODIES)


def _require_sendable(mailout: Mailout, findings: list[Finding]) -> None:
    if not findings:
        return
    refusal = AudienceEmpty if findings == [NOBODY] else NotSendable
    raise refusal(
        f"Mailout {mailout.id} can't be sent like this: {_words(findings)}",
        mailout_status=mailout.status,
        findings=[finding.to_row() for finding in findings],
    )


def _words(findings: list[Finding]) -> str:
    return " ".join(finding.sentences for finding in findings)


def _is_editable(mailout: Mailout, columns: Mapping[str, Any]) -> bool:
    """What is sent is frozen with the start. From where isn't: else nobody could be mailed who was
    left when a region was given up."""
    if mailout.status == "paused":
        return columns.keys() == {"region"}
    return mailout.status in {"draft", "ready"}


def _not_editable(mailout: Mailout) -> MailoutNotEditable:
    remedy = {
        "scheduled": "Take it off its schedule first.",
        "sending": "What it sends was frozen when it started; pause it to change its region.",
        "paused": "What it sends was frozen when it started; its region alone can be changed.",
    }.get(mailout.status, "Duplicate it, and edit the copy.")
    return MailoutNotEditable(
        f"Mailout {mailout.id} is {mailout.status}: only drafts and ready ones are edited. "
        f"{remedy}",
        mailout_status=mailout.status,
    )


def _not_deletable(mailout_id: UUID, status: str) -> TransitionNotAllowed:
    remedy = "Make it a draft first." if status == "ready" else "What was sent stays on record."
    return TransitionNotAllowed(
        f"Mailout {mailout_id} is {status}: only drafts are deleted. {remedy}",
        mailout_status=status,
    )
