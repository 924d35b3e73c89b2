"""Does what a person asks for by a row's Status, and says in the row what came of it.

Every way ends in an answer: done, or refused with words. The process may be killed at any moment;
whoever begins again finds what was done by the number of the press: a test mail and a start are
requests with that number as their key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn
from uuid import UUID

import structlog

from app.domain.notion.presses import Decision, Sight, answered, decide, refused
from app.domain.notion.row import Row
from app.domain.notion.send_at import SendAtInvalid, schedule_of
from app.domain.reports.findings import Finding
from app.errors import (
    AppError,
    AudienceChanged,
    DatabaseError,
    MailoutNotEditable,
    MailoutNotFound,
    NotionRefused,
    SesNotConfigured,
    Unavailable,
)
from app.services.checks.preflight import Preflight
from app.services.drafts.drafts import Drafts
from app.services.notion.rows import words
from app.services.notion.rows.content import PageContent, ReadContent, changes, snapshot
from app.services.starting.dry_run import DryRuns
from app.services.starting.schedule_mailout import ScheduleMailout
from app.services.starting.start_mailout import SendRequest, StartMailout
from app.settings import Settings
from app.store import Store

log = structlog.get_logger(__name__)

BY = "notion"
"""Who asks, for the audit log."""


class LookAgain(Exception):
    """The row, its page or its mailout isn't any more what it was at the beginning of this look."""


class Refusal(Exception):
    """Why something asked for isn't done, in words with the remedy. confirm: what a second `Send`
    confirms."""

    def __init__(self, problem: str, **confirm: Any) -> None:
        super().__init__(problem)
        self.problem, self.confirm = problem, confirm


@dataclass
class Press:
    """What is dealt with. row: as it was saved last. still_asked: looks at the page once more;
    raises LookAgain when something else is asked by now, or of others, or at another time.
    is_patient: whether a page is read once more on which somebody writes just now."""

    row: Row
    sight: Sight
    still_asked: Callable[[], Awaitable[Sight]]
    is_patient: bool = True

    @property
    def mailout_id(self) -> UUID:
        assert self.row.mailout_id is not None
        return self.row.mailout_id

    @property
    def key(self) -> str:
        """Of the request that a press is."""
        return f"notion:{self.row.page_id.hex}:{self.row.press}"

    @property
    def again(self) -> str:
        wanted = self.sight.status or "Send"
        return f"Then set Status to Draft, and to {wanted} when this text is gone."


@dataclass(frozen=True)
class Answers:
    store: Store
    settings: Settings
    read: ReadContent
    start: StartMailout
    schedules: ScheduleMailout
    drafts: Drafts
    preflight: Preflight
    dry_runs: DryRuns

    async def __call__(self, press: Press) -> Row:
        """Do what the row's latest press asks for, or refuse it, and say so in the row.

        Raises LookAgain, Unavailable, NotionRefused; then nothing is answered yet, and it is to be
        done again.
        """
        row = press.row
        row_log = log.bind(page_id=str(row.page_id), press=row.press)
        decision = decide(row)
        row_log.info("notion_press", asked=row.asked, act=decision.act)
        try:
            change = await self._act(press, decision)
        except Refusal as refusal:
            row_log.info("notion_press_refused")
            change = refused(row, refusal.problem, **refusal.confirm)
        except (Unavailable, NotionRefused, DatabaseError):
            raise
        except AppError as exc:
            row_log.warning("notion_press_failed", error=exc.detail)
            change = refused(row, f"{exc.detail} {press.again}")
        await self._save(press, change)
        return press.row

    async def _act(self, press: Press, decision: Decision) -> dict[str, Any]:
        if decision.refusal:
            raise Refusal(decision.refusal)
        match decision.act:
            case "test":
                return await self._test(press)
            case "send":
                return await self._send(press)
            case "pause":
                moved = await self.store.pause_mailout(
                    press.mailout_id, "person", "Paused by a person.", by=BY
                )
                _require(moved.status == "paused")
            case "resume":
                moved = await self.store.resume_mailout(press.mailout_id, by=BY)
                _require(moved.status == "sending")
            case "cancel":
                moved = await self.store.cancel_mailout(press.mailout_id, by=BY)
                _require(moved.status == "cancelled")
            case "take_back":
                await self._take_back(press)
            case "nothing":
                pass
        change = answered(press.row, delivery=decision.delivery)
        return change | {"problem": press.row.problem} if press.row.gone_at else change

    async def _take_back(self, press: Press) -> None:
        """Make it a draft again, which nothing sends."""
        if press.row.mailout_status == "scheduled":
            moved = await self.store.unschedule_mailout(press.mailout_id, by=BY)
            _require(moved.status == "ready")
        await self.store.unready_mailout(press.mailout_id, by=BY)

    async def _test(self, press: Press) -> dict[str, Any]:
        before = press.row.tested
        if before and await self.store.find_send_request(press.key):  # before we were killed
            found = [Finding.from_row(finding) for finding in before["findings"]]
            return await self._tested(press, press.mailout_id, found)
        mailout, content = await self._write(press)
        if content.failures:
            raise _refusal("No test was sent:", content.failures, press, content)
        if self.settings.dry_run_send:
            await self._rehearse(press, mailout)
        findings = [finding.to_row() for finding in content.findings]
        tested = snapshot(press.row.press, press.sight, content) | {"findings": findings}
        await self._save(press, {"tested": tested})
        try:
            with _plainly("No test was sent.", press.again, content.markdown):
                await self.start.test(
                    SendRequest(mailout_id=mailout, key=press.key, fingerprint="test", by=BY)
                )
        except Refusal:
            await self._save(press, {"tested": before})
            raise
        return await self._tested(press, mailout, content.findings, content.markdown)

    async def _tested(
        self, press: Press, mailout: UUID, findings: Iterable[Finding], markdown: str = ""
    ) -> dict[str, Any]:
        """The test mails are on their way; what speaks against sending it stands in the row."""
        found = [*findings, *await self.preflight.of_mailout(mailout)]
        around = await self.preflight.in_the_way()
        problem = words.tested(found, around, markdown, press.sight.audience)
        return answered(press.row, delivery="Test sent") | {"problem": problem}

    async def _send(self, press: Press) -> dict[str, Any]:
        schedule = self._schedule(press)
        if press.row.mailout_status == "scheduled":
            await self._take_back(press)
        began = datetime.now(UTC)
        mailout, content = await self._write(press)
        version = await self._version(mailout)
        if failures := content.failures or await self.preflight.blocking(mailout):
            raise _refusal("It was not sent:", failures, press, content)
        now = snapshot(press.row.press, press.sight, content)
        confirmed, tested = _confirmed(press.row, now["hash"]), press.row.tested
        if tested and not confirmed and (changed := changes(tested, now)):
            raise Refusal(words.since_test(changed), hash=now["hash"])
        if press.sight.doubts and not confirmed:
            doubts = "\n".join(press.sight.doubts)
            raise Refusal(f"It was not sent. {doubts} {words.ANYWAY}", hash=now["hash"])
        if self.settings.dry_run_send:
            await self._rehearse(press, mailout)
        await self._freeze(press, now | {"scheduled": schedule is not None}, bool(confirmed))
        await self._require_unchanged(press, content, began)
        released = await self.store.release_mailout(mailout, version, by=BY)
        _require(released.status == "ready")  # else it was edited in the dashboard meanwhile
        notes = await self._start(press, mailout, schedule, confirmed.get("count"))
        if not tested:
            notes.insert(0, "No test mail of it was sent before.")
        notes += [finding.sentences for finding in content.findings if finding.level == "warn"]
        return answered(press.row, note="\n".join(notes) or None)

    def _schedule(self, press: Press) -> dict[str, str] | None:
        sight = press.sight
        try:
            return schedule_of(sight.send_at, sight.time_zone, self.settings.timezone)
        except SendAtInvalid as exc:
            raise Refusal(f"It was not sent. {exc} {press.again}") from None

    async def _write(self, press: Press) -> tuple[UUID, PageContent]:
        """Make what the page says now the content of the row's draft."""
        row, sight = press.row, press.sight
        if not sight.title:
            raise Refusal(
                f"The row has no Name, which is the subject of the mail: write one. {press.again}"
            )
        mailout = row.mailout_id or await self.store.make_notion_mailout(row.page_id, sight.title)
        if mailout is None:
            other = await self.store.find_mailout(notion_page=row.page_id.hex)
            raise Refusal(
                "A mailout that was made by hand has this page (notion_page_id)"
                f"{f'; it is {other.status}' if other else ''}. Start that one, or take the page "
                "away from it."
            )
        if row.mailout_status == "ready":
            await self.store.unready_mailout(mailout, by=BY)
        content = await self.read(row.page_id)
        said = {
            "subject": sight.title,
            "preheader": sight.preheader,
            "audience": {"tags": list(sight.audience)} if sight.audience else None,
            "body_markdown": content.markdown,
            "body_html": None,
        }
        try:
            with _plainly("The row can't be a mail like this.", press.again):
                await self.drafts.edit(mailout, said, None, by=BY)
        except Refusal as refusal:
            match refusal.__cause__:
                case MailoutNotEditable():  # somebody else started it while the page was read
                    raise LookAgain from None
                case MailoutNotFound():
                    deleted = "The draft of this row was deleted while its page was read."
                    raise Refusal(f"{deleted} {press.again}") from None
            raise
        return mailout, content

    async def _version(self, mailout: UUID) -> int:
        found = await self.store.find_mailout(mailout)
        if found is None:
            raise LookAgain
        return found.version

    async def _require_unchanged(self, press: Press, content: PageContent, began: datetime) -> None:
        """Reading takes a while: whoever took `Send` back, corrected something and pressed it again
        meanwhile wants it sent as it is now. began: the reading. Raises LookAgain."""
        now = await press.still_asked()
        if press.is_patient and now.may_be_edited_since(began):
            _require((await self.read(press.row.page_id)).page == content.page)
            await press.still_asked()

    async def _freeze(self, press: Press, frozen: dict[str, Any], twice: bool) -> None:
        kept, twin = await self.store.freeze_notion_row(press.row, frozen, twice=twice)
        if twin is not None:
            state = "was sent already" if twin["status"] == "sent" else "is being sent"
            raise Refusal(
                f"It was not sent: another row, “{(twin['title'] or 'Untitled')[:60]}”, has the "
                f"very same text and {state}. Is this a copy? {words.ANYWAY}",
                hash=frozen["hash"],
            )
        if kept is None:
            raise LookAgain
        press.row = kept

    async def _start(
        self, press: Press, mailout: UUID, schedule: dict[str, str] | None, count: int | None
    ) -> list[str]:
        """Have what is released sent at its time. Gives what the person should know.

        count: of recipients, as confirmed. Raises Refusal; then it is a draft again.
        """
        send = SendRequest(
            mailout_id=mailout, key=press.key, fingerprint="send", by=BY, confirm_audience=count
        )
        try:
            with _plainly("It was not sent.", press.again):
                if schedule is None:
                    await self.start(send)
                    return []
                done = await self.schedules(mailout, schedule, confirm_audience=count, by=BY)
                return list(done["notes"])
        except AudienceChanged as exc:
            await self._recall(mailout)
            assert press.row.frozen
            confirm = {"hash": press.row.frozen["hash"], "count": exc.extra["count"]}
            raise Refusal(words.audience_changed(exc), **confirm) from None
        except Refusal:
            await self._recall(mailout)
            raise

    async def _recall(self, mailout: UUID) -> None:
        """Make a draft again of what wasn't started; raises LookAgain when somebody else started it
        meanwhile, or cancelled it."""
        moved = await self.store.unready_mailout(mailout, by=BY)
        _require(moved.status == "draft")

    async def _rehearse(self, press: Press, mailout: UUID) -> NoReturn:
        """Raises Refusal."""
        with _plainly("Nothing was sent.", press.again):
            await self.dry_runs.start(SendRequest(mailout_id=mailout, by=BY))
        raise Refusal(
            "Nothing was sent, because DRY_RUN_SEND is set: its dry run is on the mailout's page."
        )

    async def _save(self, press: Press, change: dict[str, Any]) -> None:
        saved = await self.store.save_notion_row(press.row, change)
        if saved is None:
            raise LookAgain
        press.row = saved


def _refusal(before: str, failures: Iterable[Finding], press: Press, page: PageContent) -> Refusal:
    audience = press.sight.audience
    return Refusal(words.refusal(before, failures, press.again, page.markdown, audience))


class _plainly:  # noqa: N801  reads as a verb
    """Turns a refusal of the service into one of the row, between a sentence before and after.
    markdown: what the page was made into."""

    def __init__(self, before: str, after: str, markdown: str = "") -> None:
        self._before, self._after, self._markdown = before, after, markdown

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AudienceChanged | Unavailable) or not isinstance(error, AppError):
            return
        if error.status < 500 or isinstance(error, SesNotConfigured):
            log.info("notion_row_refused", code=error.code)
            said = words.in_notion(error.detail, self._markdown)
            if isinstance(error, SesNotConfigured):
                said = words.not_set_up(error.extra["missing"])
            raise Refusal(f"{self._before} {words.capital(said)} {self._after}") from error


def _require(is_so: bool) -> None:
    """Somebody else moved the mailout meanwhile: decide anew."""
    if not is_so:
        raise LookAgain


def _confirmed(row: Row, content: str) -> Mapping[str, Any]:
    """What this `Send` confirms, as the one before was refused with the same content."""
    return row.confirm if row.confirm and row.confirm.get("hash") == content else {}
