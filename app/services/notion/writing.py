"""Writes into the rows of the Notion database what became of their mailouts.

A loop of its own: it takes rows that are due (`notion_writes`), works out what they are to say, and
writes what differs. Notion may refuse, be slow, or be away for days: a row then waits, and says the
latest when it is written. Nothing that sends knows of it.

One process at a time holds a row, by a lease, and gives up its request before the lease ends. Who
takes a row over from one that died, or whose request had no answer, reads it first: so older
figures never stay over newer ones.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import structlog

from app.domain.notion.figures import FIGURES, Values, values
from app.domain.notion.properties import PROPERTIES, plain_text, read, write
from app.domain.notion.schema import Schema
from app.domain.notion.visits import LIVE_SECONDS, Call, call_for_person, statement_due, visit
from app.domain.notion.writes import Write, Written
from app.domain.sending.backoff import backoff_seconds
from app.errors import ConfigurationError, NotionAway, NotionRefused, Unavailable
from app.ports import Notion
from app.running.loops import Loops
from app.services.notion.statement_file import StatementFile
from app.services.notion.workspace import Workspace
from app.settings import Settings
from app.store import Store
from app.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)

AT_ONCE = 4
"""Rows; the client's pace is the limit."""
POLL_SECONDS = 1.0
GAP_SECONDS = 2.0
"""Between two writes of one row. Mere figures wait for longer (LIVE_SECONDS)."""
LEASE_SECONDS = 60.0
BUDGET_SECONDS = 45.0
"""For all requests of one row: the rest of the lease is for recording it."""
AWAY_SECONDS = 30.0
"""How long Notion is left alone that is away and doesn't say for how long."""
REFUSED_SECONDS, REFUSED_CAP_SECONDS = 60.0, 3600.0
"""Until a row that Notion refused is tried again; twice as long for each further time."""
CONCERN_ALL = (401, 403)
"""Status codes of a revoked token and a lacking capability: no other row would fare better."""
TRIES_OF_A_LOST_PAGE = 40
"""Of a row in the bin, or that isn't shown to us, when nothing happens there any more."""
MUTE_SECONDS = 3600.0
"""How long no comment is tried after one wasn't allowed."""
TOLD_KEPT = 20

_KINDS = {each.name: each.kind for each in PROPERTIES}
STATEMENT = "Statement"


class Writing:
    """monotonic, now: tell the time."""

    def __init__(
        self,
        store: Store,
        notion: Notion,
        workspace: Workspace,
        settings: Settings,
        metrics: Metrics,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._notion = notion
        self._workspace = workspace
        self._names = settings.notion_names
        self._base_url = settings.app_base_url
        self._zone = ZoneInfo(settings.timezone)
        self._statements = StatementFile(store, notion, settings.app_base_url)
        self._metrics = metrics
        self._monotonic = monotonic
        self._now = now
        self._asking = asyncio.Lock()
        self._rests_until = float("-inf")
        self._mute_until = float("-inf")

    def start(self, loops: Loops) -> None:
        loops.start("notion_writing", self.step, POLL_SECONDS, kind="notion")

    async def step(self) -> int:
        """Write the rows that are due, AT_ONCE at most; give how many there were. None are taken
        while Notion wants to be left alone. Raises Unavailable, DatabaseError of the database."""
        if self._monotonic() < self._rests_until:
            return 0
        due = await self._store.claim_notion_writes(AT_ONCE, LEASE_SECONDS, GAP_SECONDS)
        ended = await asyncio.gather(*(self._write(one) for one in due), return_exceptions=True)
        for error in ended:
            if error is not None:
                raise error
        return len(due)

    async def _write(self, due: Write) -> None:
        """Write one row, and record how that went."""
        attempt = _Attempt(due, dict(due.written), due.told)
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                await self._tell(attempt)
            done = self._went_well(attempt)
        except (NotionAway, TimeoutError) as exc:
            done = self._was_away(attempt, exc)
        except NotionRefused as exc:
            done = self._was_refused(attempt, exc)
        except _PageGone as exc:
            done = self._failed(attempt, str(exc), is_lost=True)
        except _DatabaseGone as exc:
            done = self._nobody_fares_better(attempt, str(exc))
        except asyncio.CancelledError:  # this process ends
            done = attempt.as_written(sure=False, error=due.error, next_seconds=0)
            await asyncio.shield(self._store.settle_notion_write(due, done, GAP_SECONDS))
            raise
        except Unavailable:
            raise  # the database: the lease ends by itself
        except Exception:
            log.exception("notion_write_failed", page_id=str(due.page_id))
            done = self._failed(attempt, "A fault of ours; the log has it.")
        if not await self._store.settle_notion_write(due, done, GAP_SECONDS):
            log.info("notion_write_lost", page_id=str(due.page_id))

    async def _tell(self, attempt: _Attempt) -> None:
        """Figures and words, then the closing statement, then what needs a person."""
        due, now = attempt.due, self._now()
        if due.row.get("gone_at"):
            return
        wanted = values(due.row, due.mailout, base_url=self._base_url, zone=self._zone, now=now)
        if due.statement_for is None:
            wanted[STATEMENT] = None  # a duplicated row has that of the other's mailout
        attempt.postponed = _too_soon(due, wanted)
        if attempt.postponed:
            return
        statement = statement_due(due, now)
        # Nobody looks at a row any more whose mailout has ended: it may have been moved to where
        # properties of the same name are other people's.
        attempt.must_read = (
            not due.sure
            or statement is not None
            or _has_ended(due)
            or visit(due.mailout, now).reads
        )
        schema = await self._write_values(attempt, wanted)
        if statement is not None and STATEMENT in schema.writable:
            await self._write_statement(attempt, statement)
        call = call_for_person(due.row, due.mailout, base_url=self._base_url, now=now)
        if call is not None and call.key not in due.told:
            await self._comment(attempt, call)

    # -- figures and words

    async def _write_values(self, attempt: _Attempt, wanted: Values) -> Schema:
        """What differs, in one request. A property that isn't there any more, or is of another
        type, is left out; the others are written all the same. Gives what is there."""
        schema = await self._schema()
        if attempt.must_read:
            schema = await self._read_row(attempt)
        if await self._patch(attempt, _differences(wanted, attempt.written, schema)):
            self._workspace.forget_schema()
            schema = await self._read_row(attempt)
            changes = _differences(wanted, attempt.written, schema)
            if await self._patch(attempt, changes):
                await self._patch_one_by_one(attempt, changes)
        self._note_missing(attempt, schema)
        return schema

    async def _schema(self) -> Schema:
        """Asked once, also by rows that are written at once. Raises _DatabaseGone."""
        try:
            async with self._asking:
                return await self._workspace.schema()
        except (NotionRefused, ConfigurationError) as exc:
            raise _DatabaseGone(exc.detail) from None

    async def _read_row(self, attempt: _Attempt) -> Schema:
        """Take what the row says now for what was written. Gives the row's own properties. Raises
        PageGone."""
        page = await self._notion.page(attempt.due.page_id)
        if page.get("in_trash") or page.get("archived"):
            raise _PageGone(
                "The row lies in Notion's bin: nothing can be written there. Restore it to have "
                "the figures again."
            )
        if not await self._workspace.has_row(page):
            raise _PageGone(
                "The row was moved out of the database: nothing is written where it is now. Move "
                "it back to have the figures again."
            )
        schema = Schema.from_api(page, self._names)
        said = page.get("properties") or {}
        attempt.written = {
            name: read(said[column.name]) for name, column in schema.writable.items()
        }
        return schema

    async def _patch(self, attempt: _Attempt, changes: Values) -> NotionRefused | None:
        """Give why Notion didn't take these values; None: it did, or there are none."""
        if not changes:
            return None
        said = {self._names[name]: write(_KINDS[name], value) for name, value in changes.items()}
        try:
            await self._notion.update_page(attempt.due.page_id, said)
        except NotionRefused as exc:
            if exc.extra.get("notion_status") != 400:
                raise
            return exc
        attempt.note_written(changes)
        return None

    async def _patch_one_by_one(self, attempt: _Attempt, changes: Values) -> None:
        """So that one that Notion doesn't take keeps no other from being written."""
        for name, value in changes.items():
            if refusal := await self._patch(attempt, {name: value}):
                log.warning("notion_property_refused", property=name, error=refusal.detail)
                attempt.trouble = refusal.detail
                attempt.written[name] = value  # until it changes it isn't tried again

    def _note_missing(self, attempt: _Attempt, schema: Schema) -> None:
        """A database may do without figures; without these two nobody sees what went wrong."""
        missing = [name for name in ("Delivery", "Problem") if name not in schema.writable]
        if missing and attempt.trouble is None:
            names = " and ".join(f"“{self._names[name]}”" for name in missing)
            attempt.trouble = (
                f"The Notion database has no property {names} that fits, so nothing shows there: "
                "`amazonsender notion check` says what to do."
            )

    # -- the closing statement

    async def _write_statement(self, attempt: _Attempt, wanted: Mapping[str, Any]) -> None:
        assert attempt.due.mailout is not None
        files = await self._statements.files(attempt.due.mailout)
        try:
            await self._notion.update_page(
                attempt.due.page_id, {self._names[STATEMENT]: write("files", files)}
            )
        except NotionRefused as exc:
            log.warning("notion_statement_refused", error=exc.detail)
        attempt.statement_for = wanted

    # -- what needs a person

    async def _comment(self, attempt: _Attempt, call: Call) -> None:
        """Once for each problem; where it isn't allowed, the property Problem has to do."""
        if self._monotonic() < self._mute_until:
            attempt.note_told(call)
            return
        page_id = attempt.due.page_id
        try:
            if attempt.due.failures or not attempt.due.sure:
                await self._require_unsaid(page_id, call)
            await self._notion.comment({"page_id": str(page_id)}, call.text)
            log.info("notion_comment", page_id=str(page_id), about=call.key)
        except _AlreadySaid:
            pass
        except NotionRefused as exc:
            log.warning("notion_comment_refused", error=exc.detail)
            if exc.extra.get("notion_status") == 403:
                self._mute_until = self._monotonic() + MUTE_SECONDS
        attempt.note_told(call)

    async def _require_unsaid(self, page_id: UUID, call: Call) -> None:
        """Whether an earlier try, whose answer was lost, had come through. Raises _AlreadySaid."""
        try:
            comments = await self._notion.comments(page_id)
        except NotionRefused:
            return  # it may not read comments
        if any(plain_text(one.get("rich_text")) == call.text for one in comments):
            raise _AlreadySaid

    # -- how it went

    def _went_well(self, attempt: _Attempt) -> Written:
        if attempt.due.row.get("gone_at"):
            # Whatever it says when it is back: another database may have other properties.
            return attempt.as_written(sure=False, next_seconds=None)
        next_visit = visit(attempt.due.mailout, self._now())
        if attempt.postponed:
            return attempt.as_written(
                error=attempt.due.error, next_seconds=attempt.postponed, live=next_visit.live
            )
        self._metrics.notion_written("written" if attempt.patched else "unchanged")
        return attempt.as_written(
            error=attempt.trouble, next_seconds=next_visit.next_seconds, live=next_visit.live
        )

    def _was_away(self, attempt: _Attempt, exc: Exception) -> Written:
        """Whether the last request was done nobody knows: the row is read before the next."""
        detail, seconds = "Notion doesn't answer; this is tried again.", AWAY_SECONDS
        if isinstance(exc, NotionAway):
            detail, seconds = exc.detail, float(exc.extra.get("retry_after") or AWAY_SECONDS)
        self._rest(seconds)
        self._metrics.notion_written("away")
        live = visit(attempt.due.mailout, self._now()).live
        return attempt.as_written(sure=False, error=detail, next_seconds=seconds, live=live)

    def _was_refused(self, attempt: _Attempt, exc: NotionRefused) -> Written:
        status = exc.extra.get("notion_status")
        if status in CONCERN_ALL:
            return self._nobody_fares_better(attempt, exc.detail)
        return self._failed(attempt, exc.detail, is_lost=status == 404)

    def _nobody_fares_better(self, attempt: _Attempt, detail: str) -> Written:
        """Try one again in a while, and the others after it."""
        self._rest(REFUSED_SECONDS)
        self._workspace.forget_schema()
        return self._failed(attempt, detail, seconds=REFUSED_SECONDS)

    def _failed(
        self,
        attempt: _Attempt,
        detail: str,
        *,
        seconds: float | None = None,
        is_lost: bool = False,
    ) -> Written:
        """seconds: until the next try; None: later each time. is_lost: the page isn't there for us,
        so that trying ends one day."""
        due = attempt.due
        if due.error != detail:
            log.warning("notion_row_not_written", page_id=str(due.page_id), error=detail)
        self._metrics.notion_written("refused")
        if seconds is None:
            seconds = backoff_seconds(
                due.failures + 1, 1.0, base=REFUSED_SECONDS, cap=REFUSED_CAP_SECONDS
            )
        is_over = visit(due.mailout, self._now()).next_seconds is None
        if is_lost and is_over and due.failures >= TRIES_OF_A_LOST_PAGE:
            seconds = None
        return attempt.as_written(sure=False, error=detail, next_seconds=seconds)

    def _rest(self, seconds: float) -> None:
        self._rests_until = max(self._rests_until, self._monotonic() + seconds)


class _PageGone(Exception):
    """It lies in the bin, or in another database: nothing can be written. Carries words for
    people."""


class _DatabaseGone(Exception):
    """It can't be seen, or the token isn't taken. Carries words for people."""


class _AlreadySaid(Exception):
    """The very comment stands there."""


@dataclass
class _Attempt:
    """What one try has come to so far. postponed: seconds until the row's turn. trouble: what isn't
    as it should be although the row was written."""

    due: Write
    written: Values
    told: tuple[str, ...]
    statement_for: Mapping[str, Any] | None = None
    must_read: bool = False
    patched: bool = False
    postponed: float | None = None
    trouble: str | None = None

    def note_written(self, changes: Values) -> None:
        self.written |= changes
        self.patched = True

    def note_told(self, call: Call) -> None:
        self.told = (*self.told, call.key)[-TOLD_KEPT:]

    def as_written(
        self,
        *,
        next_seconds: float | None,
        sure: bool = True,
        error: str | None = None,
        live: bool = False,
    ) -> Written:
        return Written(
            sure=sure,
            patched=self.patched,
            written={name: value for name, value in self.written.items() if name != STATEMENT},
            told=self.told,
            statement_for=self.statement_for,
            error=error,
            next_seconds=next_seconds,
            live=live,
        )


def _differences(wanted: Values, written: Values, schema: Schema) -> Values:
    """Of the program's properties that are there. Empty is empty, however it is said."""
    return {
        name: value
        for name, value in wanted.items()
        if name in schema.writable
        and value != written.get(name)
        and not (value is None and not _is_said(written.get(name)))
    }


def _too_soon(due: Write, wanted: Values) -> float | None:
    """Seconds until mere figures are written again; None: at once. A person who pressed something
    sees the answer soon."""
    if due.patched_ago is None or due.patched_ago >= LIVE_SECONDS or not due.sure:
        return None
    news = {name for name, value in wanted.items() if value != due.written.get(name)}
    return LIVE_SECONDS - due.patched_ago if news and news <= FIGURES else None


def _is_said(value: Any) -> bool:
    return value is not None and value not in ("", [])


def _has_ended(due: Write) -> bool:
    return due.mailout is not None and due.mailout["ended_at"] is not None
